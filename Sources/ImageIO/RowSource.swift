import BEiTFiles
import CBEiTImageShim
import Foundation

/// A decoder that delivers rows from top to bottom.
protocol RowSource: AnyObject {
    /// The stored size in pixels, before scaling and turning.
    var width: Int { get }
    var height: Int { get }
    var exif: [UInt8] { get }
    /// Why the rows cannot be had one after another, where that is so.
    var obstacle: String? { get }
    /// Bytes a pixel that the decoder keeps beside the rows that it delivers.
    var keptBytes: Int { get }

    /// Asks for RGB rows, scaled down by `shrink` where the format can do that; returns the scale used.
    func beginRGB(shrink: Int) throws -> Int
    /// Reads the next `count` rows of `rowBytes` each.
    func read(_ rows: UnsafeMutablePointer<UInt8>, rowBytes: Int, count: Int) throws
}

extension RowSource {
    var keptBytes: Int { 0 }
}

/// A decoder that can deliver samples as they are stored, for images whose pixel is one number: a class index.
protocol SampleSource: RowSource {
    /// Whether a pixel is one number: grey without alpha, or an index into a palette.
    var hasSingleSamples: Bool { get }
    /// Of a sample, 1 to 16.
    var bitDepth: Int { get }
    /// Nil where the samples are no indices of one.
    var palette: [RGBColor]? { get }

    /// Asks for rows of samples: a byte each up to 8 bits, else a `UInt16`.
    func beginSamples() throws
}

/// A file open for reading, closed when the value goes away.
final class InputFile {
    let path: String
    let stream: UnsafeMutablePointer<FILE>

    /// What is no file (a folder, a FIFO, a device) is refused without being read: it could wait for ever.
    /// Throws ``ImageError`` where the fault is that of this path, ``FileError`` where nothing is there or the machine
    /// fails.
    init(_ path: String) throws {
        self.path = path
        let descriptor = path.withFileSystemName { Foundation.open($0, O_RDONLY | O_NONBLOCK | O_CLOEXEC) }
        guard descriptor >= 0 else { throw Self.failure(path) }
        var status = stat()
        let isKnown = fstat(descriptor, &status) == 0
        guard isKnown, status.st_mode & S_IFMT == S_IFREG, let stream = fdopen(descriptor, "rb") else {
            let error = isKnown ? Self.refusal(path, status) : Self.failure(path)
            close(descriptor)
            throw error
        }
        self.stream = stream
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
    func head() throws(FileError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.headSize)
        var count = pread(fileno(stream), &bytes, bytes.count, 0)
        while count < 0 && errno == EINTR { count = pread(fileno(stream), &bytes, bytes.count, 0) }
        guard count >= 0 else { throw FileError.system(path, doing: "read") }
        return Array(bytes[..<count])
    }

    /// The error for a decoder that failed with `message`: the disk's fault, or the data's.
    func failure(_ message: UnsafePointer<CChar>, isDamage: Bool = false) -> any Error {
        if ferror(stream) != 0 { return FileError.system(path, doing: "read") }
        let message = String(cString: message)
        return ImageError(path: path, isDamage ? .damaged(message) : .undecodable(message))
    }

    func outOfMemory() -> FileError { FileError.system(path, doing: "read", code: ENOMEM) }
}
