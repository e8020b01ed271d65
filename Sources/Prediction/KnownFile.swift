import BEiTFiles

/// A file as it was when it was read; by this it is known again, however its path is spelled.
package struct KnownFile: Codable, Equatable, Sendable {
    /// Without links, "." and "..".
    package var file: String
    package var bytes: Int
    /// The time of its last change, in nanoseconds since 1970.
    package var modified: Int

    private init(_ path: String, _ status: FileStatus) {
        (file, bytes, modified) = (FileSystem.realPath(path) ?? path, status.size, status.modified)
    }

    /// Throws `FileError` where the photo is not there, or is no file.
    init(photo path: String) throws(FileError) {
        let status = try FileSystem.requireStatus(of: path)
        guard status.kind == .file else {
            throw FileError(
                .notAFile, path: path,
                reason: status.kind == .folder
                    ? "it is a folder, not an image" : "it is no file, but a device or a pipe")
        }
        self.init(path, status)
    }

    /// Nil where the model is not there.
    init?(model path: String) {
        guard let status = FileSystem.status(of: path) else { return nil }
        self.init(path, status)
    }
}
