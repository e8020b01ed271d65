import BEiTFiles
import BEiTImageIO
import BEiTOps
import BEiTTensorCore

/// A photo at the sizes in which the network will see it.
package struct PreparedPhoto: Sendable {
    /// Of the photo, in pixels.
    package let width, height: Int
    /// One for each scale.
    let pictures: [(plan: WindowPlan, image: RGBImage)]

    /// Reads a photo and resizes it by Pillow's antialiased bilinear filter, as in training.
    ///
    /// A JPEG more than twice as large as any picture of it that is needed is decoded at 1/2, 1/4 or 1/8 of its size.
    /// Throws `FileError` or `ImageError`.
    package init(_ path: String, _ size: WindowSize, _ options: InferenceOptions) throws {
        self = try Self.read(path, size, options, keepingPhoto: false).prepared
    }

    /// As ``init(_:_:_:)``, with the photo in its own size where that is wanted.
    static func read(
        _ path: String, _ size: WindowSize, _ options: InferenceOptions, keepingPhoto keeps: Bool
    ) throws -> (prepared: PreparedPhoto, photo: RGBImage?) {
        let header = try imageHeader(path)
        let plans = options.scales.map {
            WindowPlan(photoHeight: header.height, photoWidth: header.width, size, options, scale: $0)
        }
        let shortSide = plans.map { min($0.height, $0.width) }.max() ?? 0
        let limits = ImageLimits(maximumPixels: options.maximumPixels)
        let photo = try decodeImage(path, limits: limits, shrinkingTo: 2 * shortSide)
        let prepared = PreparedPhoto(photo, width: header.width, height: header.height, plans)
        guard keeps else { return (prepared, nil) }
        let isWhole = photo.width == header.width && photo.height == header.height
        return (prepared, isWhole ? photo : try decodeImage(path, limits: limits))
    }

    /// - Parameter photo: of any size.
    package init(_ photo: RGBImage, _ size: WindowSize, _ options: InferenceOptions) {
        let plans = options.scales.map {
            WindowPlan(photoHeight: photo.height, photoWidth: photo.width, size, options, scale: $0)
        }
        self.init(photo, width: photo.width, height: photo.height, plans)
    }

    private init(_ photo: RGBImage, width: Int, height: Int, _ plans: [WindowPlan]) {
        (self.width, self.height) = (width, height)
        pictures = plans.map { ($0, photo.resized(width: $0.width, height: $0.height, filter: .bilinear)) }
    }
}

/// The class of each pixel of a photo.
package struct Segmentation: Sendable {
    package var width, height: Int
    package var classes: [UInt16]
    /// The probability of each pixel's class, 0…1; empty unless asked for.
    package var confidence: [Float]
}

/// Segments photos of any size with a network of one size.
package struct PhotoSegmenter {
    private let network: WindowNetwork
    private let options: InferenceOptions
    /// Rows of the photo that are classified at once.
    static let strip = 64

    package init(_ network: WindowNetwork, _ options: InferenceOptions) {
        (self.network, self.options) = (network, options)
    }

    /// - Parameter probabilities: receives those of all classes, a strip of the photo's rows `[rows, width, K]` after
    ///   another.
    package func segment(
        _ photo: PreparedPhoto, confidence: Bool = false,
        probabilities: ((_ rows: Range<Int>, Tensor) throws -> Void)? = nil
    ) rethrows -> Segmentation {
        let passes = photo.pictures.flatMap { picture in
            (options.flips ? [false, true] : [false]).map {
                Pass(LogitsStream(network, picture.image, picture.plan, isMirrored: $0, batch: options.batch), photo)
            }
        }
        let pixels = photo.width * photo.height
        let output = SegmentationOutput(classes: network.classes, width: photo.width)
        var ofClass = [Float](repeating: 0, count: confidence ? pixels : 0)
        let classes = try [UInt16](unsafeUninitializedCapacity: pixels) { classes, count in
            try ofClass.withUnsafeMutableBufferPointer { ofClass in
                guard let labels = classes.baseAddress else { return }
                for start in stride(from: 0, to: photo.height, by: Self.strip) {
                    let rows = start..<min(photo.height, start + Self.strip)
                    let all = probabilities.map { _ in
                        Tensor(uninitialized: [rows.count, photo.width, network.classes])
                    }
                    output.classify(
                        passes.map { $0.strip(rows) }, rows: rows, labels: labels + start * photo.width,
                        confidence: confidence ? ofClass.baseAddress.map { $0 + start * photo.width } : nil,
                        probabilities: all?.pointer)
                    if let all { try probabilities?(rows, all) }
                }
            }
            count = pixels
        }
        return Segmentation(width: photo.width, height: photo.height, classes: classes, confidence: ofClass)
    }

    /// A stream of logits on its way up to the photo's size.
    private struct Pass {
        let stream: LogitsStream
        let vertical, horizontal: BilinearAxis

        init(_ stream: LogitsStream, _ photo: PreparedPhoto) {
            self.stream = stream
            vertical = BilinearAxis(from: stream.height, to: photo.height)
            horizontal = BilinearAxis(from: stream.width, to: photo.width)
        }

        func strip(_ rows: Range<Int>) -> SegmentationOutput.Pass {
            let source = vertical.sources(rows)
            return SegmentationOutput.Pass(
                rows: stream.rows(source), firstRow: source.lowerBound, vertical: vertical, horizontal: horizontal)
        }
    }
}
