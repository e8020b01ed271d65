import Foundation

/// A file itself, by whatever name it is reached.
package struct FileIdentity: Hashable, Sendable {
    package var device: UInt64
    package var inode: UInt64
}

/// What the system knows of a file.
package struct FileStatus: Equatable, Sendable {
    package enum Kind: Sendable {
        case file, folder
        /// Only where links are not followed.
        case link
        /// A device, a FIFO, a socket.
        case other
    }
    package var identity: FileIdentity
    package var kind: Kind
    /// In bytes.
    package var size: Int
    /// Of the contents, in nanoseconds since 1970.
    package var modified: Int

    init(_ status: stat) {
        identity = FileIdentity(device: UInt64(truncatingIfNeeded: status.st_dev), inode: UInt64(status.st_ino))
        kind =
            switch status.st_mode & S_IFMT {
            case S_IFREG: .file
            case S_IFDIR: .folder
            case S_IFLNK: .link
            default: .other
            }
        size = Int(status.st_size)
        #if canImport(Darwin)
            let time = status.st_mtimespec
        #else
            let time = status.st_mtim
        #endif
        modified = time.tv_sec * 1_000_000_000 + Int(time.tv_nsec)
    }
}

/// Questions to the file system about paths whose names may be any bytes (``Swift/String/withFileSystemName(_:)``).
package enum FileSystem {
    /// Nil where nothing is there, or it cannot be asked (``requireStatus(of:followingLinks:)`` says why).
    package static func status(of path: String, followingLinks: Bool = true) -> FileStatus? {
        try? requireStatus(of: path, followingLinks: followingLinks)
    }

    /// Throws ``FileError`` where nothing is there, where a folder above may not be entered, and for a path longer than
    /// the system takes.
    package static func requireStatus(of path: String, followingLinks: Bool = true) throws(FileError) -> FileStatus {
        var status = stat()
        let answer = path.withFileSystemName { followingLinks ? stat($0, &status) : lstat($0, &status) }
        guard answer == 0 else { throw FileError.system(path, doing: "open") }
        return FileStatus(status)
    }

    /// Whether a file, folder or other thing is there. A link that leads nowhere is none.
    package static func exists(_ path: String) -> Bool { status(of: path) != nil }

    /// Whether there is a folder, or a link to one.
    package static func isFolder(_ path: String) -> Bool { status(of: path)?.kind == .folder }

    /// Whether there is a file, or a link to one.
    package static func isFile(_ path: String) -> Bool { status(of: path)?.kind == .file }

    /// The names in a folder, without "." and "..", sorted by their bytes. Throws ``FileError``.
    package static func names(in folder: String) throws(FileError) -> [String] {
        let action = "list the folder"
        guard let listing = (folder.isEmpty ? "." : folder).withFileSystemName({ opendir($0) }) else {
            throw FileError.system(folder, doing: action)
        }
        defer { closedir(listing) }
        var names: [[UInt8]] = []
        while true {
            errno = 0
            guard let entry = readdir(listing) else {
                guard errno == 0 else { throw FileError.system(folder, doing: action) }
                break
            }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if name != [UInt8(ascii: ".")], name != [UInt8(ascii: "."), UInt8(ascii: ".")] { names.append(name) }
        }
        return names.sorted { $0.lexicographicallyPrecedes($1) }.map { String(fileSystemBytes: $0) }
    }

    /// The path without links, "." and "..". Nil where nothing is there.
    package static func realPath(_ path: String) -> String? {
        guard let name = path.withFileSystemName({ realpath($0, nil) }) else { return nil }
        defer { free(name) }
        return String(fileSystemName: name)
    }

    /// All bytes of a file, or of a pipe until its writer is done. Throws ``FileError``, also for a folder and for more
    /// than `limit` bytes.
    package static func read(_ path: String, atMost limit: Int = 1 << 30) throws(FileError) -> [UInt8] {
        let descriptor = path.withFileSystemName { open($0, O_RDONLY | O_CLOEXEC) }
        guard descriptor >= 0 else { throw FileError.system(path, doing: "open") }
        defer { close(descriptor) }
        return try read(descriptor, path, atMost: limit)
    }

    /// The first bytes of a file, `count` or, of a shorter one, fewer. Throws ``FileError``.
    package static func start(of path: String, count: Int) throws(FileError) -> [UInt8] {
        let descriptor = path.withFileSystemName { open($0, O_RDONLY | O_CLOEXEC) }
        guard descriptor >= 0 else { throw FileError.system(path, doing: "open") }
        defer { close(descriptor) }
        var (bytes, done) = ([UInt8](repeating: 0, count: count), 0)
        while done < count {
            let read = bytes.withUnsafeMutableBytes { bytes in
                retrying { Foundation.read(descriptor, bytes.baseAddress! + done, count - done) }
            }
            guard read >= 0 else { throw FileError.system(path, doing: "read") }
            if read == 0 { break }
            done += read
        }
        return Array(bytes[..<done])
    }

    /// All bytes that are left to read. `path` is for the error.
    package static func read(_ descriptor: Int32, _ path: String, atMost limit: Int = 1 << 30) throws(FileError)
        -> [UInt8]
    {
        var (bytes, block) = ([UInt8](), [UInt8](repeating: 0, count: 1 << 16))
        while true {
            let count = retrying { Foundation.read(descriptor, &block, block.count) }
            guard count >= 0 else { throw FileError.system(path, doing: "read") }
            if count == 0 { return bytes }
            guard bytes.count + count <= limit else {
                throw FileError(
                    .inputOutput, path: path,
                    reason: "it is larger than \(limit) bytes, too large for what it should be")
            }
            bytes.append(contentsOf: block[..<count])
        }
    }

    /// The value of an environment variable, whose bytes may be a path's.
    package static func environment(_ name: String) -> String? {
        getenv(name).map { String(fileSystemName: $0) }
    }
}

/// The answer of a system call, made again when a signal interrupted it.
func retrying(_ call: () -> Int) -> Int {
    while true {
        let answer = call()
        if answer >= 0 || errno != EINTR { return answer }
    }
}
