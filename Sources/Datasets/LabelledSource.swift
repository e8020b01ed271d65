import BEiTImageIO

/// Photos with a class for each of their pixels, by their numbers. Where photos and masks lie is its own affair.
package protocol LabelledSource: PhotoSource {
    /// The class of each pixel of a photo, ``LabelMap/void`` where none counts.
    /// Throws `FileError`, ``ImageError``, ``DatasetError`` or ``OutsideClasses``.
    func mask(_ index: Int) throws -> IndexMask
    /// The number of the data set that a photo belongs to.
    func set(_ index: Int) -> Int
    /// All files, to notice whether they change.
    var files: [String] { get }
}

/// Photos of data sets with their masks, a file each.
package struct LabelledFiles: LabelledSource {
    private let dataset: SegmentationDataset
    private let pairs: [LabelledImage]

    package init(_ dataset: SegmentationDataset, _ pairs: [LabelledImage]) {
        (self.dataset, self.pairs) = (dataset, pairs)
    }

    package var count: Int { pairs.count }
    /// A file with the shapes of many photos once.
    package var files: [String] {
        var seen: Set<String> = []
        return pairs.flatMap { [$0.image, $0.mask] }.filter { seen.insert($0).inserted }
    }
    package func name(_ index: Int) -> String { pairs[index].image }
    package func path(_ index: Int) -> String? { pairs[index].image }

    package func header(_ index: Int) throws -> ImageHeader {
        let header = try imageHeader(pairs[index].image, page: dataset.reading.page)
        return try dataset.storedTurn(of: pairs[index])?.exchangesSides == true ? header.exchangingSides : header
    }

    /// As its mask lies; one that lies otherwise than its Exif says comes whole.
    package func decode(_ index: Int, shrinkingTo shortSide: Int?) throws -> RGBImage {
        try dataset.photo(of: pairs[index], shrinkingTo: shortSide)
    }

    package func set(_ index: Int) -> Int { pairs[index].source }
    package func mask(_ index: Int) throws -> IndexMask { try dataset.loadMask(pairs[index]) }
}

extension LabelledSource {
    /// The photos of each of `sets` data sets.
    package func counts(sets: Int) -> [Int] {
        var counts = [Int](repeating: 0, count: sets)
        for index in 0..<count { counts[set(index)] += 1 }
        return counts
    }
}
