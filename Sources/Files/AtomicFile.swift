import Foundation

/// A file that appears under its final name whole or not at all: it is written under a temporary name in the same
/// folder, flushed to disk, and renamed by ``commit()``. Without a commit it is removed when the value goes away, and when
/// a signal ends the process.
///
/// A link is followed: the file that it leads to is replaced, and the link stays. A device, a pipe, a folder and a link
/// that leads nowhere are refused.
///
/// The one way in which beit-seg writes files; writers that open a path by themselves (HDF5) do so in ``making(_:)``.
package final class AtomicFile {
    /// As the caller spelled it.
    package let path: String
    package let temporaryPath: String
    /// The file itself, behind the links.
    private let destination: String
    private var committed = false

    /// Creates the parent folders. Throws ``FileError``.
    package init(_ path: String) throws(FileError) {
        try Self.requireWritable(path)
        self.path = path
        let isLink = FileSystem.status(of: path, followingLinks: false)?.kind == .link
        destination = isLink ? FileSystem.realPath(path) ?? path : path
        // A name as long as a name may be has a longer one beside it: its beginning will do, in at most 120 bytes.
        let name = String(String.UnicodeScalarView(destination.lastName.unicodeScalars.prefix(30)))
        temporaryPath = destination.parent.joined(
            ".\(name).\(Self.owner)-\(UInt32.random(in: 0...(.max))).partial")
        try makeFolder(destination.parent)
        Leftovers.add(temporaryPath)
    }

    /// Sees whether `path` could be written, and changes nothing: for a look before the work that the file is to hold.
    /// Throws ``FileError``.
    package static func requireWritable(_ path: String) throws(FileError) {
        try OutputCheck.requireFileName(path)
        var folder = (FileSystem.realPath(path) ?? path).parent
        while !FileSystem.exists(folder), folder != folder.parent { folder = folder.parent }
        guard FileSystem.isFolder(folder) else {
            throw FileError(.inputOutput, path: folder, reason: "it is a file, not a folder")
        }
        guard folder.withFileSystemName({ access($0, W_OK | X_OK) }) == 0 else {
            let code = errno
            throw FileError(
                .inputOutput, path: folder,
                reason: "the folder cannot be written to: \(FileError.systemReason(code))")
        }
    }

    deinit {
        if !committed { temporaryPath.withFileSystemName { _ = unlink($0) } }
        Leftovers.forget(temporaryPath)
    }

    /// The machine and the process, without dots.
    private static let owner = hostPrefix + String(getpid())
    private static let hostPrefix: String = {
        var name = [CChar](repeating: 0, count: 65)
        gethostname(&name, name.count - 1)
        return String(fileSystemName: name).map { $0 == "." || $0 == "/" ? "_" : String($0) }.joined() + "-"
    }()

    /// Removes the temporary files in `folder` that processes of this machine left behind when they were killed.
    /// - Parameter isOnlyUser: whether no other process writes there (``LockedFile``): then those of any machine go.
    package static func removeAbandoned(in folder: String, isOnlyUser: Bool = false) {
        for name in (try? FileSystem.names(in: folder)) ?? [] where name.hasPrefix(".") && name.hasSuffix(".partial") {
            let path = folder.joined(name)
            if (isOnlyUser || isAbandoned(name)) && !Leftovers.contains(path) {
                path.withFileSystemName { _ = unlink($0) }
            }
        }
    }

    /// Whether a process of this machine wrote the temporary file and is no more. Numbers come again, in containers often
    /// the same one: this process's own counts as well.
    private static func isAbandoned(_ name: String) -> Bool {
        let writer = name.split(separator: ".").dropLast().last.map(String.init) ?? ""
        guard writer.hasPrefix(hostPrefix),
            let process = writer.dropFirst(hostPrefix.count).split(separator: "-").first,
            let identifier = pid_t(process)
        else { return false }
        return identifier == getpid() || (kill(identifier, 0) != 0 && errno == ESRCH)
    }

    /// Has `body` make the temporary file, whose path it gets as the system takes it: the one way to do so, as the process
    /// may be about to remove its files and to end (``Leftovers``).
    package func making<Result>(_ body: (UnsafePointer<CChar>) throws -> Result) rethrows -> Result {
        try temporaryPath.withFileSystemName { name in try Leftovers.making { try body(name) } }
    }

    /// Makes the temporary file and opens it for writing. Throws ``FileError``.
    package func create() throws(FileError) -> Int32 {
        let descriptor = making { open($0, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644) }
        guard descriptor >= 0 else { throw FileError.writing(path, doing: "create") }
        return descriptor
    }

    /// Flushes the temporary file to disk and gives it its final name. Throws ``FileError``.
    /// - Parameter flushingFolder: whether the new name must outlive a power cut as well, as that of a checkpoint of hours.
    ///   It takes as long as flushing the file, and the file is whole under its old or its new name without it.
    package func commit(flushingFolder: Bool = false) throws(FileError) {
        let descriptor = temporaryPath.withFileSystemName { open($0, O_RDONLY | O_CLOEXEC) }
        guard descriptor >= 0 else { throw FileError.writing(path, doing: "write") }
        let flushed = retrying { Int(fsync(descriptor)) } == 0
        let code = errno
        close(descriptor)
        guard flushed else { throw FileError.writing(path, doing: "flush to disk", code: code) }
        let renamed = temporaryPath.withFileSystemName { from in
            destination.withFileSystemName { to in rename(from, to) }
        }
        guard renamed == 0 else { throw FileError.writing(path, doing: "rename into place") }
        committed = true
        if flushingFolder { Self.flush(folder: destination.parent) }
    }

    /// Some file systems refuse: no error.
    private static func flush(folder: String) {
        let descriptor = folder.withFileSystemName { open($0, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }

    /// Writes `bytes` to `path`, whole or not at all.
    package static func write(_ bytes: UnsafeRawBufferPointer, to path: String) throws(FileError) {
        let file = try AtomicFile(path)
        let descriptor = try file.create()
        guard writeAll(bytes, to: descriptor) else {
            let code = errno
            close(descriptor)
            throw FileError.writing(path, doing: "write", code: code)
        }
        guard close(descriptor) == 0 || errno == EINTR else { throw FileError.writing(path, doing: "write") }
        try file.commit()
    }

    /// Copies the contents of the file `source` to `path`, whole or not at all.
    package static func copy(_ source: String, to path: String) throws(FileError) {
        let input = source.withFileSystemName { open($0, O_RDONLY | O_CLOEXEC) }
        guard input >= 0 else { throw FileError.system(source, doing: "open") }
        defer { close(input) }
        let file = try AtomicFile(path)
        let output = try file.create()
        var block = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = retrying { Foundation.read(input, &block, block.count) }
            let isWritten = count <= 0 || block[..<count].withUnsafeBytes { writeAll($0, to: output) }
            let code = errno
            if count > 0, isWritten { continue }
            guard close(output) == 0 || errno == EINTR, isWritten else {
                throw FileError.writing(path, doing: "write", code: code)
            }
            if count < 0 { throw FileError.system(source, doing: "read", code: code) }
            return try file.commit()
        }
    }

    /// Writes `text` as UTF-8 to `path`, whole or not at all.
    package static func write(_ text: String, to path: String) throws(FileError) {
        try write(Array(text.utf8), to: path)
    }

    /// Writes `bytes` to `path`, whole or not at all.
    package static func write(_ bytes: [UInt8], to path: String) throws(FileError) {
        var outcome: Result<Void, FileError> = .success(())
        bytes.withUnsafeBytes { buffer in
            do throws(FileError) { try write(buffer, to: path) } catch { outcome = .failure(error) }
        }
        try outcome.get()
    }

    /// The folder that holds `path`, "." for a bare name.
    package static func parent(_ path: String) -> String { path.parent }
}
