import BEiTImageIO

/// Photos that something runs over, by their numbers. Where they lie (in files, in archives) is its own affair.
package protocol PhotoSource: Sendable {
    var count: Int { get }
    /// What people and records call a photo.
    func name(_ index: Int) -> String
    /// What it is opened by: a file, or a member of an archive.
    func path(_ index: Int) -> String?
    /// Throws `FileError` or ``ImageError``, as the following.
    func header(_ index: Int) throws -> ImageHeader
    /// - Parameter shortSide: as of `decodeImage`.
    func decode(_ index: Int, shrinkingTo shortSide: Int?) throws -> RGBImage
    /// The files that hold photos and masks, to notice whether they change.
    var files: [String] { get }
    /// Photos that follow each other in one file.
    var stretches: [Range<Int>] { get }
}

extension PhotoSource {
    package func decode(_ index: Int) throws -> RGBImage { try decode(index, shrinkingTo: nil) }

    /// What people and records call the photos.
    package var names: [String] { (0..<count).map(name) }

    package var stretches: [Range<Int>] { (0..<count).map { $0..<$0 + 1 } }
    package var files: [String] { (0..<count).lazy.map(name).files }

    /// The bytes that decoding a photo will take; 0 where it cannot be read.
    package func decodedBytes(_ index: Int, shrinkingTo shortSide: Int? = nil) -> Int {
        (try? header(index))?.decodedBytes(shrinkingTo: shortSide) ?? 0
    }
}

/// Photos that are a file each, or members of shards (``Shards``).
package struct PhotoPaths: PhotoSource {
    package let paths: PathTable
    package let reading: ImageReading

    package init(_ paths: some Sequence<String>, as reading: ImageReading = ImageReading()) {
        self.init(PathTable(paths), as: reading)
    }

    package init(_ paths: PathTable, as reading: ImageReading = ImageReading()) {
        (self.paths, self.reading) = (paths, reading)
    }

    package var count: Int { paths.count }
    package func name(_ index: Int) -> String { paths[index] }
    package func path(_ index: Int) -> String? { paths[index] }
    package var stretches: [Range<Int>] { paths.stretches }
    package func header(_ index: Int) throws -> ImageHeader { try imageHeader(paths[index], page: reading.page) }

    package func decode(_ index: Int, shrinkingTo shortSide: Int?) throws -> RGBImage {
        try decodeImage(paths[index], as: reading, shrinkingTo: shortSide)
    }
}
