import BEiTImageIO

/// How the samples of an image file become the red, green and blue, 0…255, that a model sees.
///
/// What is nil is as the model has learned: a training records its range and bands in its model. A model that records
/// none leaves it to the file.
///
/// ```swift
/// var options = SegmentationOptions()
/// options.reading.range = .between(0, 4095)  // a camera of 12 bits in files of 16
/// options.reading.bands = [4, 3, 2]
/// let result = try segmenter.segment("field.tif", options)
/// ```
public struct PhotoReading: Equatable, Sendable {
    /// Which values of samples become 0 and 255; what lies between is scaled linearly, what lies outside is cut off.
    public enum Range: Equatable, Sendable {
        /// ``full`` up to 8 bits, and for PNG and PNM, which say what white is; else ``percentile``.
        case auto
        /// All that the samples' bits can hold; floats from 0 to 1.
        case full
        /// These values, for every band: the lower one is black.
        case between(Double, Double)
        /// For each band of each image the 2nd and the 98th percentile of its values.
        case percentile
    }

    public var range: Range?
    /// The bands that are red, green and blue, or one that is all three, counted from 1. Empty: as the file says, else its
    /// first three, or its first.
    public var bands: [Int]?
    /// The page of a TIFF of several, counted from 1; nil for the first.
    public var page: Int?

    public init() {}

    /// The pages of an image file; 1 for formats that know none.
    ///
    /// - Throws: ``BEiTSegError`` for a file that is missing or no image.
    public static func pages(of path: String) throws(BEiTSegError) -> Int {
        try BEiTSegError.translating { try imagePages(path) }
    }

    /// Throws ``BEiTSegError`` of kind `usage` for numbers that make no sense.
    func choice() throws(BEiTSegError) -> ReadingChoice {
        var choice = ReadingChoice()
        choice.range =
            switch range {
            case nil: nil
            case .auto: .auto
            case .full: .full
            case .between(let low, let high): .between(low, high)
            case .percentile: .percentile
            }
        (choice.bands, choice.page) = (bands, page)
        if let problem = choice.problem { throw BEiTSegError(.usage, problem) }
        return choice
    }
}
