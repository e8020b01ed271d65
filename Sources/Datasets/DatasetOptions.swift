import BEiTAnnotations
import BEiTFiles

/// Where labelled photos are and how their masks are read.
package struct DatasetOptions: Codable, Equatable, Sendable {
    /// Folders; each is one data set.
    package var folders: [String]
    /// Nil: found by the folders that are there.
    package var layout: DatasetLayout?
    /// The value of pixels that do not count, as the file has it; nil for 255, which nobody asked for.
    package var ignoreIndex: Int?
    /// Value 0 is void, and n is class n − 1. ADE20K's layout does so by itself.
    package var reducesZeroLabel = false
    /// Two classes: 0 is the first, 255 (or 1) the second.
    package var isBinary = false
    /// Files of lines `VALUE CLASS`, in place of the layouts' own meaning of the values: none, one for all folders, or
    /// one for each (nil: the layout's meaning).
    package var labelMaps: [String?] = []
    /// What the names of masks end in beyond the names of their photos; nil: what the layout says, or what is found.
    package var maskSuffix: String?
    package var orientation = MaskOrientation.upright
    /// The share of a set's training photos that is held out where the set has no `val`.
    package var validationShare = 0.0
    /// Of a labelling program's files.
    package var annotations = AnnotationOptions()

    package init(_ folders: [String]) { self.folders = folders }

    /// As checkpoints have it; the first ones knew a single `labelMap` for all folders.
    package init(from decoder: any Decoder) throws {
        enum Former: String, CodingKey { case labelMap }
        let values = try decoder.container(keyedBy: CodingKeys.self)
        folders = try values.decode([String].self, forKey: .folders)
        layout = try values.decodeIfPresent(DatasetLayout.self, forKey: .layout)
        ignoreIndex = try values.decodeIfPresent(Int.self, forKey: .ignoreIndex)
        reducesZeroLabel = try values.decode(Bool.self, forKey: .reducesZeroLabel)
        let former = try decoder.container(keyedBy: Former.self).decodeIfPresent(String.self, forKey: .labelMap)
        labelMaps =
            try values.decodeIfPresent([String?].self, forKey: .labelMaps) ?? former.map { [$0] } ?? []
        isBinary = try values.decodeIfPresent(Bool.self, forKey: .isBinary) ?? false
        maskSuffix = try values.decodeIfPresent(String.self, forKey: .maskSuffix)
        orientation = try values.decodeIfPresent(MaskOrientation.self, forKey: .orientation) ?? .upright
        validationShare = try values.decodeIfPresent(Double.self, forKey: .validationShare) ?? 0
        annotations = try values.decodeIfPresent(AnnotationOptions.self, forKey: .annotations) ?? AnnotationOptions()
    }

    /// What makes the options impossible, in one sentence; nil if nothing does.
    package var problem: String? {
        if labelMaps.count > 1, labelMaps.count != folders.count {
            return
                "there are \(labelMaps.count) label maps for \(folders.count) data sets; give one for all, or one for "
                + "each in the order of the sets, `-` where a set needs none"
        }
        if !(0..<1 ~= validationShare) { return "a share of \(validationShare) held out is not from 0 to below 1" }
        return rules(labelMap: labelMaps.first { $0 != nil } ?? nil).problem
    }

    /// The label map of folder number `index`, if it has one.
    func labelMap(_ index: Int) -> String? { labelMaps.count > 1 ? labelMaps[index] : labelMaps.first ?? nil }

    /// A short name for each folder: as much of the end of its path as tells it from the others.
    package var names: [String] {
        let parts = folders.map { $0.split(separator: "/").filter { $0 != "." } }
        let most = parts.map(\.count).max() ?? 0
        func names(_ length: Int) -> [String] { parts.map { $0.suffix(length).joined(separator: "/") } }
        let found = (1...max(1, most)).lazy.map(names).first { Set($0).count == $0.count }
        return found ?? folders.indices.map { "\(names(1)[$0]) \($0 + 1)" }
    }

    func rules(labelMap: String? = nil) -> LabelRules {
        var rules = LabelRules()
        (rules.ignoreIndex, rules.reducesZeroLabel, rules.isBinary) = (ignoreIndex, reducesZeroLabel, isBinary)
        (rules.labelMap, rules.maskSuffix, rules.orientation) = (labelMap, maskSuffix, orientation)
        return rules
    }
}
