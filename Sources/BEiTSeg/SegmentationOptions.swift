import BEiTPrediction

/// How photos are shown to a model, which takes pictures of one size.
public struct SegmentationOptions: Equatable, Sendable {
    /// What is done to a photo's size before windows of the model's size slide over it.
    public enum Resizing: Equatable, Sendable {
        /// The photo just covers the model's size: what it was trained for.
        case toModel
        /// The photo's short side becomes so many pixels.
        case shortSide(Int)
        /// Windows slide over the photo's own pixels: for large images with small things.
        case none
    }
    public var resizing = Resizing.toModel
    /// From one window to the next, in pixels; nil for two thirds of a window.
    public var stride: Int?
    /// Sizes over which the probabilities are averaged, as factors from 0.1 to 10.
    public var scales = [1.0]
    /// Whether the probabilities of the photo and of its mirror image are averaged.
    public var averagesMirrorImage = false
    /// How the file of a photo becomes red, green and blue; pixels in memory are these already.
    public var reading = PhotoReading()

    public init() {}

    func inference() throws(BEiTSegError) -> InferenceOptions {
        var result = InferenceOptions()
        switch resizing {
        case .toModel: result.resizing = .toWindow
        case .shortSide(let pixels): result.resizing = .shortSide(pixels)
        case .none: result.resizing = .none
        }
        (result.stride, result.scales, result.flips) = (stride, scales, averagesMirrorImage)
        guard !scales.isEmpty, scales.allSatisfy({ $0 >= 0.1 && $0 <= 10 }) else {
            throw BEiTSegError(.usage, "the scales \(scales) are not factors from 0.1 to 10")
        }
        if case .shortSide(let pixels) = resizing, !(1...65_536).contains(pixels) {
            throw BEiTSegError(.usage, "a short side of \(pixels) pixels is not 1 to 65536")
        }
        if let stride, !(1...65_536).contains(stride) {
            throw BEiTSegError(.usage, "a stride of \(stride) pixels is not 1 to 65536")
        }
        result.reading = try reading.choice()
        return result
    }
}
