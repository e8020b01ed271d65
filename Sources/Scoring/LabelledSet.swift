import BEiTPrediction
import BEiTMetrics
import BEiTDatasets
import BEiTFiles
import Foundation
import BEiTImageIO

/// What the values of masks mean, where no data set's layout says it.
package struct LabelRules: Sendable {
    package var ignoreIndex = 255
    /// Value 0 is void, and n is class n − 1.
    package var reducesZeroLabel = false
    /// A file of lines `VALUE CLASS`.
    package var labelMap: String?
    /// A file of lines `name R G B`.
    package var classes: String?

    package init() {}

    /// The map of masks with these classes; every value but the ignored one is a class where they are not known.
    func map(_ classes: [LabelClass]?) throws -> LabelMap {
        if let labelMap, let classes {
            return try LabelMap.read(labelMap, classes: classes, ignoreIndex: ignoreIndex)
        }
        var map = LabelMap(
            indices: Array(0..<(classes?.count ?? LabelMap.maximumClasses)), ignoreIndex: ignoreIndex)
        if reducesZeroLabel { map.reduceZeroLabel(ignoreIndex: ignoreIndex) }
        return map
    }
}

/// A value that is no class: the whole score would mean nothing, so it ends the run.
package struct OutsideClasses: ExitStatus, Equatable {
    package var path: String
    package var reason: String
    package var exitStatus: Int32 { 65 }
    package var description: String { "\(path): \(reason)" }
}

/// Masks to score against, each with a photo or with a prediction of another program.
package struct LabelledSet: Sendable {
    /// `image` is the photo or the prediction.
    package let pairs: [LabelledImage]
    /// Photos without a mask, or masks without a prediction.
    package let incomplete: [String]
    /// Masks without a photo.
    package let spareMasks: [String]
    /// Nil where nothing names the classes.
    package let classes: [LabelClass]?
    private let maps: [LabelMap]

    /// The images of a data set's split. Throws ``DatasetError``.
    package init(_ options: DatasetOptions, _ split: DatasetSplit) throws {
        let dataset = try SegmentationDataset(options)
        let found = try dataset.images(split)
        (pairs, incomplete, spareMasks) = (found.pairs, found.incomplete, found.spareMasks)
        guard !pairs.isEmpty else {
            throw DatasetError(
                .invalid, path: options.folders.joined(separator: ", "), reason: "has no split \(split.rawValue)")
        }
        (classes, maps) = (dataset.classes, dataset.maps)
    }

    /// Photos and masks of the same names in two folders.
    /// - Parameter classes: those of the masks, where `rules` name no file.
    /// - Throws: ``DatasetError``.
    package init(images: String, masks: String, _ rules: LabelRules, classes: [LabelClass]) throws {
        try self.init(
            Pairing(images: images, masks: masks).files(), rules,
            classes: rules.classes.map { try ClassList.read($0) } ?? classes,
            nothing: (images, "holds no photo with a mask of the same name in \(masks)"))
    }

    /// Masks and predictions of the same names in two folders. Throws ``DatasetError``.
    package init(predictions: String, masks: String, _ rules: LabelRules) throws {
        // A folder of predictions may hold more than masks (overlays); what counts is that each mask has its prediction.
        let found = try Pairing(images: masks, masks: predictions).files()
        let pairs = found.pairs.map { LabelledImage(image: $0.mask, mask: $0.image) }
        try self.init(
            PairedFiles(pairs: pairs, incomplete: found.incomplete), rules,
            classes: rules.classes.map { try ClassList.read($0) },
            nothing: (predictions, "holds no prediction for a mask in \(masks)"))
    }

    private init(
        _ found: PairedFiles, _ rules: LabelRules, classes: [LabelClass]?,
        nothing: (path: String, reason: String)
    ) throws {
        guard !found.pairs.isEmpty else { throw DatasetError(.invalid, path: nothing.path, reason: nothing.reason) }
        (pairs, incomplete, spareMasks) = (found.pairs, found.incomplete, found.spareMasks)
        self.classes = classes
        maps = [try rules.map(classes)]
    }

    /// The class of each pixel of a mask: an index of ``classes``, or ``LabelMap/void``.
    /// Throws ``FileError``, ``ImageError``, and ``OutsideClasses``.
    func label(_ pair: LabelledImage) throws -> IndexMask {
        var mask = try decodeMask(pair.mask)
        do {
            mask.values = try maps[pair.source].classes(of: mask.values)
        } catch {
            throw OutsideClasses(
                path: pair.mask,
                reason: "holds the label \(error.value), which is none of the \(classes?.count ?? 0) classes; see "
                    + "--classes, --ignore-index, --reduce-zero-label and --label-map")
        }
        return mask
    }

    /// For each class of the set its index in a model.
    ///
    /// By name where the model knows all names; else by index where there are equally many. Throws ``DatasetError``.
    /// - Parameter file: the model's, where there is more than one and the error should name it.
    package func indices(in model: [LabelClass], file: String? = nil) throws -> [UInt16] {
        let classes = classes ?? []
        let places = classes.map { own in model.firstIndex { $0.name == own.name } }
        if !places.contains(nil) { return places.compactMap { $0.map { UInt16($0) } } }
        guard classes.count == model.count else {
            let stranger = zip(classes, places).first { $1 == nil }?.0.name ?? ""
            let masks = (pairs[0].mask as NSString).deletingLastPathComponent
            if let file {
                throw DatasetError(
                    .invalid, path: file,
                    reason: "its \(model.count) classes are not the \(classes.count) of \(masks): it does not know "
                        + "\(stranger); compare models of the same classes")
            }
            throw DatasetError(
                .invalid, path: masks,
                reason: "its \(classes.count) classes are not the model's \(model.count): the model does not know "
                    + "\(stranger); use a model for these classes, or --label-map")
        }
        return (0..<UInt16(model.count)).map { $0 }
    }
}
