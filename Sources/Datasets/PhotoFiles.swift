import BEiTFiles
import Foundation

/// The photos below a folder, by the endings of their names.
package enum PhotoFiles {
    package static let endings: Set<String> = ["jpg", "jpeg", "png"]

    /// Paths relative to `folder`, sorted; hidden files and the folder `excluding` are left out. Links are followed, but
    /// not into a folder that they lie in.
    ///
    /// Throws ``FileError`` for a path that is no folder, or a folder without photos.
    package static func below(_ folder: String, excluding output: String? = nil) throws(FileError) -> [String] {
        guard isFolder(folder) else {
            let exists = FileManager.default.fileExists(atPath: folder)
            throw FileError.system(folder, doing: "list the folder", code: exists ? ENOTDIR : ENOENT)
        }
        var photos: [String] = []
        try list(folder, "", within: [], excluding: output.flatMap(realPath), into: &photos)
        guard !photos.isEmpty else {
            throw FileError(.missing, path: folder, reason: "there is no .jpg, .jpeg or .png in the folder")
        }
        return photos.sorted()
    }

    private static func list(
        _ folder: String, _ prefix: String, within ancestors: [String], excluding output: String?,
        into photos: inout [String]
    ) throws(FileError) {
        guard let place = realPath(folder), let names = try? FileManager.default.contentsOfDirectory(atPath: folder)
        else { throw FileError.system(folder, doing: "list the folder", code: EACCES) }
        if place == output || ancestors.contains(place) { return }
        for name in names where !name.hasPrefix(".") {
            let path = (folder as NSString).appendingPathComponent(name)
            if isFolder(path) {
                try list(path, prefix + name + "/", within: ancestors + [place], excluding: output, into: &photos)
            } else if endings.contains((name as NSString).pathExtension.lowercased()) {
                photos.append(prefix + name)
            }
        }
    }

    private static func realPath(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    package static func isFolder(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
    }
}
