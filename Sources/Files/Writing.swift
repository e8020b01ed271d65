import Foundation

/// Writes all of `bytes`: what the system takes in pieces goes in pieces, and an interrupted call is made again. Returns
/// whether it all went; else `errno` says why not.
package func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Bool {
    var done = 0
    while done < bytes.count {
        let written = retrying { write(descriptor, bytes.baseAddress! + done, bytes.count - done) }
        if written == 0 { errno = EIO }
        guard written > 0 else { return false }
        done += written
    }
    return true
}

/// Appends `bytes` to a file that is there: all of them or, where that fails, none.
///
/// A file that is gone is not made again: who lost the folder of a run wants to hear of it. Throws ``FileError``.
package func appendBytes(_ bytes: [UInt8], to path: String) throws(FileError) {
    let descriptor = path.withFileSystemName { open($0, O_WRONLY | O_APPEND | O_CLOEXEC) }
    guard descriptor >= 0 else { throw FileError.writing(path, doing: "append") }
    let end = lseek(descriptor, 0, SEEK_END)
    guard bytes.withUnsafeBytes({ writeAll($0, to: descriptor) }) else {
        let code = errno
        if end >= 0 { ftruncate(descriptor, end) }
        close(descriptor)
        throw FileError.writing(path, doing: "append", code: code)
    }
    guard close(descriptor) == 0 || errno == EINTR else { throw FileError.writing(path, doing: "append") }
}

/// Makes a folder, and those above it; one that is there is fine. Throws ``FileError``.
package func makeFolder(_ path: String) throws(FileError) {
    func make() -> Int32 { path.withFileSystemName { mkdir($0, 0o777) } == 0 ? 0 : errno }
    var code = make()
    if code == ENOENT, path.parent != path, !path.isEmpty {
        try makeFolder(path.parent)
        code = make()
    }
    if code == 0 || FileSystem.isFolder(path) { return }
    throw FileError.writing(path, doing: "create the folder", code: code == EEXIST ? ENOTDIR : code)
}
