import BEiTFiles
import CBEiTImageShim
import Foundation

/// A file, or a member of an archive (`TarArchive`), open for reading, closed when the value goes away.
final class InputFile {
    let path: String
    let stream: UnsafeMutablePointer<FILE>
    /// In bytes.
    let size: Int
    /// Where its bytes are: from `start` on in this open file.
    let descriptor: Int32
    let start: Int
    /// Kept open; nil for a file of its own.
    private let archive: OpenArchive?

    /// What is no file (a folder, a FIFO, a device) is refused without being read: it could wait for ever.
    /// Throws ``ImageError`` where the fault is that of this path, ``FileError`` where nothing is there or the machine
    /// fails, `ArchiveError` for an archive that is none.
    init(_ path: String) throws {
        self.path = path
        if let member = try TarArchive.find(path) {
            let file = try member.file()
            guard let stream = beitseg_open_part(file.descriptor, member.offset, member.size) else {
                throw FileError.system(path, doing: "open", code: ENOMEM)
            }
            (self.stream, size, archive) = (stream, member.size, file)
            (self.descriptor, start) = (file.descriptor, member.offset)
            return
        }
        let descriptor = path.withFileSystemName { Foundation.open($0, O_RDONLY | O_NONBLOCK | O_CLOEXEC) }
        guard descriptor >= 0 else { throw Self.failure(path) }
        var status = stat()
        let isKnown = fstat(descriptor, &status) == 0
        guard isKnown, status.st_mode & S_IFMT == S_IFREG, let stream = fdopen(descriptor, "rb") else {
            let error = isKnown ? Self.refusal(path, status) : Self.failure(path)
            close(descriptor)
            throw error
        }
        (self.stream, size, archive, self.descriptor, start) = (stream, Int(status.st_size), nil, descriptor, 0)
    }

    deinit { fclose(stream) }

    /// The error for a path that could not be opened. A machine that is short of something may fail for any path.
    private static func failure(_ path: String, code: Int32 = errno) -> any Error {
        let error = FileError.system(path, doing: "open", code: code)
        if error.kind == .missing || [EIO, ENOMEM, EMFILE, ENFILE].contains(code) { return error }
        // A socket cannot even be opened.
        return ImageError(path: path, code == ENXIO ? .notAFile("a socket or a device") : .unreachable(error.reason))
    }

    private static func refusal(_ path: String, _ status: stat) -> any Error {
        switch status.st_mode & S_IFMT {
        case S_IFREG: FileError.system(path, doing: "open", code: ENOMEM)
        case S_IFDIR: ImageError(path: path, .notAFile("a folder"))
        case S_IFIFO: ImageError(path: path, .notAFile("a FIFO"))
        case S_IFSOCK: ImageError(path: path, .notAFile("a socket"))
        default: ImageError(path: path, .notAFile("a device"))
        }
    }

    /// Enough to tell what a file is.
    static let headSize = 512

    /// The first bytes, which stay to be read.
    func head() throws -> [UInt8] { try bytes(at: 0, count: min(Self.headSize, size)) }

    /// The bytes at a place of the file, which stay to be read. Throws ``ImageError`` where the file ends before.
    func bytes(at place: Int, count: Int) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            try read(
                UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<count]), at: place)
            filled = count
        }
    }

    /// As ``bytes(at:count:)``.
    func read(_ bytes: UnsafeMutableRawBufferPointer, at place: Int) throws {
        var done = 0
        while done < bytes.count {
            // The next member of an archive begins where this one ends.
            let left = min(bytes.count - done, max(0, size - place - done))
            let count = pread(descriptor, bytes.baseAddress! + done, left, off_t(start + place + done))
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw FileError.system(path, doing: "read") }
            guard count > 0 else { throw ImageError(path: path, .undecodable("the file ends too early")) }
            done += count
        }
    }

    /// The error for a decoder that failed with `message`: the disk's fault, or the data's.
    func failure(_ message: UnsafePointer<CChar>, isDamage: Bool = false) -> any Error {
        if ferror(stream) != 0 { return FileError.system(path, doing: "read") }
        let message = String(cString: message)
        return ImageError(path: path, isDamage ? .damaged(message) : .undecodable(message))
    }

    func outOfMemory() -> FileError { FileError.system(path, doing: "read", code: ENOMEM) }
}
