import BEiTDatasets
import BEiTImageIO

/// The images that a command was given, as a source of photos.
extension [InputImage] {
    /// What is known to be unreadable is not opened.
    package func photos(as reading: ImageReading) -> some PhotoSource { InputPhotos(images: self, reading: reading) }
}

private struct InputPhotos: PhotoSource {
    let images: [InputImage]
    let reading: ImageReading

    var count: Int { images.count }
    func name(_ index: Int) -> String { images[index].path }
    func path(_ index: Int) -> String? { images[index].path }

    func header(_ index: Int) throws -> ImageHeader {
        if let problem = images[index].problem { throw problem }
        return try imageHeader(images[index].path, page: reading.page)
    }

    func decode(_ index: Int, shrinkingTo shortSide: Int?) throws -> RGBImage {
        if let problem = images[index].problem { throw problem }
        return try decodeImage(images[index].path, as: reading, shrinkingTo: shortSide)
    }
}
