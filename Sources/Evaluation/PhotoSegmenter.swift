import ImageIO
import Ops
import TensorCore

/// A photo at the sizes in which the network will see it.
public struct PreparedPhoto: Sendable {
    /// Of the photo, in pixels.
    public let width, height: Int
    /// One for each scale.
    let pictures: [(plan: WindowPlan, image: RGBImage)]

    /// Resizes by Pillow's antialiased bilinear filter, as in training.
    public init(_ photo: RGBImage, _ size: WindowSize, _ options: InferenceOptions) {
        (width, height) = (photo.width, photo.height)
        pictures = options.scales.map { scale in
            let plan = WindowPlan(
                photoHeight: photo.height, photoWidth: photo.width, size, options, scale: scale)
            return (plan, photo.resized(width: plan.width, height: plan.height, filter: .bilinear))
        }
    }
}

/// The class of each pixel of a photo.
public struct Segmentation: Sendable {
    public var width, height: Int
    public var classes: [UInt16]
    /// The probability of each pixel's class, 0…1; empty unless asked for.
    public var confidence: [Float]
}

/// Segments photos of any size with a network of one size.
public struct PhotoSegmenter {
    private let network: WindowNetwork
    private let options: InferenceOptions
    /// Rows of the photo that are classified at once.
    private static let strip = 64

    public init(_ network: WindowNetwork, _ options: InferenceOptions) {
        (self.network, self.options) = (network, options)
    }

    public func segment(_ photo: PreparedPhoto, confidence: Bool = false) -> Segmentation {
        let passes = photo.pictures.flatMap { picture in
            (options.flips ? [false, true] : [false]).map {
                Pass(LogitsStream(network, picture.image, picture.plan, isMirrored: $0, batch: options.batch), photo)
            }
        }
        let pixels = photo.width * photo.height
        let output = SegmentationOutput(classes: network.classes, width: photo.width)
        var probabilities = [Float](repeating: 0, count: confidence ? pixels : 0)
        let classes = [UInt16](unsafeUninitializedCapacity: pixels) { classes, count in
            probabilities.withUnsafeMutableBufferPointer { probabilities in
                guard let labels = classes.baseAddress else { return }
                for start in stride(from: 0, to: photo.height, by: Self.strip) {
                    let rows = start..<min(photo.height, start + Self.strip)
                    output.classify(
                        passes.map { $0.strip(rows) }, rows: rows, labels: labels + start * photo.width,
                        confidence: confidence ? probabilities.baseAddress.map { $0 + start * photo.width } : nil)
                }
            }
            count = pixels
        }
        return Segmentation(width: photo.width, height: photo.height, classes: classes, confidence: probabilities)
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
