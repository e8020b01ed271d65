import Checkpoints
import Files
import Foundation
import ImageIO

/// What `predict` writes for an image.
public enum PredictionFormat: String, CaseIterable, Sendable {
    /// A palette PNG whose values are class indices; 16-bit grey past 256 classes.
    case index
    /// An RGB PNG in the classes' colours.
    case color
    /// The colours blended with the photo, half and half.
    case overlay
    /// An 8-bit grey PNG: 255 · the probability of the pixel's class.
    case confidence
    /// COCO's run-length code of each class that occurs.
    case rle

    /// What follows the stem of the photo's name.
    public var ending: String {
        switch self {
        case .index: ".png"
        case .rle: ".rle.json"
        default: ".\(rawValue).png"
        }
    }
}

/// Writes an image's results.
struct PredictionWriter: Sendable {
    let folder: String
    let formats: [PredictionFormat]
    let classes: [ClassInfo]
    private let palette: [RGBColor]

    init(folder: String, formats: [PredictionFormat], classes: [ClassInfo]) {
        (self.folder, self.formats, self.classes) = (folder, formats, classes)
        palette = classes.map { RGBColor($0.color[0], $0.color[1], $0.color[2]) }
    }

    func path(_ stem: String, _ format: PredictionFormat) -> String {
        (folder as NSString).appendingPathComponent(stem + format.ending)
    }

    /// Whether every file is there. Files appear whole or not at all, so none is incomplete.
    func isComplete(_ stem: String) -> Bool {
        formats.allSatisfy { FileManager.default.fileExists(atPath: path(stem, $0)) }
    }

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
                let grey = result.confidence.map { UInt8((min(max($0, 0), 1) * 255).rounded()) }
                try writePNG(grey: grey, width: mask.width, height: mask.height, to: path)
            case .rle: try AtomicFile.write(RunLengthCode.json(mask, classes), to: path)
            }
        }
    }
}
