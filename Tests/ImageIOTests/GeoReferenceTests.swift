import Foundation
import Testing

@testable import BEiTImageIO

/// An image on a map, with the transform and the code that GDAL reads (`scripts/make-codec-fixtures.py`).
private struct MappedImage: Decodable, Sendable {
    let file: String
    let transform: [Double]
    let epsg: Int?

    static func all() throws -> [MappedImage] {
        let data = try Data(contentsOf: URL(fileURLWithPath: try fixture("codecs/maps.json")))
        return try JSONDecoder().decode([MappedImage].self, from: data)
            .filter { ImageCodec.endings.contains(String($0.file.split(separator: ".").last ?? "")) }
    }
}

@Suite struct GeoReferenceTests {
    @Test(arguments: try MappedImage.all()) private func isWhatGDALReads(_ image: MappedImage) throws {
        let place = try #require(try GeoReference(of: try fixture("codecs/" + image.file)))
        let found = [place.columnX, place.rowX, place.originX, place.columnY, place.rowY, place.originY]
        for (a, b) in zip(found, image.transform) { #expect(abs(a - b) <= 1e-12 * max(1, abs(b)), "\(image.file)") }
        #expect(place.epsg == image.epsg)
        let corner = place.place(column: 2, row: 3)
        #expect(corner.x == place.originX + 2 * place.columnX + 3 * place.rowX)
        #expect(corner.y == place.originY + 2 * place.columnY + 3 * place.rowY)
    }

    @Test func othersLieOnNoMap() throws {
        #expect(try GeoReference(of: try fixture("photo/photo.png")) == nil)
        #expect(try GeoReference(of: try fixture("photo/photo.jpg")) == nil)
    }

    @Test(arguments: ["", "1 2 3", "1 0 0 1 x 5", "1 0 0 nan 4 5", "0 0 0 0 4 5", "1 0 0 1 4 5 6"])
    func noWorldFile(_ text: String) { #expect(GeoReference(world: text) == nil) }
}
