import BEiTFiles

/// A file as it was when it was read; by this it is known again, however its path is spelled.
package struct KnownFile: Codable, Equatable, Sendable {
    /// Without links, "." and "..".
    package var file: String
    package var bytes: Int
    /// The time of its last change, in nanoseconds since 1970.
    package var modified: Int

    private init(_ path: String, bytes: Int, modified: Int) {
        (file, self.bytes, self.modified) = (Self.place(of: path) ?? path, bytes, modified)
    }

    /// Throws `FileError` where the photo is not there, or is no file, and `ArchiveError`.
    init(photo path: String) throws {
        if let member = try TarArchive.find(path) {
            self.init(path, bytes: member.size, modified: member.modified)
            return
        }
        let status = try FileSystem.requireStatus(of: path)
        guard status.kind == .file else {
            throw FileError(
                .notAFile, path: path,
                reason: status.kind == .folder
                    ? "it is a folder, not an image" : "it is no file, but a device or a pipe")
        }
        self.init(path, bytes: status.size, modified: status.modified)
    }

    /// The path of a photo without links, "." and ".."; nil where nothing is there.
    static func place(of path: String) -> String? {
        guard let (archive, member) = TarArchive.split(path) else { return FileSystem.realPath(path) }
        return FileSystem.realPath(archive).map { $0 + ":" + member }
    }

    /// Nil where the model is not there.
    init?(model path: String) {
        guard let status = FileSystem.status(of: path) else { return nil }
        self.init(path, bytes: status.size, modified: status.modified)
    }
}
