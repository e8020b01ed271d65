import CBEiTImageShim

/// Decodes a JPEG through libjpeg. Damaged or missing data is an error, where libjpeg itself would fill in grey.
final class JPEGReader: RowSource {
    private let file: InputFile
    private let reader: OpaquePointer
    let width, height: Int

    /// Reads the header.
    init(_ file: InputFile) throws {
        guard let reader = beitseg_jpeg_reader_open(file.stream) else { throw file.outOfMemory() }
        (self.file, self.reader) = (file, reader)
        var (width, height): (UInt32, UInt32) = (0, 0)
        let opened = beitseg_jpeg_reader_header(reader, &width, &height)
        (self.width, self.height) = (Int(width), Int(height))
        guard opened else { throw failure() }
    }

    deinit { beitseg_jpeg_reader_close(reader) }

    var obstacle: String? {
        beitseg_jpeg_reader_has_scans(reader) ? "it is a progressive JPEG; save it as a baseline one" : nil
    }

    var exif: [UInt8] {
        var size = 0
        return Array(UnsafeBufferPointer(start: beitseg_jpeg_reader_exif(reader, &size), count: size))
    }

    func beginRGB(shrink: Int) throws -> Int {
        guard beitseg_jpeg_reader_begin_rgb(reader, Int32(shrink)) else { throw failure() }
        return shrink
    }

    func read(_ rows: UnsafeMutablePointer<UInt8>, rowBytes: Int, count: Int) throws {
        guard beitseg_jpeg_reader_rows(reader, rows, rowBytes, count) else { throw failure() }
    }

    private func failure() -> any Error { file.failure(beitseg_jpeg_reader_error(reader)) }
}
