import Foundation
import Synchronization

/// The temporary files that this process is writing.
private let unfinished = Mutex<Set<String>>([])

/// What went wrong with a file: which one, why, and what to do about it.
package struct FileError: Error, Equatable, CustomStringConvertible {
    package enum Kind: Equatable, Sendable {
        /// The path does not exist (exit status 66).
        case missing
        /// Reading or writing failed: permissions, a full disk (exit status 74).
        case inputOutput
    }
    package var kind: Kind
    package var path: String
    package var reason: String

    package init(_ kind: Kind, path: String, reason: String) {
        (self.kind, self.path, self.reason) = (kind, path, reason)
    }

    package var description: String { "\(path): \(reason)" }

    /// The error for a failed system call on `path`, from `errno`.
    package static func system(_ path: String, doing action: String, code: Int32 = errno) -> FileError {
        FileError(
            code == ENOENT ? .missing : .inputOutput, path: path,
            reason: "cannot \(action): \(systemReason(code))")
    }

    /// What the system says about an error number, and what to do.
    package static func systemReason(_ code: Int32) -> String {
        let remedy: [Int32: String] = [
            ENOENT: "see whether the path is spelled right", EACCES: "change its permissions, or run as another user",
            EPERM: "change its permissions, or run as another user", ENOSPC: "make room on the disk",
            EDQUOT: "make room in your quota", EROFS: "choose a folder on another disk",
            EMFILE: "raise the limit (ulimit -n)", EIO: "see whether the disk is sound",
        ]
        return String(cString: strerror(code)) + (remedy[code].map { "; \($0)" } ?? "")
    }
}

/// A file that appears under its final name whole or not at all: it is written under a temporary name in the same
/// folder, flushed to disk, and renamed by ``commit()``. Without a commit it is removed when the value goes away.
///
/// The one way in which beit-seg writes files; writers that open a path by themselves (HDF5) write to
/// ``temporaryPath``.
package final class AtomicFile {
    package let path: String
    package let temporaryPath: String
    private var committed = false

    /// Creates the parent folders. Throws ``FileError``.
    package init(_ path: String) throws(FileError) {
        try Self.requireWritable(path)
        self.path = path
        let folder = Self.parent(path)
        // A name as long as a name may be has a longer one beside it: its beginning will do, in at most 120 bytes.
        let name = String((path as NSString).lastPathComponent.unicodeScalars.prefix(30))
        temporaryPath =
            (folder as NSString).appendingPathComponent(
                ".\(name).\(Self.owner)-\(UInt32.random(in: 0...(.max))).partial")
        try makeFolder(folder)
        unfinished.withLock { _ = $0.insert(temporaryPath) }
    }

    /// Sees whether `path` could be written, and changes nothing: for a look before the work that the file is to hold.
    /// Throws ``FileError``.
    package static func requireWritable(_ path: String) throws(FileError) {
        if isFolder(path) == true {
            throw FileError(.inputOutput, path: path, reason: "it is a folder, not a file")
        }
        var folder = parent(path)
        while isFolder(folder) == nil, folder != parent(folder) { folder = parent(folder) }
        guard isFolder(folder) == true else {
            throw FileError(.inputOutput, path: folder, reason: "it is a file, not a folder")
        }
        guard access(folder, W_OK | X_OK) == 0 else {
            let code = errno
            throw FileError(
                .inputOutput, path: folder,
                reason: "the folder cannot be written to: \(FileError.systemReason(code))")
        }
    }

    /// Nil where nothing is there.
    private static func isFolder(_ path: String) -> Bool? {
        var answer: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &answer) ? answer.boolValue : nil
    }

    /// The folder that holds `path`, "." for a bare name. (`deletingLastPathComponent` of swift-corelibs-foundation traps
    /// on a name of one letter.)
    package static func parent(_ path: String) -> String {
        var rest = path[...]
        while rest.count > 1, rest.last == "/" { rest.removeLast() }
        guard let slash = rest.lastIndex(of: "/") else { return "." }
        return slash == rest.startIndex ? "/" : String(rest[..<slash])
    }

    deinit {
        if !committed { unlink(temporaryPath) }
        unfinished.withLock { _ = $0.remove(temporaryPath) }
    }

    /// The machine and the process, without dots.
    private static let owner = hostPrefix + String(getpid())
    private static let hostPrefix =
        ProcessInfo.processInfo.hostName.replacingOccurrences(of: ".", with: "_") + "-"

    /// Removes the temporary files in `folder` that processes of this machine left behind when they were killed.
    /// - Parameter isOnlyUser: whether no other process writes there (``LockedFile``): then those of any machine go.
    package static func removeAbandoned(in folder: String, isOnlyUser: Bool = false) {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.isEmpty ? "." : folder)) ?? []
        for name in names where name.hasPrefix(".") && name.hasSuffix(".partial") {
            let path = (folder as NSString).appendingPathComponent(name)
            if (isOnlyUser || isAbandoned(name)) && !unfinished.withLock({ $0.contains(path) }) { unlink(path) }
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

    /// Flushes the temporary file to disk and gives it its final name.
    package func commit() throws(FileError) {
        let descriptor = open(temporaryPath, O_RDONLY)
        guard descriptor >= 0 else { throw FileError.system(path, doing: "write") }
        let flushed = fsync(descriptor) == 0
        let code = errno
        close(descriptor)
        guard flushed else { throw FileError.system(path, doing: "flush to disk", code: code) }
        guard rename(temporaryPath, path) == 0 else { throw FileError.system(path, doing: "rename into place") }
        committed = true
    }

    /// Writes `bytes` to `path`, whole or not at all.
    package static func write(_ bytes: UnsafeRawBufferPointer, to path: String) throws {
        let file = try AtomicFile(path)
        let descriptor = open(file.temporaryPath, O_WRONLY | O_CREAT | O_EXCL, 0o644)
        guard descriptor >= 0 else { throw FileError.system(path, doing: "create") }
        var done = 0
        while done < bytes.count {
            let written = Foundation.write(descriptor, bytes.baseAddress! + done, bytes.count - done)
            if written < 0 && errno == EINTR { continue }
            guard written > 0 else {
                let code = errno
                close(descriptor)
                throw FileError.system(path, doing: "write", code: code)
            }
            done += written
        }
        guard close(descriptor) == 0 else { throw FileError.system(path, doing: "write") }
        try file.commit()
    }

    /// Writes `text` as UTF-8 to `path`, whole or not at all.
    package static func write(_ text: String, to path: String) throws {
        try write(Array(text.utf8), to: path)
    }

    /// Writes `bytes` to `path`, whole or not at all.
    package static func write(_ bytes: [UInt8], to path: String) throws {
        try bytes.withUnsafeBytes { buffer in try write(buffer, to: path) }
    }
}

/// Makes a folder, and those above it; one that is there is fine. Throws ``FileError``.
func makeFolder(_ path: String) throws(FileError) {
    guard mkdir(path, 0o777) != 0 else { return }
    var code = errno
    let above = AtomicFile.parent(path)
    if code == ENOENT, above != path {
        try makeFolder(above)
        code = mkdir(path, 0o777) == 0 ? 0 : errno
    }
    var isFolder: ObjCBool = false
    if code == 0 || (FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue) {
        return
    }
    throw FileError.system(path, doing: "create the folder", code: code == EEXIST ? ENOTDIR : code)
}
