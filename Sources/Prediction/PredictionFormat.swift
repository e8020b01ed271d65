import BEiTFiles
import BEiTImageIO

/// What `predict` writes for an image.
package enum PredictionFormat: String, CaseIterable, Codable, Sendable {
    /// A palette PNG whose values are class indices; 16-bit grey past 256 classes.
    case index
    /// The same as a tiled TIFF, on the photo's map.
    case tiff
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
    /// One COCO file for the run, made of each image's ``rle``.
    case coco
    /// GeoJSON: a polygon for each connected region.
    case polygons
    /// A table for the run: the area of each image's classes, and the regions that it lies in.
    case areas
    /// A binary PNG for each class that occurs, in a folder.
    case masks

    /// Whether this program can write it.
    package var isAvailable: Bool {
        #if TIFF
            true
        #else
            self != .tiff
        #endif
    }

    package static let available = allCases.filter(\.isAvailable)

    /// What follows the stem of the photo's name; nil where an image has no file of a name that is known beforehand.
    package var ending: String? {
        switch self {
        case .index: ".png"
        case .tiff: ".tif"
        case .rle, .coco: ".rle.json"
        case .probabilities: ".probabilities.h5"
        case .polygons: ".geojson"
        case .areas, .masks: nil
        case .color, .overlay, .confidence: ".\(rawValue).png"
        }
    }
}

/// What is written of each image, and where.
struct ResultForm: Sendable {
    let folder: String
    let formats: [PredictionFormat]
    let resultClasses: ResultClasses
    /// K, by index.
    var classes: [LabelClass] { resultClasses.classes }
    /// The colour of each index, also of that which says that a pixel has no class.
    let palette: [RGBColor]
    let overlay: OverlayStyle
    /// The side of a pixel in metres; nil where nobody said.
    let pixelSize: Double?
    /// Pixels that a polygon's line may lie beside the region's own.
    let tolerance: Double
    /// Whether polygons have pixels for coordinates where the photo lies on a map, too.
    let polygonsInPixels: Bool

    init(
        folder: String, formats: [PredictionFormat], classes: ResultClasses, overlay: OverlayStyle = OverlayStyle(),
        pixelSize: Double? = nil, tolerance: Double = 0, polygonsInPixels: Bool = false
    ) {
        (self.folder, self.formats, resultClasses, self.overlay) = (folder, formats, classes, overlay)
        (palette, self.pixelSize) = (classes.palette, pixelSize)
        (self.tolerance, self.polygonsInPixels) = (tolerance, polygonsInPixels)
    }

    /// The results of an image whose names are known beforehand, below ``folder``.
    func names(_ stem: String) -> [String] { fileFormats.compactMap { $0.ending.map { stem + $0 } } }

    func paths(_ stem: String) -> [String] { names(stem).map { folder.joined($0) } }

    /// What makes those files: of formats that share one, the first.
    var fileFormats: [PredictionFormat] {
        formats.filter { format in
            format.ending != nil && formats.first { $0.ending == format.ending } == format
        }
    }

    /// Square metres of a pixel of a photo; nil where neither the user nor its map tells.
    func pixelArea(_ reference: GeoReference?) -> Double? { pixelSize.map { $0 * $0 } ?? reference?.pixelArea }

    /// Where an image's results lie: the places that no other image's may take.
    func places(_ stem: String) -> [String] {
        paths(stem) + (formats.contains(.masks) ? [folder.joined(maskFolder(stem))] : [])
    }

    /// The folders of an image's results.
    func folders(_ stem: String) -> [String] {
        [folder.joined(stem).parent] + (formats.contains(.masks) ? [folder.joined(maskFolder(stem))] : [])
    }

    /// Whether every result is there. Files appear whole or not at all, so none is incomplete.
    /// - Parameter record: of the image; nil where nothing is known of it but its files.
    func isComplete(_ stem: String, _ record: PredictionRecord?) -> Bool {
        guard names(stem).allSatisfy({ FileSystem.isFile(folder.joined($0)) }) else { return false }
        if formats.contains(.areas), record?.areas == nil { return false }
        guard formats.contains(.masks) else { return true }
        guard let record, let pixels = record.pixels else { return false }
        let masks = (record.files ?? []).filter { $0.hasPrefix(maskFolder(stem) + "/") }
        return masks.allSatisfy { FileSystem.isFile(folder.joined($0)) } && (pixels.isEmpty || !masks.isEmpty)
    }

    /// What the segmenter is to find.
    var results: PhotoSegmenter.Results {
        var results: PhotoSegmenter.Results = [.meanConfidence, .doubts]
        let confident: Set<PredictionFormat> = [.confidence, .rle, .coco]
        if resultClasses.needsConfidence || !confident.isDisjoint(with: formats) {
            results.insert(.confidence)
        }
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
        let form = ResultForm(folder: "", formats: [format], classes: ResultClasses(classes), overlay: overlay)
        let file = try ResultFiles.open(format, path, form, width: width, height: height)
        let strip = SegmentedStrip(rows: 0..<height, classes: self.classes, confidence: confidence)
        try file.write(strip, photo.map { PictureStrip(image: $0, top: 0) })
        try file.finish()
    }
}
