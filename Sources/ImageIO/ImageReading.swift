/// How the pictures of a file become 8-bit RGB: which page, which bands, and which of their values are black and white.
package struct ImageReading: Sendable, Hashable {
    /// Which values of samples become 0 and 255; what lies between is scaled linearly, what lies outside is cut off.
    package enum Range: Sendable, Hashable {
        /// `full` up to 8 bits and for PNG and PNM, which say what white is; else `percentile`.
        case auto
        /// All that the samples' bits can hold; floats from 0 to 1.
        case full
        /// These values, for every band.
        case between(Double, Double)
        /// For each band of each image the 2nd and the 98th percentile of about a million of its pixels; pixels that hold
        /// nothing do not count.
        case percentile
    }

    package var range = Range.auto
    /// The bands that are red, green and blue, or one for all three, counted from 1; nil: as the file says, else its
    /// first three, or its first where it has fewer.
    package var bands: [Int]?
    /// Counted from 1. Reduced copies and transparency masks are no pages.
    package var page = 1

    package init() {}

    /// Whether it says something of colours that a decoder would not do by itself.
    var changesColors: Bool { bands != nil || range != .auto && range != .full }
}
