import BEiTCheckpoints
import BEiTImageIO

/// Writes an image's results strip by strip; the files appear at ``finish()``.
///
/// Used by one thread at a time.
final class StripWriter: @unchecked Sendable {
    private let width: Int
    private let palette: [RGBColor]
    private var files: [(format: PredictionFormat, png: PNGWriter)] = []

    /// Throws `FileError`.
    init(_ writer: PredictionWriter, _ stem: String, width: Int, height: Int) throws {
        self.width = width
        palette = writer.palette
        for format in writer.formats {
            let kind: PNGKind =
                switch format {
                case .confidence: .grey8
                case .index: palette.count > 256 ? .grey16 : .palette(palette)
                default: .rgb
                }
            files.append(
                (format, try PNGWriter(writer.path(stem, format), width: width, height: height, kind: kind)))
        }
    }

    /// Appends a strip.
    func write(_ strip: StripSegmenter.Strip) throws {
        let (classes, height) = (strip.classes, strip.rows.count)
        let mask = IndexMask(width: width, height: height, values: classes, palette: palette)
        for (format, png) in files {
            switch format {
            case .index where palette.count > 256: try classes.withUnsafeBytes { try png.write(rows: $0) }
            case .index: try write(classes.map { UInt8(truncatingIfNeeded: $0) }, to: png)
            case .confidence: try write(strip.confidence.map(greyLevel), to: png)
            case .color: try write(mask.colored().pixels, to: png)
            case .overlay:
                let rows = RGBImage(width: width, height: height, pixels: Array(strip.photo))
                try write(rows.overlaid(with: mask.colored()).pixels, to: png)
            case .rle, .probabilities: preconditionFailure("\(format) is not written in strips")
            }
        }
    }

    private func write(_ bytes: [UInt8], to png: PNGWriter) throws {
        try bytes.withUnsafeBytes { try png.write(rows: $0) }
    }

    /// Throws `FileError`.
    func finish() throws { for (_, png) in files { try png.finish() } }
}
