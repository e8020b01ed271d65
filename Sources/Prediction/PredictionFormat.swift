import BEiTCheckpoints
import BEiTFiles
import Foundation
import BEiTHDF5
import BEiTImageIO
import BEiTTensorCore

/// What `predict` writes for an image.
package enum PredictionFormat: String, CaseIterable, Sendable {
    /// A palette PNG whose values are class indices; 16-bit grey past 256 classes.
    case index
    /// An RGB PNG in the classes' colours.
    case color
    /// The colours blended with the photo, half and half.
    case overlay
    /// An 8-bit grey PNG: 255 · the probability of the pixel's class.
    case confidence
    /// HDF5: `probabilities`, float16 `[K, H, W]`.
    case probabilities
    /// COCO's run-length code of each class that occurs.
    case rle

    /// What can be written from top to bottom.
    package static let inStrips: Set<PredictionFormat> = [.index, .color, .overlay, .confidence]

    /// What follows the stem of the photo's name.
    package var ending: String {
        switch self {
        case .index: ".png"
        case .rle: ".rle.json"
        case .probabilities: ".probabilities.h5"
        default: ".\(rawValue).png"
        }
    }
}

/// Writes an image's results.
struct PredictionWriter: Sendable {
    let folder: String
    let formats: [PredictionFormat]
    let classes: [LabelClass]
    let palette: [RGBColor]

    init(folder: String, formats: [PredictionFormat], classes: [LabelClass]) {
        (self.folder, self.formats, self.classes) = (folder, formats, classes)
        palette = classes.map(\.color)
    }

    func path(_ stem: String, _ format: PredictionFormat) -> String {
        (folder as NSString).appendingPathComponent(stem + format.ending)
    }

    /// Whether every file is there. Files appear whole or not at all, so none is incomplete.
    func isComplete(_ stem: String) -> Bool {
        formats.allSatisfy { FileManager.default.fileExists(atPath: path(stem, $0)) }
    }

    /// For the probabilities of a photo, where they are wanted. Throws `HDF5Error`.
    func probabilities(_ stem: String, _ photo: PreparedPhoto) throws -> ProbabilityWriter? {
        guard formats.contains(.probabilities) else { return nil }
        return try ProbabilityWriter(
            path(stem, .probabilities), width: photo.width, height: photo.height, classes)
    }

    /// Writes all but the probabilities, which are written while they are computed.
    ///
    /// - Parameter photo: needed for overlays.
    /// - Throws: ``FileError``.
    func write(_ result: Segmentation, photo: RGBImage?, stem: String) throws {
        let mask = IndexMask(width: result.width, height: result.height, values: result.classes, palette: palette)
        for format in formats {
            let path = path(stem, format)
            switch format {
            case .index: try writePNG(mask, to: path)
            case .color: try writePNG(mask.colored(), to: path)
            case .overlay: if let photo { try writePNG(photo.overlaid(with: mask.colored()), to: path) }
            case .confidence:
                try writePNG(grey: result.confidence.map(greyLevel), width: mask.width, height: mask.height, to: path)
            case .probabilities: break
            case .rle: try AtomicFile.write(RunLengthCode.json(mask, classes), to: path)
            }
        }
    }
}

/// 255 · a probability.
func greyLevel(_ probability: Float) -> UInt8 { UInt8((min(max(probability, 0), 1) * 255).rounded()) }

/// Writes the probabilities of a photo's classes while they are computed: `probabilities`, float16 `[K, H, W]`, with the
/// names of the classes as an attribute. The file appears at ``finish()``.
final class ProbabilityWriter {
    private static let dataset = "/probabilities"
    private let file: HDF5Writer
    private let classes: Int
    private let width: Int

    /// Throws `HDF5Error`.
    init(_ path: String, width: Int, height: Int, _ classes: [LabelClass]) throws {
        file = try HDF5Writer(path)
        (self.classes, self.width) = (classes.count, width)
        try file.create(
            Self.dataset, shape: [classes.count, height, width], as: .float16,
            chunk: [1, min(height, PhotoSegmenter.strip), width])
        try file.setAttribute("classes", JSONText.line(classes.map(\.name)), at: Self.dataset)
    }

    /// - Parameter strip: `[rows, width, K]`.
    func write(_ rows: Range<Int>, _ strip: Tensor) throws {
        let values = strip.pointer
        for index in 0..<classes {
            let plane = (0..<rows.count * width).map { values[$0 * classes + index] }
            try file.writeBox(Self.dataset, [index..<index + 1, rows, 0..<width], floats: plane)
        }
    }

    func finish() throws { try file.commit() }
}
