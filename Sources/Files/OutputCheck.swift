import CBEiTFilesShim
import Foundation

/// Sees to it that nothing that a command reads is ever written to, by whatever name it is reached.
///
/// Files are compared by device and inode, and by their folder and name, which on a file system that does not tell capitals
/// apart are compared without them. So links, hard links, `./x`, `sub/../x` and other spellings are seen through.
package struct OutputCheck {
    /// Where a name would stand, whether or not a file is there: two paths with the same place are one file.
    package struct Place: Hashable, Sendable {
        /// Of the nearest folder that exists.
        var folder: FileIdentity?
        /// The names below it.
        var names: [UInt8]
    }

    private var files: [FileIdentity: String] = [:]
    private var places: [Place: String] = [:]
    private var folders = FolderCache()

    package init(reads: [String] = []) { for path in reads { add(read: path) } }

    /// A file that is read, or a folder as such (its files are to be added one by one). What is not there cannot be
    /// destroyed.
    package mutating func add(read path: String) {
        guard let status = FileSystem.status(of: path) else { return }
        files[status.identity] = files[status.identity] ?? path
        guard status.kind == .file else { return }
        let place = folders.place(of: path)
        places[place] = places[place] ?? path
    }

    /// Sees whether a file may be written under the name `path`, before its first byte.
    ///
    /// Throws ``FileError`` of status 64 where the name leads to what is read, to a folder, a device, a FIFO or a socket, or
    /// is a link that leads nowhere.
    package mutating func check(write path: String) throws(FileError) {
        try OutputCheck.requireFileName(path)
        if let status = FileSystem.status(of: settled(path)), let read = files[status.identity] {
            throw OutputCheck.conflict(path, read)
        }
        if let read = places[folders.place(of: path)] { throw OutputCheck.conflict(path, read) }
    }

    /// Sees whether files may be written into the folder `path`, which need not exist: not where it is one of the folders
    /// or files read. Throws ``FileError`` of status 64.
    package func check(writeInto path: String) throws(FileError) {
        guard !path.isEmpty else { throw FileError(.notAFile, path: "\"\"", reason: "an empty name is no folder") }
        guard let status = FileSystem.status(of: settled(path)) else { return }
        if let read = files[status.identity] { throw OutputCheck.conflict(path, read) }
    }

    /// Where `path` would stand. Two results with one place would be one file.
    package mutating func place(of path: String) -> Place { folders.place(of: path) }

    /// Sees whether a file may be written as `path` by a command that reads `files`; see ``check(write:)``.
    package static func check(write path: String, reads files: [String]) throws(FileError) {
        var check = OutputCheck(reads: files)
        try check.check(write: path)
    }

    private static func conflict(_ path: String, _ read: String) -> FileError {
        let same = path == read ? "it is read as well" : "it is the same as \(read.shown), which is read"
        return FileError(
            .isInput, path: path, reason: "\(same), and nothing that is read is written to; choose another output")
    }

    /// Throws ``FileError`` of status 64 where `path` is not the name of a file, or of one that may come to be.
    static func requireFileName(_ path: String) throws(FileError) {
        func refuse(_ what: String) -> FileError {
            FileError(.notAFile, path: path.isEmpty ? "\"\"" : path, reason: "\(what); name a file to write")
        }
        if path.isEmpty { throw refuse("an empty name is no file") }
        switch FileSystem.status(of: path)?.kind {
        case .file: return
        case .folder: throw refuse("it is a folder, not a file")
        case .link, .other: throw refuse("it is a device, a pipe or another thing, not a file")
        case nil:
            if path.utf8.last == UInt8(ascii: "/") { throw refuse("it names a folder, not a file") }
            if FileSystem.status(of: path, followingLinks: false)?.kind == .link {
                throw refuse("it is a link that leads nowhere")
            }
            // Else it would show after the work.
            var status = stat()
            if path.withFileSystemName({ lstat($0, &status) }) != 0, errno == ENAMETOOLONG {
                throw FileError.writing(path, doing: "create")
            }
        }
    }
}

/// The path without the folders that are not there yet and that it leaves again: `new/../a.png` is `a.png` once `new` has
/// been made.
private func settled(_ path: String) -> String {
    guard path.utf8.contains(UInt8(ascii: ".")), !FileSystem.exists(path.parent) else { return path }
    var (above, names) = (path.parent, [path.lastName])
    while !FileSystem.exists(above), above != above.parent {
        names.append(above.lastName)
        above = above.parent
    }
    var below: [String] = []
    for name in names.reversed() where name != "." {
        if name != ".." {
            below.append(name)
        } else if below.popLast() == nil {
            above = above.joined("..")
        }
    }
    return below.reduce(above) { $0.joined($1) }
}

/// Folders that were asked about once.
private struct FolderCache {
    private struct Folder {
        var identity: FileIdentity
        var ignoresCase: Bool
    }
    private var known: [String: Folder] = [:]

    mutating func place(of path: String) -> OutputCheck.Place {
        let path = settled(path)
        var (above, names) = (path.parent, [path.lastName])
        while folder(above) == nil, above != above.parent {
            names.append(above.lastName)
            above = above.parent
        }
        let folder = folder(above)
        let below = names.reversed().joined(separator: "/")
        return OutputCheck.Place(
            folder: folder?.identity, names: nameKey(below, ignoringCase: folder?.ignoresCase == true))
    }

    private mutating func folder(_ path: String) -> Folder? {
        if let folder = known[path] { return folder }
        guard let status = FileSystem.status(of: path), status.kind == .folder else { return nil }
        let folder = Folder(
            identity: status.identity, ignoresCase: path.withFileSystemName { beitseg_folder_ignores_case($0) })
        known[path] = folder
        return folder
    }
}

/// What two names of one file have in common, in a folder that does or does not tell capitals apart. Bytes as they are, in
/// the first case: on Linux, é as one scalar and as two are two files.
func nameKey(_ name: String, ignoringCase: Bool) -> [UInt8] {
    ignoringCase
        ? Array(name.lowercased().precomposedStringWithCanonicalMapping.utf8) : name.fileSystemBytes
}
