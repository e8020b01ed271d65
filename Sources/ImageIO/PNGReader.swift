import CBEiTImageShim

/// Decodes a PNG through libpng.
final class PNGReader: SampleSource {
    private let file: InputFile
    private let reader: OpaquePointer
    private let header: beitseg_png_header

    /// Reads the header.
    init(_ file: InputFile) throws {
        guard let reader = beitseg_png_reader_open(file.stream) else { throw file.outOfMemory() }
        (self.file, self.reader) = (file, reader)
        var header = beitseg_png_header()
        let opened = beitseg_png_reader_header(reader, &header)
        self.header = header
        guard opened else { throw failure() }
    }

    deinit { beitseg_png_reader_close(reader) }

    var width: Int { Int(header.width) }
    var height: Int { Int(header.height) }
    var obstacle: String? { header.interlaced ? "it is interlaced; save it without interlacing" : nil }
    var bitDepth: Int { Int(header.bit_depth) }

    var hasSingleSamples: Bool {
        let type = Int(header.color_type)
        return type == Int(beitseg_png_grey) || type == Int(beitseg_png_palette)
    }

    var exif: [UInt8] {
        var size = 0
        return Array(UnsafeBufferPointer(start: beitseg_png_reader_exif(reader, &size), count: size))
    }

    var palette: [RGBColor]? {
        var bytes = [UInt8](repeating: 0, count: 3 * 256)
        let count = Int(beitseg_png_reader_palette(reader, &bytes))
        guard Int(header.color_type) == Int(beitseg_png_palette) else { return nil }
        return (0..<count).map { RGBColor(bytes[3 * $0], bytes[3 * $0 + 1], bytes[3 * $0 + 2]) }
    }

    func beginRGB(shrink: Int) throws -> Int {
        guard beitseg_png_reader_begin_rgb(reader) else { throw failure() }
        return 1
    }

    func beginSamples() throws {
        guard beitseg_png_reader_begin_samples(reader) else { throw failure() }
    }

    func read(_ rows: UnsafeMutablePointer<UInt8>, rowBytes: Int, count: Int) throws {
        guard beitseg_png_reader_rows(reader, rows, rowBytes, count) else { throw failure() }
    }

    private func failure() -> any Error { file.failure(beitseg_png_reader_error(reader)) }
}
