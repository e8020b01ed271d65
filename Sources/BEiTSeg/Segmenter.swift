import BEiTImageIO
import BEiTModels
import BEiTPrediction
import Synchronization

/// A model that names the class of every pixel of a photo.
///
/// ```swift
/// let segmenter = try Segmenter()
/// let result = try segmenter.segment("photo.jpg")
/// for area in result.areas { print(area.name, area.share) }
/// try result.writeMask(to: "photo.mask.png")
/// try result.writeOverlay(to: "photo.overlay.png")
/// ```
///
/// A segmenter may be used from several threads; photos then go through the network one after another, each on all
/// cores.
public final class Segmenter: Sendable {
    /// The classes, in the order of their indices in ``SegmentedPhoto/mask``.
    public let classes: [PixelClass]
    /// The file that the model was read from.
    public let model: String
    /// How the photos were read that it has learned from.
    private let usualReading: ImageReading
    /// One photo at a time is in the network.
    private let network: Mutex<Network>

    /// Made once, then touched by one thread at a time.
    private struct Network: @unchecked Sendable {
        let value: WindowNetwork
    }

    /// The model that ships with beit-seg, or the one that the environment variable `BEIT_SEG_MODEL` names.
    public convenience init() throws(BEiTSegError) {
        try self.init(model: BEiTSegError.translating { try DefaultModel.path() })
    }

    /// Reads a model.
    ///
    /// - Parameters:
    ///   - model: a segmentation model: of a training run (`RUN/best.h5`), or imported.
    ///   - size: height and width in pixels, multiples of the patch size, to which the model's positions are resized; nil
    ///     for the size that it was trained at.
    /// - Throws: ``BEiTSegError`` for a file that is missing, no model, damaged, or a model of another task.
    public init(model: String, size: (height: Int, width: Int)? = nil) throws(BEiTSegError) {
        let (network, description) = try BEiTSegError.translating {
            let loaded = try SegmentationModel(model, size: size.map { [$0.height, $0.width] })
            return (loaded.network, loaded.description)
        }
        self.model = model
        classes = description.classes.map(PixelClass.init)
        usualReading = network.reading
        self.network = Mutex(Network(value: network))
    }

    /// Segments the photo in a file: PNG, JPEG, TIFF, WebP, BMP or PNM, upright as its Exif data says.
    ///
    /// - Parameters:
    ///   - path: the file.
    ///   - options: how the photo is shown to the model.
    /// - Throws: ``BEiTSegError`` for a photo that is missing or damaged.
    public func segment(_ path: String, _ options: SegmentationOptions = .init()) throws(BEiTSegError) -> SegmentedPhoto
    {
        let reading = try options.reading.choice().applied(to: usualReading)
        return try segment(BEiTSegError.translating { try decodeImage(path, as: reading) }, of: path, options)
    }

    /// Segments pixels in memory.
    ///
    /// - Parameters:
    ///   - rgb: rows from top to bottom, a red, a green and a blue byte for each pixel: 3 · `width` · `height` bytes.
    ///   - width: of the photo, in pixels.
    ///   - height: of the photo, in pixels.
    ///   - options: how it is shown to the model.
    /// - Throws: ``BEiTSegError`` where the number of bytes is another one.
    public func segment(
        rgb: [UInt8], width: Int, height: Int, _ options: SegmentationOptions = .init()
    ) throws(BEiTSegError) -> SegmentedPhoto {
        guard width > 0, height > 0, width <= 1 << 24, height <= 1 << 24, rgb.count == 3 * width * height else {
            throw BEiTSegError(.usage, "\(rgb.count) bytes are not the RGB pixels of \(width) × \(height)")
        }
        return try segment(RGBImage(width: width, height: height, pixels: rgb), options)
    }

    private func segment(
        _ photo: RGBImage, of path: String? = nil, _ options: SegmentationOptions
    ) throws(BEiTSegError) -> SegmentedPhoto {
        let inference = try options.inference()
        let result = try BEiTSegError.translating {
            try network.withLock { try PhotoSegmenter($0.value, inference).segment(photo, .confidence) }
        }
        return SegmentedPhoto(photo, result, classes, sources: [model] + (path.map { [$0] } ?? []))
    }
}

/// A class that pixels can have.
public struct PixelClass: Equatable, Sendable {
    public var name: String
    /// The colour that it is shown in: red, green, blue, 0…255.
    public var color: [UInt8]

    init(_ info: LabelClass) { (name, color) = (info.name, [info.color.red, info.color.green, info.color.blue]) }
}
