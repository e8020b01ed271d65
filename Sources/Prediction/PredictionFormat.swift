import BEiTFiles
import BEiTImageIO

/// What `predict` writes for an image.
package enum PredictionFormat: String, CaseIterable, Sendable {
    /// A palette PNG whose values are class indices; 16-bit grey past 256 classes.
    case index
    /// An RGB PNG in the classes' colours.
    case color
    /// The colours blended with the photo.
    case overlay
    /// An 8-bit grey PNG: 255 · the probability of the pixel's class.
    case confidence
    /// HDF5: `probabilities`, float16 `[K, H, W]`.
    case probabilities
    /// COCO's run-length code of each class that occurs.
    case rle

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

/// What is written of each image, and where.
struct ResultForm: Sendable {
    let folder: String
    let formats: [PredictionFormat]
    let classes: [LabelClass]
    let palette: [RGBColor]
    let overlay: OverlayStyle

    init(folder: String, formats: [PredictionFormat], classes: [LabelClass], overlay: OverlayStyle = OverlayStyle()) {
        (self.folder, self.formats, self.classes, self.overlay) = (folder, formats, classes, overlay)
        palette = classes.map(\.color)
    }

    /// The results of an image, below ``folder``.
    func names(_ stem: String) -> [String] { formats.map { stem + $0.ending } }

    func path(_ stem: String, _ format: PredictionFormat) -> String { folder.joined(stem + format.ending) }

    /// Whether every file is there. Files appear whole or not at all, so none is incomplete.
    func isComplete(_ stem: String) -> Bool { formats.allSatisfy { FileSystem.isFile(path(stem, $0)) } }

    /// What the segmenter is to find.
    var results: PhotoSegmenter.Results {
        var results = PhotoSegmenter.Results.meanConfidence
        if formats.contains(.confidence) { results.insert(.confidence) }
        if formats.contains(.probabilities) { results.insert(.probabilities) }
        return results
    }
}

extension Segmentation {
    /// Writes a result in one format. `photo` is needed for an overlay.
    ///
    /// Throws ``FileError``.
    package func write(
        _ format: PredictionFormat, to path: String, classes: [LabelClass], photo: RGBImage? = nil,
        overlay: OverlayStyle = OverlayStyle()
    ) throws {
        precondition(format != .probabilities, "probabilities are written while they are computed")
        precondition(format != .confidence || !confidence.isEmpty, "confidence was not asked for")
        let form = ResultForm(folder: "", formats: [format], classes: classes, overlay: overlay)
        let file = try ResultFiles.open(format, path, form, width: width, height: height)
        let strip = SegmentedStrip(rows: 0..<height, classes: self.classes, confidence: confidence)
        try file.write(strip, photo.map { PictureStrip(image: $0, top: 0) })
        try file.finish()
    }
}
