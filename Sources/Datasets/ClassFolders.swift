import BEiTFiles
import BEiTImageIO
import BEiTTensorCore
import Foundation
import Synchronization

/// A photo and its class.
package struct ClassifiedImage: Equatable, Sendable {
    package var path: String
    /// An index of ``ClassFolders/classes``.
    package var label: Int
}

/// Photos in class folders or in shards, `train/CLASS/…` and `val/CLASS/…` (ImageNet's form): the class of a photo is the name of the
/// folder below the split.
///
/// Classes are in the byte order of their names, as torchvision's `ImageFolder` has them. Several data sets give the union
/// of their classes, by name.
package struct ClassFolders: Sendable {
    package let classes: [String]
    /// How photos are read.
    package let reading: ImageReading
    private let images: [DatasetSplit: [ClassifiedImage]]
    /// One line for each photo that cannot be read; it is left out.
    package let unreadable: [String]
    /// What is odd but no obstacle, for people.
    private let warnings: [String]
    private let folders: [String]

    /// Lists the photos of `splits` and reads their headers.
    ///
    /// - Throws: ``DatasetError`` for a layout that is no such one, a split of `splits` that is missing, an empty class, or
    ///   too much that is unreadable.
    package init(
        _ folders: [String], _ splits: [DatasetSplit], as reading: ImageReading = ImageReading()
    ) throws {
        precondition(!folders.isEmpty, "no data folder")
        (self.folders, self.reading) = (folders, reading)
        var found: [(split: DatasetSplit, photos: [FoundPhoto])] = []
        var warnings: [String] = []
        let shards = try folders.map { try ClassifiedShards($0) }
        for split in splits {
            let photos = try zip(folders, shards).flatMap { folder, shards in
                try shards?.photos(split, &warnings) ?? FoundPhoto.list(folder, split, &warnings)
            }
            found.append((split, photos))
        }
        let names = Self.order(Set(found.flatMap { $0.photos.map(\.className) }), lists: shards.map { $0?.classes })
        let places = Dictionary(uniqueKeysWithValues: zip(names, 0...))
        var (images, unreadable): ([DatasetSplit: [ClassifiedImage]], [String]) = ([:], [])
        for (split, photos) in found {
            let failures = FoundPhoto.failures(photos, page: reading.page)
            try PhotoDataset.check(failures.sorted { $0.key < $1.key }.map(\.value), of: photos.count)
            unreadable += failures.sorted { $0.key < $1.key }.map(\.value)
            images[split] = photos.indices.filter { failures[$0] == nil }.map {
                ClassifiedImage(path: photos[$0].path, label: places[photos[$0].className] ?? 0)
            }
        }
        (classes, self.images, self.unreadable, self.warnings) = (names, images, unreadable, warnings)
    }

    /// Classes in the order of the list that all sets have, else in the byte order of their names; numbers in theirs.
    private static func order(_ names: Set<String>, lists: [[String]?]) -> [String] {
        if let list = lists[0], lists.allSatisfy({ $0 == list }) { return list.filter(names.contains) }
        let numbers = names.compactMap { Int($0) }.sorted()
        if numbers.map(String.init).count == names.count, Set(numbers.map(String.init)) == names {
            return numbers.map(String.init)
        }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    /// In a fixed order: by data folder, and by name within one.
    package func images(_ split: DatasetSplit) -> [ClassifiedImage] { images[split] ?? [] }

    /// Changes when the photos to learn from or their order do, but not with the place of the data folders.
    package var fingerprint: UInt64 {
        images(.train).map { "\($0.label)/" + $0.path.lastName }.fingerprint
    }

    /// Photos of each class in a split.
    package func counts(_ split: DatasetSplit) -> [Int] {
        images(split).reduce(into: [Int](repeating: 0, count: classes.count)) { $0[$1.label] += 1 }
    }

    /// Throws ``DatasetError`` for what cannot be learned from: a single class, classes without a photo to learn from.
    package func checkForTraining() throws(DatasetError) {
        let path = folders.joined(separator: ", ")
        let counts = counts(.train)
        let unknown = classes.indices.filter { counts[$0] == 0 }.map { classes[$0] }
        if let first = unknown.first {
            let others = unknown.count > 1 ? " and \(unknown.count - 1) more" : ""
            throw DatasetError(
                .invalid, path: path,
                reason: "val has the class \(first)\(others), of which train has no readable photo; add photos to "
                    + "train/\(first), or take the class out of val")
        }
        guard classes.count > 1 else {
            throw DatasetError(
                .invalid, path: path,
                reason:
                    "has one class only, \(classes.first ?? "none"); a classifier needs at least two folders in train")
        }
    }

    /// The findings for people to read.
    package var lines: [String] {
        let most = 20
        let summaries = DatasetSplit.allCases.filter { !images($0).isEmpty }.map { split in
            let counts = counts(split)
            let present = counts.filter { $0 > 0 }
            let largest = counts.max().flatMap { most in counts.firstIndex(of: most).map { (classes[$0], most) } }
            let spread =
                present.min() == present.max()
                ? "\(present.max() ?? 0)" : "\(present.min() ?? 0) to \(present.max() ?? 0)"
            let common = largest.map { ", most of \($0.0)" } ?? ""
            return
                "\(split.rawValue): \(counts.reduce(0, +).counted("photo")) of \(present.count) classes, \(spread) each"
                + (present.min() == present.max() ? "" : common)
        }
        let validated = counts(.val)
        let missing = classes.indices.filter { validated[$0] == 0 }.map { classes[$0] }
        let noVal = images(.val).isEmpty || missing.isEmpty
        return ["data: \(folders.joined(separator: ", ")): class folders, \(classes.count) classes"] + summaries
            + warnings.map { "warning: \($0)" }
            + (noVal
                ? []
                : [
                    "warning: val has no photo of \(missing.prefix(5).joined(separator: ", "))"
                        + (missing.count > 5 ? " and \(missing.count - 5) more classes" : "")
                ])
            + unreadable.prefix(most).map { "warning: left out: \($0)" }
            + (unreadable.count > most ? ["warning: left out: \(unreadable.count - most) more"] : [])
    }
}

/// A photo before the classes have their indices.
struct FoundPhoto {
    var path, className: String

    /// The photos of a data set's split; none where `val` is missing beside `train`.
    static func list(_ folder: String, _ split: DatasetSplit, _ warnings: inout [String]) throws -> [FoundPhoto] {
        guard FileSystem.exists(folder) else {
            throw DatasetError(.missing, path: folder, reason: "there is no such data folder")
        }
        guard let root = root(folder, split) else {
            if split == .val, self.root(folder, .train) != nil { return [] }
            throw DatasetError(
                .invalid, path: folder,
                reason: "has no folder \(split.rawValue) with a folder for each class, such as "
                    + "\(split.rawValue)/CLASS/photo.jpg")
        }
        let shown = try FileSystem.names(in: root).filter { !$0.hasPrefix(".") }
        let classes = shown.filter { FileSystem.isFolder(root.joined($0)) }
        let loose = shown.count { ImageCodec.endings.contains($0.ending.lowercased()) }
        guard !classes.isEmpty else {
            throw DatasetError(
                .invalid, path: root,
                reason: loose > 0
                    ? "\(loose.counted("photo")) in no class folder; move them into \(split.rawValue)/CLASS/"
                    : "holds no class folders; photos belong into \(split.rawValue)/CLASS/")
        }
        if loose > 0 { warnings.append("\(root): \(loose.counted("photo")) outside of class folders left out") }
        var leftOut = LeftOut()
        let photos = try classes.flatMap { name in
            let listing = try PhotoListing(root.joined(name))
            leftOut += listing.leftOut
            warnings += listing.problems.map { "left out: \($0)" }
            guard !listing.names.isEmpty else {
                let others = listing.leftOut.description.map { " (\($0))" } ?? ""
                throw DatasetError(
                    .invalid, path: root.joined(name),
                    reason: "the class has no photo\(others); remove the folder, or put photos into it")
            }
            return listing.names.map { FoundPhoto(path: root.joined(name).joined($0), className: name) }
        }
        if let text = leftOut.description { warnings.append("\(root): \(text)") }
        return photos
    }

    static func root(_ folder: String, _ split: DatasetSplit) -> String? {
        split.folders.map { folder.joined($0) }.first(where: FileSystem.isFolder)
    }

    /// Why photos cannot be read, by their numbers; of many in shards an even sample is looked at.
    static func failures(_ photos: [FoundPhoto], page: Int) -> [Int: String] {
        let failures = Mutex<[Int: String]>([:])
        let isInShard = photos.first.map { TarArchive.split($0.path) != nil } ?? false
        let step = isInShard ? max(1, (photos.count - 1) / PhotoDataset.mostChecked + 1) : 1
        WorkerPool.current.run((photos.count + step - 1) / step) { number in
            let index = number * step
            do { _ = try imageHeader(photos[index].path, page: page) } catch {
                failures.withLock { $0[index] = "\(error)" }
            }
        }
        return failures.withLock { $0 }
    }
}
