import BEiTCheckpoints
import BEiTDatasets
import BEiTFiles
import BEiTImageIO
import BEiTProcesses
import Foundation

/// Masks to score against, each with a photo or with a prediction of another program.
package struct LabelledSet: Sendable {
    /// `image` is the photo or the prediction.
    package let pairs: [LabelledImage]
    /// Photos without a mask, or masks without a prediction.
    package let incomplete: [String]
    /// Nil where nothing names the classes.
    package let classes: [LabelClass]?
    /// Whether the masks' values are taken for the indices of a model's classes, for want of a list of their own.
    private let takesModelsClasses: Bool
    /// Of the photos.
    let page: Int
    private let listing: [LabelNote]
    private let labels: Labels
    /// Of predictions; nil where photos are segmented.
    private let predictions: LabelReader?

    private enum Labels: Sendable {
        case dataset(SegmentationDataset)
        case reader(LabelReader, LabelRules)
    }

    /// The images of a data set's split. Throws ``DatasetError``.
    /// - Parameter page: of the photos.
    package init(_ options: DatasetOptions, _ split: DatasetSplit, page: Int = 1) throws {
        var reading = ImageReading()
        reading.page = page
        let dataset = try SegmentationDataset(options, as: reading)
        let found = try dataset.images(split)
        guard !found.pairs.isEmpty else {
            throw DatasetError(
                .invalid, path: dataset.options.folders.joined(separator: ", "),
                reason: "has no split \(split.rawValue)", .split)
        }
        (pairs, incomplete, listing) = (found.pairs, found.incomplete, Self.notes(found))
        (classes, labels, predictions, takesModelsClasses) = (dataset.classes, .dataset(dataset), nil, false)
        self.page = page
    }

    /// Photos and masks of the same names in two folders, or in one.
    /// - Parameters:
    ///   - classes: those of the masks, where `rules` name no file.
    ///   - page: of the photos.
    /// - Throws: ``DatasetError``.
    package init(
        images: String, masks: String, _ rules: LabelRules, classes: [LabelClass], page: Int = 1
    ) throws {
        let found = try Pairing(images: images, masks: masks, maskEnding: rules.maskSuffix).files()
        try Self.requirePairs(found, images, "holds no photo with a mask of the same name in \(masks)")
        let listed = try rules.classes.map { try ClassList.read($0) }
        (pairs, incomplete, listing) = (found.pairs, found.incomplete, Self.notes(found))
        (self.classes, takesModelsClasses) = (listed ?? classes, listed == nil)
        (labels, predictions) = (.reader(try LabelReader(rules, listed ?? classes, page: page), rules), nil)
        self.page = page
    }

    /// Masks and predictions of the same names in two folders.
    ///
    /// - Parameter values: what the predictions hold; nil: what their values tell, see ``PredictionValues``.
    /// - Throws: ``DatasetError``.
    package init(
        predictions: String, masks: String, _ rules: LabelRules, values: PredictionValues? = nil
    ) throws {
        // A folder of predictions may hold more than masks (overlays); what counts is that each mask has its prediction.
        var pairing = Pairing(
            images: masks, masks: predictions, imageEnding: rules.maskSuffix ?? "", maskEnding: "")
        pairing.mayBeOneFolder = false
        let found = try pairing.files()
        try Self.requirePairs(found, predictions, "holds no prediction for a mask in \(masks)")
        pairs = found.pairs.map { LabelledImage(image: $0.mask, mask: $0.image) }
        (incomplete, takesModelsClasses, page) = (found.incomplete, false, 1)
        classes = try rules.classes.map { try ClassList.read($0) }
        labels = .reader(try LabelReader(rules, classes), rules)
        let kind = try values ?? PredictionValues.found(pairs, rules, classes)
        self.predictions = try kind == .masks ? LabelReader(rules, classes) : LabelReader(LabelRules(), classes)
        listing = kind.note(rules).map { [$0] } ?? []
    }

    private static func requirePairs(_ found: PairedFiles, _ path: String, _ reason: String) throws(DatasetError) {
        if found.pairs.isEmpty { throw DatasetError(.invalid, path: path, reason: reason, .suffix) }
    }

    private static func notes(_ found: PairedFiles) -> [LabelNote] {
        let spare = PairedFiles.spareNote(found.spareMasks)
        return found.notes + (spare.map { [$0] } ?? [])
    }

    /// What was decided and found odd so far, for people: the listing's, then what the reading of masks found.
    package var notes: [LabelNote] {
        let read: [LabelNote] =
            switch labels {
            case .dataset(let dataset): dataset.notes
            case .reader(let reader, _): reader.notes
            }
        let predicted = predictions?.notes ?? []
        return listing + read + predicted.filter { !read.contains($0) }
    }

    /// Has ``notes`` tell of what all processes have read.
    func gatherNotes(_ team: any Communicator) throws {
        switch labels {
        case .dataset(let dataset): try dataset.gatherNotes(team)
        case .reader(let reader, _): try reader.gatherNotes(team)
        }
        try predictions?.gatherNotes(team)
    }

    /// The class of each pixel of a mask: an index of ``classes``, or ``LabelMap/void``.
    /// Throws ``FileError``, ``ImageError``, ``DatasetError`` for sizes that differ, and ``OutsideClasses``.
    func label(_ pair: LabelledImage) throws -> IndexMask {
        switch labels {
        case .dataset(let dataset): try dataset.loadMask(pair)
        case .reader(let reader, _): try predictions == nil ? reader.mask(of: pair) : reader.classes(of: pair.mask)
        }
    }

    /// The photo as stored, where its Exif would turn it and must not; nil for any other.
    func storedPhoto(_ pair: LabelledImage, as reading: ImageReading) throws -> RGBImage? {
        switch labels {
        case .dataset(let dataset): try dataset.storedPhoto(of: pair, as: reading)
        case .reader(let reader, _): try reader.storedPhoto(of: pair, as: reading)
        }
    }

    /// The predicted class of each pixel, or ``LabelMap/void``. Throws as ``label(_:)``.
    func prediction(_ pair: LabelledImage) throws -> IndexMask {
        guard let predictions else { preconditionFailure("a set of photos has no predictions") }
        return try predictions.classes(of: pair.image)
    }

    /// Throws ``DatasetError`` where masks hold 0 and 255 alone, and nobody said what 255 is: one of two classes would have
    /// no pixel. Reads masks until they hold another value.
    func checkVoid() throws(DatasetError) {
        let isAsked =
            switch labels {
            case .dataset(let set):
                set.options.ignoreIndex == nil && !set.options.isBinary && !set.isAnnotated
                    && set.options.labelMaps.allSatisfy { $0 == nil }
            case .reader(_, let rules): rules.ignoreIndex == nil && !rules.isBinary && rules.labelMap == nil
            }
        guard isAsked, classes.map({ $0.count == 2 }) ?? true else { return }
        var (pixels, void) = ([0, 0], 0)
        for pair in pairs {
            // What cannot be read is said where it is scored.
            guard let mask = try? label(pair) else { continue }
            for value in mask.values {
                if value == LabelMap.void { void += 1 } else if value < 2 { pixels[Int(value)] += 1 } else { return }
            }
            if pixels[0] > 0, pixels[1] > 0 { return }
        }
        try BinaryMasks.check(
            classes ?? LabelClass.unnamed(2), pixels: pixels, void: void,
            path: pairs[0].mask.parent)
    }

    /// For each class of the set its index in a model.
    ///
    /// - Parameter file: the model's, where there is more than one and the error should name it.
    /// - Throws: ``DatasetError`` for classes that the model does not know.
    package func indices(in model: [LabelClass], file: String? = nil) throws(DatasetError) -> [UInt16] {
        let classes = classes ?? []
        let matching = matching(model)
        if let places = matching.complete { return places.map { UInt16($0) } }
        let masks = pairs[0].mask.parent
        throw DatasetError(
            .invalid, path: file ?? masks,
            reason:
                "the \(classes.count) classes of \(file == nil ? "the masks" : masks) are not among the \(model.count) of "
                + "the model: it does not know \(matching.strangerList)", .classes)
    }

    /// Which classes of a model may be background where the set's labels say so: those that it has no label for. Nil where
    /// there are none, or the set has no background.
    package func background(in model: [LabelClass]) -> SetBackground? {
        let classes = classes ?? []
        return matching(model).complete.flatMap { SetBackground(classes, at: $0, of: model.count) }
    }

    private func matching(_ model: [LabelClass]) -> ClassMatching { ClassMatching(classes ?? [], in: model) }

    /// That classes go by their position, in a sentence; nil where they go by name.
    package func positionNote(_ model: [LabelClass]) -> LabelNote? {
        if takesModelsClasses {
            return LabelNote(
                "the masks' values are taken for the indices of the model's \(model.count) classes", .classes)
        }
        guard matching(model).isByPosition else { return nil }
        return LabelNote(
            "the classes of the masks or of the model have no names, so class i of the one is taken for class i of the other",
            .classes, isWarning: true)
    }
}
