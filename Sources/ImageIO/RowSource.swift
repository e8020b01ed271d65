import CBEiTImageShim
import BEiTFiles
import Foundation

/// A decoder that delivers rows from top to bottom.
protocol RowSource: AnyObject {
    /// The stored size in pixels, before scaling and turning.
    var width: Int { get }
    var height: Int { get }
    var exif: [UInt8] { get }
    /// Why the rows cannot be had one after another, where that is so.
    var obstacle: String? { get }

    /// Asks for RGB rows, scaled down by `shrink` where the format can do that; returns the scale used.
    func beginRGB(shrink: Int) throws -> Int
    /// Reads the next `count` rows of `rowBytes` each.
    func read(_ rows: UnsafeMutablePointer<UInt8>, rowBytes: Int, count: Int) throws
}

/// A file open for reading, closed when the value goes away.
final class InputFile {
    let path: String
    let stream: UnsafeMutablePointer<FILE>

    init(_ path: String) throws(FileError) {
        guard let stream = fopen(path, "rb") else { throw FileError.system(path, doing: "open") }
        (self.path, self.stream) = (path, stream)
        var status = stat()
        guard fstat(fileno(stream), &status) == 0 else { throw FileError.system(path, doing: "open") }
        guard status.st_mode & S_IFMT != S_IFDIR else {
            throw FileError(.inputOutput, path: path, reason: "it is a folder, not an image")
        }
    }

    deinit { fclose(stream) }

    /// The first byte, which stays to be read; nil in an empty file.
    func peek() throws(FileError) -> UInt8? {
        let byte = getc(stream)
        guard byte != EOF || ferror(stream) == 0 else { throw FileError.system(path, doing: "read") }
        return byte == EOF ? nil : UInt8(ungetc(byte, stream))
    }

    /// The error for a decoder that failed with `message`: the disk's fault, or the data's.
    func failure(_ message: UnsafePointer<CChar>) -> any Error {
        if ferror(stream) != 0 { return FileError.system(path, doing: "read") }
        return ImageError(path: path, .undecodable(String(cString: message)))
    }

    func outOfMemory() -> FileError { FileError.system(path, doing: "read", code: ENOMEM) }
}

/// Opens an image by its content; its name does not matter.
func openImage(_ path: String) throws -> any RowSource {
    let file = try InputFile(path)
    return switch try file.peek() {
    case 0x89: try PNGReader(file)
    case 0xFF: try JPEGReader(file)
    case nil: throw ImageError(path: path, .undecodable("the file is empty"))
    default: throw ImageError(path: path, .unknownFormat)
    }
}
