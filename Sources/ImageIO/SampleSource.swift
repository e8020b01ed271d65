import CBEiTImageShim

/// An opened image: its size, and rows from top to bottom once somebody has asked for them (``RowSource/beginRGB(shrink:)``,
/// ``SampleSource/beginSamples(_:)``).
protocol ImageSource: AnyObject {
    /// The stored size in pixels, before scaling and turning.
    var width: Int { get }
    var height: Int { get }
    /// How the stored picture must be turned.
    var orientation: Orientation { get }
    /// Why the rows cannot be had one after another, where that is so.
    var obstacle: String? { get }
    /// Bytes a pixel that the decoder keeps beside the rows that it delivers.
    var keptBytes: Int { get }
    /// Whether the format keeps every value as it was.
    var isExact: Bool { get }

    /// Reads the next `count` rows of `rowBytes` each; all of them at once where there is an obstacle.
    func read(_ rows: UnsafeMutablePointer<UInt8>, rowBytes: Int, count: Int) throws
}

extension ImageSource {
    var orientation: Orientation { .upright }
    var obstacle: String? { nil }
    var keptBytes: Int { 0 }
    var isExact: Bool { true }
}

/// A decoder that makes RGB by itself.
protocol RowSource: ImageSource {
    /// Asks for RGB rows, scaled down by `shrink` where the format can do that; returns the scale used.
    func beginRGB(shrink: Int) throws -> Int
}

/// A decoder that delivers samples as they are stored.
protocol SampleSource: ImageSource {
    var form: SampleForm { get }

    /// Asks for rows of samples, those of a pixel side by side, in the type of ``form``.
    ///
    /// - Parameter bands: those that are needed, counted from 0.
    /// - Returns: the bands that the rows hold, in order: `bands`, or all.
    func beginSamples(_ bands: [Int]) throws -> [Int]
}

/// What the samples of an image are.
struct SampleForm: Equatable {
    enum Kind: Int {
        /// Whole numbers from 0 on: of 8 bits and fewer, of 9 to 16.
        case uint8, uint16
        /// Everything else.
        case float32, float64

        var size: Int { 1 << rawValue }
        var type: beitseg_sample_type { beitseg_sample_type(UInt32(rawValue)) }
    }

    enum Color: Equatable {
        case grey
        /// 0 is white.
        case inverted
        case rgb
        case palette([RGBColor])
        /// Cyan, magenta, yellow and black.
        case inks
    }

    /// Samples of a pixel, and how many of them are transparency, which come last.
    var bands: Int
    var alphas = 0
    var kind: Kind
    var color: Color
    /// The values from black to white: those that the samples' bits can hold, 0…1 of floats.
    var full: ClosedRange<Double>
    /// Whether the format says that `full` is what a viewer shows: up to 8 bits it does, and in PNG and PNM.
    var showsFull = true
    /// The value of pixels that hold nothing.
    var missing: Double?

    /// Whether a pixel is one whole number: a class index.
    var isIndex: Bool {
        guard bands == 1, kind == .uint8 || kind == .uint16 else { return false }
        return switch color {
        case .grey, .inverted, .palette: true
        case .rgb, .inks: false
        }
    }

    var palette: [RGBColor]? {
        if case .palette(let colors) = color { return colors }
        return nil
    }

    /// The bands that make a picture: three for red, green and blue, four inks, or one for all.
    var shownBands: [Int] {
        switch color {
        case .palette: [0]
        case .inks: [0, 1, 2, 3]
        case .rgb: [0, 1, 2]
        case .grey, .inverted: bands - alphas >= 3 ? [0, 1, 2] : [0]
        }
    }
}
