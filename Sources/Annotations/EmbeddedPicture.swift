import BEiTFiles
import BEiTImageIO
import CBEiTZlib
import Foundation

/// A picture of one number a pixel that stands in an annotation as text.
struct EmbeddedPicture: Sendable {
    /// Of a PNG file, in base 64.
    let base64: String
    /// Whether the file is deflated once more, as Supervisely does it.
    var isDeflated = false

    /// Bytes of the file, at most.
    private static let largest = 1 << 28

    /// - Parameter file: where the picture stands, for errors.
    /// - Throws: ``AnnotationError``, `ImageError`, `FileError`.
    func decoded(_ file: String) throws -> IndexMask {
        guard let bytes = Data(base64Encoded: base64).map({ Array($0) }), let png = isDeflated ? inflated(bytes) : bytes
        else { throw AnnotationError(path: file, "a mask in it is damaged; export it again") }
        return try decodedPNG(png, file)
    }

    /// Decoders read files: the bytes go through one without a name.
    private func decodedPNG(_ png: [UInt8], _ file: String) throws -> IndexMask {
        guard let stream = tmpfile() else { throw FileError.system(file, doing: "read a mask in it") }
        defer { fclose(stream) }
        guard fwrite(png, 1, png.count, stream) == png.count, fflush(stream) == 0 else {
            throw FileError.system(file, doing: "read a mask in it")
        }
        rewind(stream)
        do { return try decodeMask("/dev/fd/\(fileno(stream))") } catch let error as ImageError {
            throw ImageError(path: file, error.reason)
        }
    }

    /// Nil for what is damaged or too large.
    private func inflated(_ bytes: [UInt8]) -> [UInt8]? {
        var capacity = max(4096, 4 * bytes.count)
        while capacity <= Self.largest {
            var result = [UInt8](repeating: 0, count: capacity)
            var count = uLongf(capacity)
            let status = uncompress(&result, &count, bytes, uLong(bytes.count))
            if status == Z_OK { return Array(result.prefix(Int(count))) }
            if status != Z_BUF_ERROR { return nil }
            capacity *= 4
        }
        return nil
    }
}
