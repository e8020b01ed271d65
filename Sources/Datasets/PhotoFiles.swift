import Files
import Foundation

/// The photos below a folder, by the endings of their names.
public enum PhotoFiles {
    public static let endings: Set<String> = ["jpg", "jpeg", "png"]

    /// Paths relative to `folder`, sorted; hidden files and the folder `excluding` are left out.
    ///
    /// Throws ``FileError`` for a path that is no folder, or a folder without photos.
    public static func below(_ folder: String, excluding output: String? = nil) throws(FileError) -> [String] {
        guard let names = FileManager.default.subpaths(atPath: folder) else {
            let exists = FileManager.default.fileExists(atPath: folder)
            throw FileError.system(folder, doing: "list the folder", code: exists ? ENOTDIR : ENOENT)
        }
        let output = output.map { URL(fileURLWithPath: $0).standardizedFileURL.path + "/" }
        let photos = names.sorted().filter { name in
            guard endings.contains((name as NSString).pathExtension.lowercased()) else { return false }
            guard !name.split(separator: "/").contains(where: { $0.hasPrefix(".") }) else { return false }
            let path = (folder as NSString).appendingPathComponent(name)
            if let output, URL(fileURLWithPath: path).standardizedFileURL.path.hasPrefix(output) { return false }
            return !isFolder(path)
        }
        guard !photos.isEmpty else {
            throw FileError(.missing, path: folder, reason: "there is no .jpg, .jpeg or .png in the folder")
        }
        return photos
    }

    public static func isFolder(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
    }
}
