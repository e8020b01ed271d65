import BEiTImageIO

/// Photos that something runs over, by their numbers. Where they lie (in files, in archives) is its own affair.
package protocol PhotoSource: Sendable {
    var count: Int { get }
    /// What people and records call a photo.
    func name(_ index: Int) -> String
    /// The file that holds it and nothing else, where there is one.
    func path(_ index: Int) -> String?
    /// Throws `FileError` or ``ImageError``, as the following.
    func header(_ index: Int) throws -> ImageHeader
    /// - Parameter shortSide: as of `decodeImage`.
    func decode(_ index: Int, shrinkingTo shortSide: Int?) throws -> RGBImage
}

extension PhotoSource {
    package func decode(_ index: Int) throws -> RGBImage { try decode(index, shrinkingTo: nil) }

    /// What people and records call the photos.
    package var names: [String] { (0..<count).map(name) }

    /// The bytes that decoding a photo will take; 0 where it cannot be read.
    package func decodedBytes(_ index: Int, shrinkingTo shortSide: Int? = nil) -> Int {
        (try? header(index))?.decodedBytes(shrinkingTo: shortSide) ?? 0
    }
}

/// Photos that are a file each.
package struct PhotoPaths: PhotoSource {
    package let paths: [String]
    package let reading: ImageReading

    package init(_ paths: [String], as reading: ImageReading = ImageReading()) {
        (self.paths, self.reading) = (paths, reading)
    }

    package var count: Int { paths.count }
    package func name(_ index: Int) -> String { paths[index] }
    package func path(_ index: Int) -> String? { paths[index] }
    package func header(_ index: Int) throws -> ImageHeader { try imageHeader(paths[index], page: reading.page) }

    package func decode(_ index: Int, shrinkingTo shortSide: Int?) throws -> RGBImage {
        try decodeImage(paths[index], as: reading, shrinkingTo: shortSide)
    }
}
