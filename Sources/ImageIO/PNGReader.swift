import CBEiTImageShim

/// Decodes a PNG through libpng.
final class PNGReader: RowSource, SampleSource {
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
    var orientation: Orientation {
        var size = 0
        return Orientation(exif: Array(UnsafeBufferPointer(start: beitseg_png_reader_exif(reader, &size), count: size)))
    }

    /// What a pixel is made of by IHDR's colour type.
    var form: SampleForm {
        let (bands, alphas, color): (Int, Int, SampleForm.Color) =
            switch header.color_type {
            case 2: (3, 0, .rgb)
            case 3: (1, 0, .palette(palette))
            case 4: (2, 1, .grey)
            case 6: (4, 1, .rgb)
            default: (1, 0, .grey)
            }
        return SampleForm(
            bands: bands, alphas: alphas, kind: header.bit_depth > 8 ? .uint16 : .uint8, color: color,
            full: 0...Double(1 << header.bit_depth - 1))
    }

    private var palette: [RGBColor] {
        var bytes = [UInt8](repeating: 0, count: 3 * 256)
        let count = Int(beitseg_png_reader_palette(reader, &bytes))
        return (0..<count).map { RGBColor(bytes[3 * $0], bytes[3 * $0 + 1], bytes[3 * $0 + 2]) }
    }

    func beginRGB(shrink: Int) throws -> Int {
        guard beitseg_png_reader_begin_rgb(reader) else { throw failure() }
        return 1
    }

    func beginSamples(_ bands: [Int]) throws -> [Int] {
        guard beitseg_png_reader_begin_samples(reader) else { throw failure() }
        return Array(0..<form.bands)
    }

    func read(_ rows: UnsafeMutablePointer<UInt8>, rowBytes: Int, count: Int) throws {
        guard beitseg_png_reader_rows(reader, rows, rowBytes, count) else { throw failure() }
    }

    private func failure() -> any Error { file.failure(beitseg_png_reader_error(reader)) }
}
