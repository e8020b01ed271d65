import BEiTImageIO

/// What the values of masks mean, where no data set's layout says it, and how masks lie.
package struct LabelRules: Equatable, Sendable {
    /// The value of pixels that do not count, as the file has it; nil for 255, which nobody asked for.
    package var ignoreIndex: Int?
    /// Value 0 is void, and n is class n − 1.
    package var reducesZeroLabel = false
    /// Two classes: 0 is the first, 255 (or 1) the second.
    package var isBinary = false
    /// A file of lines `VALUE CLASS`.
    package var labelMap: String?
    /// A file of lines `name R G B`.
    package var classes: String?
    /// What the names of masks end in, beyond the names of their photos; nil: nothing, or what is found.
    package var maskSuffix: String?
    package var orientation = MaskOrientation.upright

    package init() {}

    /// The value of pixels that do not count.
    package static let usualIgnoreIndex = 255

    /// What makes them impossible, in one sentence; nil if nothing does.
    package var problem: String? {
        guard isBinary else { return nil }
        if labelMap != nil || reducesZeroLabel { return "binary masks have neither a label map nor a label to reduce" }
        if let ignoreIndex, [0, 1, 255].contains(ignoreIndex) {
            return "in binary masks 0, 1 and 255 are classes, and \(ignoreIndex) cannot be void"
        }
        return nil
    }

    /// The map of masks with these classes: the label map's, where there is one. Throws ``DatasetError``.
    package func map(_ classes: [LabelClass]?) throws -> LabelMap {
        guard let labelMap, let classes else { return map(count: classes?.count) }
        return try LabelMap(
            LabelMapFile.read(labelMap), classes: classes, ignoreIndex: ignoreIndex ?? Self.usualIgnoreIndex)
    }

    /// The map of masks with `count` classes of their own order; where they are not known, every value is a class.
    private func map(count: Int?) -> LabelMap {
        if isBinary {
            var map = LabelMap(indices: [0, 1], ignoreIndex: ignoreIndex ?? -1)
            map.set(255, to: 1)
            return map
        }
        return LabelMap(
            indices: Array(0..<(count ?? LabelMap.maximumClasses)), reducingZero: reducesZeroLabel,
            ignoreIndex: ignoreIndex ?? Self.usualIgnoreIndex)
    }
}

/// How masks lie where a photo's Exif turns it.
package enum MaskOrientation: String, CaseIterable, Codable, Sendable {
    /// As the photo is seen.
    case upright
    /// As the photo's pixels are stored: they are turned as its Exif says.
    case stored
    /// As the photo's pixels are stored, and the photo is not turned either.
    case bothStored = "both-stored"
}
