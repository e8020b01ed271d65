import BEiTFiles
import Foundation

/// A regular file open for reading, at any place and from any thread. It is read, not mapped: a file that becomes shorter
/// meanwhile is an error then, and not a signal.
final class OpenFile: Sendable {
    let path: String
    /// In bytes.
    let size: Int
    let descriptor: Int32

    /// Throws `FileError`, also for what is no regular file: opening a pipe would wait for ever.
    init(_ path: String) throws(FileError) {
        let status = try FileSystem.requireStatus(of: path)
        guard status.kind == .file else {
            throw FileError(.notAFile, path: path, reason: "it is a folder or a device, not a file of weights")
        }
        descriptor = path.withFileSystemName { open($0, O_RDONLY | O_CLOEXEC) }
        guard descriptor >= 0 else { throw FileError.system(path, doing: "open") }
        (self.path, size) = (path, status.size)
    }

    deinit { close(descriptor) }

    /// Fills `buffer` with the bytes from `place` on. Throws `FileError`, or ``WeightFileError`` where the file ends.
    func read(at place: Int, into buffer: UnsafeMutableRawBufferPointer) throws {
        var done = 0
        while done < buffer.count {
            let got = pread(
                descriptor, UnsafeMutableRawPointer(buffer.baseAddress! + done), buffer.count - done,
                off_t(place + done))
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw FileError.system(path, doing: "read") }
            guard got > 0 else {
                throw WeightFileError.incomplete(file: path, reason: "it ends after \(place + done) bytes")
            }
            done += got
        }
    }

    /// At most `count` bytes from `place` on, fewer at the end of the file.
    func bytes(at place: Int, count: Int) throws -> [UInt8] {
        let count = max(0, min(count, size - place))
        return try [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            try read(
                at: place,
                into: UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<count]))
            initialized = count
        }
    }
}
