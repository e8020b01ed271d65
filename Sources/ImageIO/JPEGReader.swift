import CBEiTImageShim

/// Decodes a JPEG through libjpeg. Data that are damaged or missing are an error, where libjpeg itself would fill in grey,
/// unless somebody is there to hear of them.
final class JPEGReader: RowSource {
    private let file: InputFile
    private let reader: OpaquePointer
    private let damage: DamagedImages?
    let width, height: Int

    /// Reads the header.
    init(_ file: InputFile, allowsDamage damage: DamagedImages? = nil) throws {
        guard let reader = beitseg_jpeg_reader_open(file.stream, damage != nil) else { throw file.outOfMemory() }
        (self.file, self.reader, self.damage) = (file, reader, damage)
        var (width, height): (UInt32, UInt32) = (0, 0)
        let opened = beitseg_jpeg_reader_header(reader, &width, &height)
        (self.width, self.height) = (Int(width), Int(height))
        guard opened else { throw failure() }
    }

    deinit { beitseg_jpeg_reader_close(reader) }

    var obstacle: String? { hasScans ? "it is a progressive JPEG; save it as a baseline one" : nil }

    /// Of an image in several scans the coefficients, 16 bits each.
    var keptBytes: Int { hasScans ? 6 : 0 }

    private var hasScans: Bool { beitseg_jpeg_reader_has_scans(reader) }

    var isExact: Bool { false }

    var orientation: Orientation {
        var size = 0
        return Orientation(
            exif: Array(UnsafeBufferPointer(start: beitseg_jpeg_reader_exif(reader, &size), count: size)))
    }

    func beginRGB(shrink: Int) throws -> Int {
        guard beitseg_jpeg_reader_begin_rgb(reader, Int32(shrink)) else { throw failure() }
        return shrink
    }

    func read(_ rows: UnsafeMutablePointer<UInt8>, rowBytes: Int, count: Int) throws {
        guard beitseg_jpeg_reader_rows(reader, rows, rowBytes, count) else { throw failure() }
        guard let damage, beitseg_jpeg_reader_is_damaged(reader) else { return }
        // A disk that fails looks like a file that ends.
        guard let error = failure() as? ImageError else { throw failure() }
        damage.note(error)
    }

    private func failure() -> any Error {
        file.failure(beitseg_jpeg_reader_error(reader), isDamage: beitseg_jpeg_reader_is_damaged(reader))
    }
}
