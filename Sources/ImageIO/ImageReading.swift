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

    /// What makes it impossible, in one sentence; nil if nothing does.
    package var problem: String? {
        range.problem ?? bands.flatMap(Self.problem(ofBands:))
            ?? (page > 0 ? nil : "page \(page) is none; pages are counted from 1")
    }

    /// The same of bands alone.
    package static func problem(ofBands bands: [Int]) -> String? {
        let isSound = [1, 3].contains(bands.count) && bands.allSatisfy { 1...65_535 ~= $0 }
        return isSound
            ? nil
            : "bands \(bands.map(String.init).joined(separator: ",")) are not three numbers for red, green and blue, such as "
                + "4,3,2, or one for grey; bands are counted from 1"
    }

    /// What it says beyond the usual, for people: `range 0,4095, bands 4,3,2`; nil for nothing.
    package var summary: String? {
        let parts = [
            range == .auto ? nil : "range \(range.rawValue)",
            bands.map { "bands \($0.map(String.init).joined(separator: ","))" }, page == 1 ? nil : "page \(page)",
        ]
        let said = parts.compactMap { $0 }
        return said.isEmpty ? nil : said.joined(separator: ", ")
    }
}

extension ImageReading.Range: RawRepresentable, Codable {
    /// From `auto`, `full`, `percentile` or two numbers, `LOW,HIGH`, which may make no sense (``problem``).
    package init?(rawValue: String) {
        switch rawValue {
        case "auto": self = .auto
        case "full": self = .full
        case "percentile": self = .percentile
        default:
            let numbers = rawValue.split(separator: ",", omittingEmptySubsequences: false).map { Double($0) }
            guard numbers.count == 2, let low = numbers[0], let high = numbers[1] else { return nil }
            self = .between(low, high)
        }
    }

    package var rawValue: String {
        switch self {
        case .auto: "auto"
        case .full: "full"
        case .percentile: "percentile"
        case .between(let low, let high): "\(Self.text(low)),\(Self.text(high))"
        }
    }

    /// As people write it, and exactly.
    private static func text(_ value: Double) -> String { Int(exactly: value).map(String.init) ?? "\(value)" }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer(), text = try container.decode(String.self)
        guard let range = Self(rawValue: text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "\(text.debugDescription) is no range such as full or 0,4095")
        }
        self = range
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rawValue)
    }

    /// What makes it impossible, in one sentence; nil if nothing does.
    package var problem: String? {
        guard case .between(let low, let high) = self else { return nil }
        // What lies between is divided by their difference.
        let isSound = low < high && (high - low).isFinite && (255 / (high - low)).isFinite
        return isSound
            ? nil
            : "the range \(rawValue) is not a value that becomes black and a larger one that becomes white, such as 0,4095"
    }
}

/// What somebody says of how images are read; the rest (nil) stays as it is without it.
package struct ReadingChoice: Sendable, Equatable {
    package var range: ImageReading.Range?
    /// Empty: as the file says.
    package var bands: [Int]?
    package var page: Int?

    package init() {}

    package func applied(to usual: ImageReading) -> ImageReading {
        var reading = usual
        reading.range = range ?? reading.range
        if let bands { reading.bands = bands.isEmpty ? nil : bands }
        reading.page = page ?? reading.page
        return reading
    }

    /// What makes it impossible, in one sentence; nil if nothing does.
    package var problem: String? { applied(to: ImageReading()).problem }
}
