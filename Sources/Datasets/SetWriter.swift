import BEiTFiles
import BEiTImageIO
import Foundation

/// Writes labelled photos as a data set of the layout `folders`: `images/SPLIT`, `masks/SPLIT`, and last `classes.txt`, by
/// which a whole set is told from one that is not finished.
package struct SetWriter: Sendable {
    package enum Photos: Sendable {
        /// Symbolic links to where the photos are.
        case links
        case copies
    }

    /// Photos that belong together.
    package struct Part: Sendable {
        /// The name of its folders; nil: none of its own.
        package var split: String?
        package var pairs: [LabelledImage]
        /// What was decided about names, and what was left out.
        package var remarks: [LabelNote] = []

        package init(_ split: String?, _ pairs: [LabelledImage]) { (self.split, self.pairs) = (split, pairs) }

        init(_ split: String?, _ found: PairedFiles) {
            self.init(split, found.pairs)
            remarks = found.notes + found.warnings.map { LabelNote($0, isWarning: true) }
        }
    }

    /// What was written of a part.
    package struct Written: Sendable {
        package var split: String?
        package var images = 0
        /// Of each class, and void ones.
        package var pixels: [Int]
        package var void = 0
    }

    private struct Item: Sendable {
        var pair: LabelledImage
        var part: Int
        var photo, mask: String
    }

    private let dataset: SegmentationDataset
    private let photos: Photos
    private let folder: String
    private let splits: [String?]
    private let items: [Item]
    private let classList: String

    private var list: String { folder / "classes.txt" }

    /// Sees whether all can be written, before anything is.
    ///
    /// - Parameter sources: what is read beside the photos and masks themselves.
    /// - Throws: `FileError` of status 64 where the folder holds a data set already, or something that is read would be
    ///   written to; ``DatasetError`` for classes whose names no list can have.
    package init(
        _ dataset: SegmentationDataset, _ parts: [Part], to folder: String, photos: Photos, sources: [String]
    ) throws {
        (self.dataset, self.photos, self.folder, splits) = (dataset, photos, folder, parts.map(\.split))
        items = parts.enumerated().flatMap { place, part in
            let (images, masks) = (folder / "images", folder / "masks")
            return zip(part.pairs, Self.names(part.pairs.map(\.image))).map { pair, name in
                Item(
                    pair: pair, part: place, photo: (part.split.map { images / $0 } ?? images) / name.photo,
                    mask: (part.split.map { masks / $0 } ?? masks) / name.mask)
            }
        }
        classList = try ClassList.text(dataset.classes, path: folder / "classes.txt")
        if FileSystem.exists(list) {
            throw FileError(.notAFile, path: folder, reason: "it holds a data set already; choose another folder")
        }
        var check = OutputCheck(reads: sources + items.flatMap { [$0.pair.image, $0.pair.mask] })
        try check.check(writeInto: folder)
        for item in items {
            if !isLinked(item) { try check.check(write: item.photo) }
            try check.check(write: item.mask)
        }
        try check.check(write: list)
    }

    package var count: Int { items.count }
    package func pair(_ index: Int) -> LabelledImage { items[index].pair }

    /// Writes all photos and masks, then the class list.
    ///
    /// - Parameter failed: hears of each photo that cannot be read, or whose mask cannot; the rest goes on.
    /// - Returns: what was written, in the order of the parts.
    /// - Throws: `FileError` where writing fails, `Interruption.Stop`.
    package func run(
        threads: Int, progress: (_ done: Int) -> Void, failed: (LabelledImage, any Error) -> Void
    ) throws -> [Written] {
        var result = splits.map { Written(split: $0, pixels: [Int](repeating: 0, count: dataset.classes.count)) }
        let cost = { @Sendable [items, page = dataset.reading.page] in
            2 * decodedBytes(items[$0].pair.image, page: page)
        }
        let loop = ImageLoop(items.count, threads: threads, cost: cost, size: { (_: [Int]) in 0 }) { [self] index in
            try write(items[index])
        }
        try loop.run(progress: progress) { index, error in
            failed(items[index].pair, error)
        } _: { index, counts in
            result[items[index].part].images += 1
            result[items[index].part].void += counts[dataset.classes.count]
            for place in dataset.classes.indices { result[items[index].part].pixels[place] += counts[place] }
        }
        try AtomicFile.write(classList, to: list)
        return result
    }

    /// Returns the pixels of each class, and behind them those that are void.
    private func write(_ item: Item) throws -> [Int] {
        var mask = try dataset.loadMaskAlone(item.pair)
        var counts = [Int](repeating: 0, count: dataset.classes.count + 1)
        for value in mask.values { counts[min(Int(value), dataset.classes.count)] += 1 }
        dataset.prepareForWriting(&mask)
        switch photos {
        case .links: try link(item)
        case .copies: try AtomicFile.copy(item.pair.image, to: item.photo)
        }
        try writePNG(mask, to: item.mask, compression: 6)
        return counts
    }

    private func link(_ item: Item) throws(FileError) {
        guard !isLinked(item) else { return }
        try makeFolder(item.photo.parent)
        let target = FileSystem.realPath(item.pair.image) ?? item.pair.image
        let made = target.withFileSystemName { target in item.photo.withFileSystemName { symlink(target, $0) } }
        if made != 0 { throw FileError.writing(item.photo, doing: "link to the photo") }
    }

    /// Whether the link is there, from a run that did not come to its end.
    private func isLinked(_ item: Item) -> Bool {
        guard photos == .links, FileSystem.status(of: item.photo, followingLinks: false)?.kind == .link,
            let there = FileSystem.status(of: item.photo)
        else { return false }
        return there.identity == FileSystem.status(of: item.pair.image)?.identity
    }

    /// Below the folder that all photos lie in; a mask has the name of its photo, with the photo's ending in it where two
    /// photos have one name but for that.
    private static func names(_ paths: [String]) -> [(photo: String, mask: String)] {
        let folders = paths.map { $0.split(separator: "/", omittingEmptySubsequences: false).dropLast() }
        var shared = folders.first.map { Array($0) } ?? []
        for folder in folders { shared = zip(shared, folder).prefix { $0 == $1 }.map(\.0) }
        let names = paths.map { path in
            path.split(separator: "/", omittingEmptySubsequences: false).dropFirst(shared.count).joined(separator: "/")
        }
        let stems = Dictionary(names.map { ($0.withoutEnding, 1) }, uniquingKeysWith: +)
        return names.map { name in
            let isAlone = stems[name.withoutEnding] == 1
            return (name, (isAlone ? name.withoutEnding : name) + ".png")
        }
    }
}

extension SegmentationDataset {
    /// As ``loadMask(_:)``, where labels outside the classes are the fault of one photo, and the rest goes on.
    func loadMaskAlone(_ pair: LabelledImage) throws -> IndexMask {
        do { return try loadMask(pair) } catch let error as OutsideClasses {
            throw DatasetError(.invalid, path: error.path, reason: error.reason, .values)
        }
    }

    /// Gives a mask of class indices the value that void has in files, and the classes' colours.
    func prepareForWriting(_ mask: inout IndexMask) {
        // One value is left for void: 255 in a byte, else the last of 16 bits.
        let void: UInt16 = classes.count < 256 ? 255 : LabelMap.void
        for place in mask.values.indices where mask.values[place] == LabelMap.void { mask.values[place] = void }
        mask.palette = classes.count < 256 ? classes.map(\.color) : nil
    }

    /// All labelled photos by their splits, whose usual names are `train`, `val` and `test`. Lists that repeat others
    /// (Pascal VOC's `trainval`) are left out. Throws ``DatasetError``.
    package func parts() throws -> [SetWriter.Part] {
        let usual = [DatasetSplit.train, .val, DatasetSplit(rawValue: "test")]
        // Folders of other names alone are scenes or dates, and no division.
        let isDivided = splits.contains { name in usual.contains { $0.folders.contains(name.rawValue) } }
        guard isDivided || options.validationShare > 0 else { return [SetWriter.Part(nil, try images(.train))] }
        let names = isDivided ? splits.filter { $0.rawValue != "trainval" || splits.count == 1 } : [.train, .val]
        return try names.compactMap { split in
            let found = try images(split)
            guard !found.pairs.isEmpty else { return nil }
            let name = usual.first { $0.folders.contains(split.rawValue) } ?? split
            return SetWriter.Part(name.rawValue, found)
        }
    }
}
