import BEiTAnnotations
import BEiTFiles
import BEiTImageIO
import BEiTProcesses
import Foundation

/// Labelled photos of one or several data sets that share one list of classes.
///
/// Several sets give the union of their classes, by name, in the order of first appearance; of a set with a label map,
/// the classes that its map names. Labels are read as they are: what one set calls background stays background, even where
/// another set has a class for it, unless a label map says otherwise; ``backgrounds`` says what it may be.
package struct SegmentationDataset: Sendable {
    package let classes: [LabelClass]
    package let options: DatasetOptions
    /// How photos are read.
    package let reading: ImageReading
    private let sources: [LabelSource]
    /// One for each data set.
    private let readers: [LabelReader]
    /// The classes that each set labels, by their indices.
    package let labelled: [[Int]]
    /// What each set's background may be; nil where it is nothing but itself.
    package let backgrounds: [SetBackground?]
    /// How the classes and label values came about, a line a data set.
    package let mapping: [String]

    /// Reads layouts, class lists and label maps, but no image. Throws ``DatasetError``.
    ///
    /// - Precondition: there is a folder, and the options have no problem.
    package init(_ options: DatasetOptions, as reading: ImageReading = ImageReading()) throws {
        precondition(!options.folders.isEmpty, "no data folder")
        precondition(options.problem == nil, options.problem ?? "")
        let sets = try options.folders.enumerated().map { index, folder in
            let layout = try options.layout ?? DatasetLayout.detect(folder)
            let annotations = try layout == .annotations ? AnnotationSet(reading: folder, options.annotations) : nil
            let shards = try layout == .shards ? LabelledShards(Shards.required(folder)) : nil
            return LabelSource(
                folder: folder, layout: layout,
                listed: try annotations?.classes ?? shards?.classes ?? layout.classes(folder),
                map: try options.labelMap(index).map(LabelMapFile.read), annotations: annotations, shards: shards)
        }
        let known = sets.flatMap(\.listed) + sets.flatMap { $0.map?.newClasses ?? [] }
        let own = try sets.map { try $0.classes(known: known) }
        var union: [LabelClass] = []
        for classes in own { union += classes.filter { new in !union.contains { $0.name == new.name } } }
        // Beside the classes each further set's background may need a label (``BackgroundLabels``).
        guard union.count + sets.count - 1 <= LabelMap.maximumClasses else {
            throw DatasetError(.invalid, path: sets[0].folder, reason: "has \(union.count) classes, more than 65,534")
        }
        if options.isBinary, let set = sets.first(where: { $0.listed.count != 2 }) {
            throw DatasetError(
                .invalid, path: set.folder, reason: "has \(set.listed.count) classes, and binary masks have two",
                .binary)
        }
        (self.options, self.reading, classes, sources) = (options, reading, union, sets)
        readers = try sets.map { try $0.reader(options, union, page: reading.page) }
        let places = Dictionary(uniqueKeysWithValues: union.enumerated().map { ($1.name, $0) })
        let labelled = own.map { $0.compactMap { places[$0.name] } }
        backgrounds = zip(own, labelled).map { SetBackground($0, at: $1, of: union.count) }
        self.labelled = labelled
        mapping = sets.map { options.meaning(of: $0) }
    }

    /// The photos and masks of a split in a fixed order. A data set may lack `val`, and then holds out what
    /// ``DatasetOptions/validationShare`` says; of any other split one set must have some.
    /// Throws ``DatasetError``.
    package func images(_ split: DatasetSplit) throws -> PairedFiles {
        var result = PairedFiles()
        var isThere = false
        for (index, source) in sources.enumerated() {
            guard let found = try images(split, of: source, index) else { continue }
            isThere = true
            result += found
        }
        guard isThere || split == .val else {
            let known = Set(sources.flatMap(\.splits)).sorted()
            throw DatasetError(
                .invalid, path: options.folders.joined(separator: ", "),
                reason: "has no split \(split.rawValue)"
                    + (known.isEmpty ? "" : "; there is \(known.prefix(8).joined(separator: ", "))"), .split)
        }
        return result
    }

    /// Nil where the set has no such split.
    private func images(_ split: DatasetSplit, of source: LabelSource, _ index: Int) throws -> PairedFiles? {
        func found(_ split: DatasetSplit) throws -> PairedFiles? {
            if let annotations = source.annotations { return try annotations.files(split, source: index) }
            if let shards = source.shards { return try shards.files(split, source: index) }
            guard let pairing = source.layout.pairing(source.folder, split, maskEnding: options.maskSuffix) else {
                return nil
            }
            let found = try pairing.files(source: index)
            if found.pairs.isEmpty {
                throw DatasetError(
                    .invalid, path: pairing.images, reason: "holds no photo with a mask in \(pairing.masks)", .suffix)
            }
            return found
        }
        let divides = options.validationShare > 0 && [.train, .val].contains(split)
        guard divides, !source.has(.val), var all = try found(.train) else {
            return try found(split)
        }
        let isHeldOut = HeldOut(all.pairs.map(\.image), in: source.folder, share: options.validationShare)
        all.pairs = all.pairs.filter { isHeldOut($0.image) == (split == .val) }
        // What the listing left out belongs to the training photos.
        return split == .train ? all : PairedFiles(pairs: all.pairs)
    }

    /// How its Exif would turn a photo that the options say to take as stored; nil for any other.
    func storedTurn(of pair: LabelledImage) throws -> Orientation? { try readers[pair.source].storedTurn(of: pair) }

    /// A photo as its mask lies; one that lies otherwise than its Exif says comes whole. Throws `FileError`, ``ImageError``.
    ///
    /// - Parameter shortSide: as of `decodeImage`.
    package func photo(of pair: LabelledImage, shrinkingTo shortSide: Int?) throws -> RGBImage {
        try storedPhoto(of: pair, as: reading) ?? decodeImage(pair.image, as: reading, shrinkingTo: shortSide)
    }

    /// The photo as stored, where its Exif would turn it and the options say not to; nil for any other.
    package func storedPhoto(of pair: LabelledImage, as reading: ImageReading) throws -> RGBImage? {
        try readers[pair.source].storedPhoto(of: pair, as: reading)
    }

    /// The class of each pixel of a photo (``LabelMap/void`` where none counts).
    /// Throws ``ImageError``, ``DatasetError`` or ``OutsideClasses``.
    package func loadMask(_ pair: LabelledImage) throws -> IndexMask { try readers[pair.source].mask(of: pair) }

    /// What the reading of masks decided and found odd so far.
    ///
    /// Those of readers are of what this process has read, or after ``gatherNotes(_:)`` all have.
    package var notes: [LabelNote] { sources.flatMap { $0.annotations?.labelNotes ?? [] } + readers.flatMap(\.notes) }

    package func gatherNotes(_ team: any Communicator) throws { for reader in readers { try reader.gatherNotes(team) } }

    /// Whether some masks are drawn from annotations, and their values are no file's.
    package var isAnnotated: Bool { sources.contains { $0.annotations != nil } }

    /// Whether the values of masks are no indices of ``classes``, with 255 for void.
    var masksHaveOtherValues: Bool {
        options.ignoreIndex ?? 255 != 255 || options.reducesZeroLabel || options.isBinary
            || options.orientation != .upright
            || options.labelMaps.contains { $0 != nil }
            || sources.contains { ![.folders, .voc].contains($0.layout) }
    }

    /// The splits that there are, in the order of their names; none where all photos belong together.
    package var splits: [DatasetSplit] { Set(sources.flatMap(\.splits)).sorted().map(DatasetSplit.init) }

    /// Throws ``DatasetError`` where one of two classes has no pixel at all while 255, which nobody called void, is: masks
    /// of 0 and 255, as paint programs write them.
    package func checkVoid(pixels: [Int], void: Int) throws(DatasetError) {
        guard options.ignoreIndex == nil, !options.isBinary, !isAnnotated, options.labelMaps.allSatisfy({ $0 == nil })
        else { return }
        try BinaryMasks.check(classes, pixels: pixels, void: void, path: options.folders.joined(separator: ", "))
    }
}

/// Masks whose second class is 255 and not 1.
package enum BinaryMasks {
    /// - Parameters:
    ///   - pixels: of each class.
    ///   - void: pixels of 255.
    package static func check(
        _ classes: [LabelClass], pixels: [Int], void: Int, path: String
    ) throws(DatasetError) {
        guard classes.count == 2, void > 0, let absent = pixels.firstIndex(of: 0) else { return }
        throw DatasetError(
            .invalid, path: path,
            reason:
                "no mask has a pixel of `\(classes[absent].name)`, while 255 has some and does not count; say whether 255 is "
                + "the second class, as paint programs write it, or void", .binary)
    }
}

/// Which photos of a set without `val` are held out: a share by a hash of their names, so that a photo stays where it is
/// when others come or go; at least one of several.
private struct HeldOut {
    private let paths: Set<String>

    init(_ paths: [String], in folder: String, share: Double) {
        func draw(_ path: String) -> Double {
            PhotoDataset.draw(TarArchive.split(path)?.member ?? String(path.dropFirst(folder.count).drop { $0 == "/" }))
        }
        var held = Set(paths.filter { draw($0) < share })
        if held.count == paths.count, let most = paths.max(by: { draw($0) < draw($1) }) { held.remove(most) }
        if held.isEmpty, paths.count > 1, let least = paths.min(by: { draw($0) < draw($1) }) { held = [least] }
        self.paths = held
    }

    func callAsFunction(_ path: String) -> Bool { paths.contains(path) }
}

/// A data set's folder and what gives its label values their meaning.
private struct LabelSource {
    var folder: String
    var layout: DatasetLayout
    /// The classes of its own list.
    var listed: [LabelClass]
    var map: LabelMapFile?
    /// Where masks are drawn from them.
    var annotations: AnnotationSet?
    /// Where photos and masks lie in them.
    var shards: LabelledShards?

    func has(_ split: DatasetSplit) -> Bool {
        if let shards { return shards.has(split) }
        return annotations.map { !$0.photos(split.rawValue).isEmpty } ?? (layout.pairing(folder, split) != nil)
    }

    /// None where all photos belong together.
    var splits: [String] {
        shards?.splits ?? annotations.map { $0.isDivided ? $0.splits : [] } ?? layout.splits(folder)
    }

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

    /// Reads its masks into the indices of `union`. Throws ``DatasetError``.
    func reader(_ options: DatasetOptions, _ union: [LabelClass], page: Int) throws -> LabelReader {
        let place = Dictionary(uniqueKeysWithValues: union.enumerated().map { ($1.name, $0) })
        let colors = listed.compactMap { own in place[own.name].map { (own.color, UInt16($0)) } }
        let map = try map(options, union, place)
        return LabelReader(
            map, classes: union.count, colors: colors,
            followsPalettes: self.map == nil && !options.zeroIsVoid(self) && layout != .cityscapes && !options.isBinary,
            options.orientation, annotations, page: page)
    }

    /// Where the masks are drawn, no index of a class is taken for void.
    fileprivate var usualIgnoreIndex: Int {
        annotations == nil ? LabelRules.usualIgnoreIndex : Int(AnnotationSet.void)
    }

    private func map(_ options: DatasetOptions, _ union: [LabelClass], _ place: [String: Int]) throws -> LabelMap {
        let ignoreIndex = options.ignoreIndex ?? usualIgnoreIndex
        if let map { return try LabelMap(map, classes: union, ignoreIndex: ignoreIndex) }
        if options.isBinary {
            let indices = listed.map { place[$0.name] ?? 0 }
            var map = LabelMap(indices: indices, ignoreIndex: options.ignoreIndex ?? -1)
            map.set(255, to: UInt16(indices[1]))
            return map
        }
        let values = layout.values(classes: listed.count)
        var map = LabelMap(
            indices: values.indices.map { $0 < 0 ? nil : place[listed[$0].name] },
            reducingZero: options.zeroIsVoid(self), ignoreIndex: ignoreIndex)
        values.void.forEach { map.setVoid($0) }
        return map
    }
}

extension DatasetOptions {
    fileprivate func zeroIsVoid(_ source: LabelSource) -> Bool {
        source.map == nil && !isBinary && (reducesZeroLabel || source.layout == .ade20k)
    }

    /// For people, in one line.
    fileprivate func meaning(of source: LabelSource) -> String {
        let labels = source.map.map { ", labels by \($0.path): \($0.summary)" }
        let void = ignoreIndex.map { ", \($0) is void" } ?? (source.annotations == nil ? ", 255 is void" : "")
        return "\(source.folder): layout \(source.layout.rawValue), \(source.listed.count) classes"
            + (zeroIsVoid(source) ? ", label 0 is void, n is class n − 1" : "") + (labels ?? "")
            + (isBinary ? ", 255 is \(source.listed[1].name)" : void)
    }
}
