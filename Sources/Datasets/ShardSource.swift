import BEiTFiles
import BEiTImageIO

/// A data set that is packed into shards: labelled photos, class folders, or photos.
package struct ShardSource: Sendable {
    package enum Kind: String, CaseIterable, Sendable {
        case segmentation, classification, photos
    }
    package let kind: Kind
    package private(set) var parts: [ShardPart]
    /// Nil where photos have none.
    let classes: [LabelClass]?
    let dataset: SegmentationDataset?
    let drawsMasks: Bool
    let reading: ImageReading

    /// - Parameter kind: nil: as the folder looks.
    /// - Throws: ``DatasetError``, `FileError`, `ArchiveError`.
    package init(_ options: DatasetOptions, _ kind: Kind? = nil, as reading: ImageReading = ImageReading()) throws {
        let folder = options.folders[0]
        if let shards = try Shards(folder), try !FileSystem.isFolder(folder) || PhotoListing(folder).names.isEmpty {
            throw DatasetError(
                .invalid, path: folder,
                reason:
                    "it is packed already, such as \(shards.paths[0].lastName.shown); name the set that it was made of")
        }
        self.kind = try kind ?? Self.kind(of: folder, options.layout)
        self.reading = reading
        switch self.kind {
        case .segmentation:
            let set = try SegmentationDataset(options, as: reading)
            (dataset, classes, drawsMasks) = (set, set.classes, set.masksHaveOtherValues)
            parts = try set.parts().map { part in
                let names = Self.names(part.pairs.map(\.image))
                var result = ShardPart(name: part.split ?? "shard", items: [])
                result.items = zip(part.pairs, names).map { ShardItem(photo: $0.image, name: $1, pair: $0) }
                result.notes = part.remarks.filter(\.isWarning).map(\.text)
                return result
            }
        case .classification:
            let set = try ClassFolders([folder], DatasetSplit.allCases, as: reading)
            (dataset, drawsMasks) = (nil, false)
            classes = LabelClass.named(set.classes)
            parts = DatasetSplit.allCases.filter { !set.images($0).isEmpty }.map { split in
                let images = set.images(split)
                let items = zip(images, Self.names(images.map(\.path))).map {
                    ShardItem(photo: $0.path, name: $1, label: $0.label)
                }
                return ShardPart(name: split.rawValue, items: items)
            }
            if let first = parts.indices.first { parts[first].notes = set.unreadable.map { "left out: \($0)" } }
        case .photos:
            (dataset, classes, drawsMasks) = (nil, nil, false)
            let listing = try PhotoListing(folder)
            let names = try listing.requireNames()
            let isHeldOut = names.map(PhotoDataset.isHeldOut)
            let divided = isHeldOut.contains(true)
            parts = [false, true].map { held in
                let items = zip(names, isHeldOut).filter { $0.1 == held }.map {
                    ShardItem(photo: folder.joined($0.0), name: $0.0)
                }
                return ShardPart(name: divided ? (held ? "val" : "train") : "shard", items: items)
            }.filter { !$0.items.isEmpty }
            parts[0].notes =
                listing.problems.map { "left out: \($0)" } + [listing.leftOut.description].compactMap { $0 }
        }
    }

    /// Keeps one split. Throws ``DatasetError`` where there is none of that name.
    package mutating func keep(_ split: String) throws(DatasetError) {
        guard let part = parts.first(where: { $0.name == split }) else {
            let known = parts.map(\.name).joined(separator: ", ")
            throw DatasetError(.invalid, path: split, reason: "there is no such split; there is \(known)", .split)
        }
        parts = [part]
    }

    private static func kind(of folder: String, _ layout: DatasetLayout?) throws -> Kind {
        if layout != nil || (try? DatasetLayout.detect(folder)) != nil { return .segmentation }
        guard FileSystem.exists(folder) else {
            throw DatasetError(.missing, path: folder, reason: "there is no such data folder")
        }
        guard let root = FoundPhoto.root(folder, .train) else { return .photos }
        return try FileSystem.names(in: root).contains { FileSystem.isFolder(root.joined($0)) }
            ? .classification : .photos
    }

    /// Below the folder that all of them lie in.
    private static func names(_ paths: [String]) -> [String] {
        let folders = paths.map { $0.split(separator: "/", omittingEmptySubsequences: false).dropLast() }
        var shared = folders.first.map { Array($0) } ?? []
        for folder in folders { shared = zip(shared, folder).prefix { $0 == $1 }.map(\.0) }
        return paths.map { path in
            path.split(separator: "/", omittingEmptySubsequences: false).dropFirst(shared.count).joined(separator: "/")
        }
    }
}
