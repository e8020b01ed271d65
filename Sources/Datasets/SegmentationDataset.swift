import Foundation
import BEiTImageIO

/// Where labelled photos are and how their masks are read.
package struct DatasetOptions: Codable, Equatable, Sendable {
    /// Folders; each is one data set.
    package var folders: [String]
    /// Nil: found by the folders that are there.
    package var layout: DatasetLayout?
    /// The value of pixels that do not count.
    package var ignoreIndex = 255
    /// Value 0 is void, and n is class n − 1. ADE20K's layout does so by itself.
    package var reducesZeroLabel = false
    /// Files of lines `VALUE CLASS`, in place of the layouts' own meaning of the values: none, one for all folders, or
    /// one for each (nil: the layout's meaning).
    package var labelMaps: [String?] = []

    package init(_ folders: [String]) { self.folders = folders }

    /// As checkpoints have it; the first ones knew a single `labelMap` for all folders.
    package init(from decoder: any Decoder) throws {
        enum Former: String, CodingKey { case labelMap }
        let values = try decoder.container(keyedBy: CodingKeys.self)
        folders = try values.decode([String].self, forKey: .folders)
        layout = try values.decodeIfPresent(DatasetLayout.self, forKey: .layout)
        ignoreIndex = try values.decode(Int.self, forKey: .ignoreIndex)
        reducesZeroLabel = try values.decode(Bool.self, forKey: .reducesZeroLabel)
        let former = try decoder.container(keyedBy: Former.self).decodeIfPresent(String.self, forKey: .labelMap)
        labelMaps =
            try values.decodeIfPresent([String?].self, forKey: .labelMaps) ?? former.map { [$0] } ?? []
    }

    /// What makes the options impossible, in one sentence; nil if nothing does.
    package var problem: String? {
        guard labelMaps.count > 1, labelMaps.count != folders.count else { return nil }
        return
            "--label-map has \(labelMaps.count) files for \(folders.count) data sets; give one for all, or one for each "
            + "in the order of --data, `-` where a set needs none"
    }

    /// The label map of folder number `index`, if it has one.
    func labelMap(_ index: Int) -> String? { labelMaps.count > 1 ? labelMaps[index] : labelMaps.first ?? nil }
}

/// Labelled photos of one or several data sets that share one list of classes.
///
/// Several sets give the union of their classes, by name, in the order of first appearance; of a set with a label map,
/// the classes that its map names. Labels are taken as they are: what one set calls background stays background, even
/// where another set has a class for it, unless a label map says otherwise.
package struct SegmentationDataset: Sendable {
    package let classes: [LabelClass]
    /// One for each data set.
    package let maps: [LabelMap]
    private let pairings: [[DatasetSplit: Pairing]]
    /// How the classes and label values came about, a line a data set.
    package let mapping: [String]

    /// Reads layouts, class lists and label maps, but no image. Throws ``DatasetError``.
    ///
    /// - Precondition: there is a folder, and the options have no problem.
    package init(_ options: DatasetOptions) throws {
        precondition(!options.folders.isEmpty, "no data folder")
        precondition(options.problem == nil, options.problem ?? "")
        let sets = try options.folders.enumerated().map { index, folder in
            let layout = try options.layout ?? DatasetLayout.detect(folder)
            return LabelSource(
                folder: folder, layout: layout, listed: try layout.classes(folder),
                map: try options.labelMap(index).map(LabelMapFile.read))
        }
        let known = sets.flatMap(\.listed) + sets.flatMap { $0.map?.newClasses ?? [] }
        var union: [LabelClass] = []
        for set in sets {
            union += try set.classes(known: known).filter { new in !union.contains { $0.name == new.name } }
        }
        guard union.count <= LabelMap.maximumClasses else {
            throw DatasetError(.invalid, path: sets[0].folder, reason: "has \(union.count) classes, more than 65,534")
        }
        classes = union
        maps = try sets.map { try LabelMap(options, $0, union: union) }
        pairings = sets.map { set in
            Dictionary(uniqueKeysWithValues: DatasetSplit.allCases.map { ($0, set.layout.pairing(set.folder, $0)) })
        }
        mapping = sets.map { options.meaning(of: $0) }
    }

    /// The photos and masks of a split in a fixed order. A data set may lack `val`, not `train`.
    /// Throws ``DatasetError``.
    package func images(_ split: DatasetSplit) throws -> PairedFiles {
        var result = PairedFiles()
        for (source, pairing) in pairings.enumerated() {
            guard let pairing = pairing[split], split == .train || pairing.exists else { continue }
            let found = try pairing.files(source: source)
            if found.pairs.isEmpty {
                throw DatasetError(
                    .invalid, path: pairing.images, reason: "holds no photo with a mask in \(pairing.masks)")
            }
            result += found
        }
        return result
    }

    /// A photo and the class of each of its pixels (``LabelMap/void`` where none counts).
    /// Throws ``ImageError`` or ``DatasetError``.
    package func load(_ pair: LabelledImage) throws -> (image: RGBImage, mask: IndexMask) {
        let image = try decodeImage(pair.image)
        let mask = try loadMask(pair)
        guard (image.width, image.height) == (mask.width, mask.height) else {
            throw DatasetError.sizes(pair, (image.width, image.height), (mask.width, mask.height))
        }
        return (image, mask)
    }

    /// The mask alone, as ``load(_:)`` gives it.
    package func loadMask(_ pair: LabelledImage) throws -> IndexMask {
        let mask = try decodeMask(pair.mask)
        do {
            return IndexMask(
                width: mask.width, height: mask.height, values: try maps[pair.source].classes(of: mask.values))
        } catch {
            throw DatasetError(
                .invalid, path: pair.mask,
                reason:
                    "holds the label \(error.value), which is none of the \(classes.count) classes; see --label-map, "
                    + "--reduce-zero-label and --ignore-index")
        }
    }
}

/// A data set's folder and what gives its label values their meaning.
private struct LabelSource {
    var folder: String
    var layout: DatasetLayout
    /// The classes of its own list.
    var listed: [LabelClass]
    var map: LabelMapFile?

    /// The classes that its labels can have, those of its own list first.
    /// - Parameter known: the classes of all data sets, which a label map may name.
    /// - Throws: ``DatasetError``.
    func classes(known: [LabelClass]) throws -> [LabelClass] {
        guard let map else { return listed }
        var result = listed.filter { own in map.rules.contains { $0.name == own.name } }
        for rule in map.rules where !rule.isVoid && !result.contains(where: { $0.name == rule.name }) {
            guard let found = known.first(where: { $0.name == rule.name }) else {
                throw map.stranger(rule, known, extensible: true)
            }
            result.append(found)
        }
        return result
    }
}

extension DatasetOptions {
    fileprivate func zeroIsVoid(_ source: LabelSource) -> Bool {
        source.map == nil && (reducesZeroLabel || source.layout == .ade20k)
    }

    /// For people, in one line.
    fileprivate func meaning(of source: LabelSource) -> String {
        let labels = source.map.map { ", labels by \($0.path): \($0.summary)" }
        return "\(source.folder): layout \(source.layout.rawValue), \(source.listed.count) classes"
            + (zeroIsVoid(source) ? ", label 0 is void, n is class n − 1" : "") + (labels ?? "")
            + ", \(ignoreIndex) is void"
    }
}

extension LabelMap {
    /// The map of a data set into the indices of `union`.
    fileprivate init(_ options: DatasetOptions, _ source: LabelSource, union: [LabelClass]) throws {
        if let file = source.map {
            try self.init(file, classes: union, ignoreIndex: options.ignoreIndex)
            return
        }
        let place = Dictionary(uniqueKeysWithValues: union.enumerated().map { ($1.name, $0) })
        let values = source.layout.values(classes: source.listed.count)
        self.init(
            indices: values.indices.map { $0 < 0 ? nil : place[source.listed[$0].name] },
            ignoreIndex: options.ignoreIndex)
        values.void.forEach { setVoid($0) }
        if options.zeroIsVoid(source) { reduceZeroLabel(ignoreIndex: options.ignoreIndex) }
    }
}

extension Pairing {
    var exists: Bool { FileManager.default.fileExists(atPath: list ?? images) }
}

extension DatasetError {
    static func sizes(_ pair: LabelledImage, _ image: (Int, Int), _ mask: (Int, Int)) -> DatasetError {
        DatasetError(
            .invalid, path: pair.mask,
            reason: "is \(mask.0)×\(mask.1) pixels, but its photo \(pair.image) is \(image.0)×\(image.1); bring both "
                + "to one size, or leave them out")
    }
}
