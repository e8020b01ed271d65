import BEiTFiles
import CBEiTImageShim

/// `image` as the bytes of a JPEG file. Colours are not subsampled, so that the edges of masks stay sharp.
///
/// - Parameter quality: 1 (smallest) to 100.
/// - Throws: ``FileError`` where libjpeg refuses: a side of more than 65,500 pixels, or no memory.
package func encodeJPEG(_ image: RGBImage, quality: Int = 85) throws -> [UInt8] {
    precondition((1...100).contains(quality), "quality \(quality) is not in 1...100")
    return try writtenBytes("JPEG") { stream in
        var message = [CChar](repeating: 0, count: Int(beitseg_message_size))
        guard beitseg_jpeg_write(stream, image.pixels, image.width, image.height, Int32(quality), &message) else {
            let end = message.firstIndex(of: 0) ?? message.count
            let reason = String(decoding: message[..<end].map { UInt8(bitPattern: $0) }, as: UTF8.self)
            throw FileError(.inputOutput, path: "JPEG", reason: reason)
        }
    }
}
