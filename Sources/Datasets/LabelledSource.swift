import BEiTImageIO

/// Photos with a class for each of their pixels, by their numbers. Where photos and masks lie is its own affair.
package protocol LabelledSource: PhotoSource {
    /// The class of each pixel of a photo, ``LabelMap/void`` where none counts.
    /// Throws `FileError`, ``ImageError``, ``DatasetError`` or ``OutsideClasses``.
    func mask(_ index: Int) throws -> IndexMask
    /// The number of the data set that a photo belongs to.
    func set(_ index: Int) -> Int
}

/// Photos of data sets with their masks, a file each or members of shards.
package struct LabelledFiles: LabelledSource {
    private let dataset: SegmentationDataset
    private let images, masks: PathTable
    private let sources: [Int]

    package init(_ dataset: SegmentationDataset, _ pairs: [LabelledImage]) {
        (self.dataset, sources) = (dataset, pairs.map(\.source))
        (images, masks) = (PathTable(pairs.lazy.map(\.image)), PathTable(pairs.lazy.map(\.mask)))
    }

    private func pair(_ index: Int) -> LabelledImage {
        LabelledImage(image: images[index], mask: masks[index], source: sources[index])
    }

    package var count: Int { images.count }
    /// A file with the shapes of many photos once, and a shard.
    package var files: [String] { (0..<count).lazy.flatMap { [images[$0], masks[$0]] }.files }
    package func name(_ index: Int) -> String { images[index] }
    package func path(_ index: Int) -> String? { images[index] }
    package var stretches: [Range<Int>] { images.stretches }

    package func header(_ index: Int) throws -> ImageHeader {
        let header = try imageHeader(images[index], page: dataset.reading.page)
        return try dataset.storedTurn(of: pair(index))?.exchangesSides == true ? header.exchangingSides : header
    }

    /// As its mask lies; one that lies otherwise than its Exif says comes whole.
    package func decode(_ index: Int, shrinkingTo shortSide: Int?) throws -> RGBImage {
        try dataset.photo(of: pair(index), shrinkingTo: shortSide)
    }

    package func set(_ index: Int) -> Int { sources[index] }
    package func mask(_ index: Int) throws -> IndexMask { try dataset.loadMask(pair(index)) }
}

extension LabelledSource {
    /// The photos of each of `sets` data sets.
    package func counts(sets: Int) -> [Int] {
        var counts = [Int](repeating: 0, count: sets)
        for index in 0..<count { counts[set(index)] += 1 }
        return counts
    }
}
