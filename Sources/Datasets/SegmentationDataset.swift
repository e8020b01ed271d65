import Foundation
import ImageIO

/// Where labelled photos are and how their masks are read.
public struct DatasetOptions: Codable, Equatable, Sendable {
    /// Folders; each is one data set.
    public var folders: [String]
    /// Nil: found by the folders that are there.
    public var layout: DatasetLayout?
    /// The value of pixels that do not count.
    public var ignoreIndex = 255
    /// Value 0 is void, and n is class n − 1. ADE20K's layout does so by itself.
    public var reducesZeroLabel = false
    /// A file of lines `VALUE CLASS`, in place of the layout's own meaning of the values.
    public var labelMap: String?

    public init(_ folders: [String]) { self.folders = folders }
}

/// Labelled photos of one or several data sets that share one list of classes.
///
/// Several sets give the union of their class lists, by name, in the order of first appearance. Labels are taken as
/// they are: what one set calls background stays background, even where another set has a class for it.
public struct SegmentationDataset: Sendable {
    public let classes: [LabelClass]
    /// One for each data set.
    public let maps: [LabelMap]
    private let pairings: [[DatasetSplit: Pairing]]
    /// How the classes and label values came about, a line a data set.
    public let mapping: [String]

    /// Reads layouts and class lists, but no image. Throws ``DatasetError``.
    public init(_ options: DatasetOptions) throws {
        precondition(!options.folders.isEmpty, "no data folder")
        let sets = try options.folders.map { folder -> (folder: String, layout: DatasetLayout, classes: [LabelClass]) in
            let layout = try options.layout ?? DatasetLayout.detect(folder)
            return (folder, layout, try layout.classes(folder))
        }
        var union: [LabelClass] = []
        for set in sets { union += set.classes.filter { new in !union.contains { $0.name == new.name } } }
        guard union.count <= LabelMap.maximumClasses else {
            throw DatasetError(.invalid, path: sets[0].folder, reason: "has \(union.count) classes, more than 65,534")
        }
        classes = union
        maps = try sets.map { try LabelMap(options, $0.layout, own: $0.classes, union: union) }
        pairings = sets.map { set in
            Dictionary(uniqueKeysWithValues: DatasetSplit.allCases.map { ($0, set.layout.pairing(set.folder, $0)) })
        }
        mapping = sets.map { set in
            "\(set.folder): layout \(set.layout.rawValue), \(set.classes.count) classes"
                + (options.zeroIsVoid(set.layout) ? ", label 0 is void, n is class n − 1" : "")
                + (options.labelMap.map { ", labels by \($0)" } ?? "") + ", \(options.ignoreIndex) is void"
        }
    }

    /// The pairs of a split in a fixed order, and the photos without a mask. A data set may lack `val`, not `train`.
    /// Throws ``DatasetError``.
    public func images(_ split: DatasetSplit) throws -> (pairs: [LabelledImage], incomplete: [String]) {
        var result: (pairs: [LabelledImage], incomplete: [String]) = ([], [])
        for (source, pairing) in pairings.enumerated() {
            guard let pairing = pairing[split], split == .train || pairing.exists else { continue }
            let found = try pairing.pairs(source: source)
            if found.pairs.isEmpty {
                throw DatasetError(
                    .invalid, path: pairing.images, reason: "holds no photo with a mask in \(pairing.masks)")
            }
            result.pairs += found.pairs
            result.incomplete += found.incomplete
        }
        return result
    }

    /// A photo and the class of each of its pixels (``LabelMap/void`` where none counts).
    /// Throws ``ImageError`` or ``DatasetError``.
    public func load(_ pair: LabelledImage) throws -> (image: RGBImage, mask: IndexMask) {
        let image = try decodeImage(pair.image)
        let mask = try loadMask(pair)
        guard (image.width, image.height) == (mask.width, mask.height) else {
            throw DatasetError.sizes(pair, (image.width, image.height), (mask.width, mask.height))
        }
        return (image, mask)
    }

    /// The mask alone, as ``load(_:)`` gives it.
    public func loadMask(_ pair: LabelledImage) throws -> IndexMask {
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

extension DatasetOptions {
    fileprivate func zeroIsVoid(_ layout: DatasetLayout) -> Bool {
        labelMap == nil && (reducesZeroLabel || layout == .ade20k)
    }
}

extension LabelMap {
    /// The map of a data set whose own class list is `own`, into the indices of `union`.
    fileprivate init(
        _ options: DatasetOptions, _ layout: DatasetLayout, own: [LabelClass], union: [LabelClass]
    ) throws {
        if let path = options.labelMap {
            self = try LabelMap.read(path, classes: union, ignoreIndex: options.ignoreIndex)
            return
        }
        let place = Dictionary(uniqueKeysWithValues: union.enumerated().map { ($1.name, $0) })
        let values = layout.values(classes: own.count)
        self.init(
            indices: values.indices.map { $0 < 0 ? nil : place[own[$0].name] }, ignoreIndex: options.ignoreIndex)
        values.void.forEach { setVoid($0) }
        if options.zeroIsVoid(layout) { reduceZeroLabel(ignoreIndex: options.ignoreIndex) }
    }
}

extension Pairing {
    var exists: Bool { FileManager.default.fileExists(atPath: list ?? images) }
}

extension DatasetError {
    static func sizes(_ pair: LabelledImage, _ image: (Int, Int), _ mask: (Int, Int)) -> DatasetError {
        DatasetError(
            .invalid, path: pair.mask,
            reason: "is \(mask.0)×\(mask.1) pixels, but its photo \(pair.image) is \(image.0)×\(image.1)")
    }
}
