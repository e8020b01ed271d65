import BEiTFiles
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

    /// A world file tells of the pixels as stored: for each place of the picture upright, that of the stored pixel shown there.
    @Test(arguments: 1...8) func aTurnedPictureTurnsItsMap(_ exif: UInt16) throws {
        let orientation = try #require(Orientation(rawValue: exif))
        let stored = RGBImage(width: 5, height: 3, pixels: (0..<15).flatMap { [UInt8($0 % 5), UInt8($0 / 5), 0] })
        let world = try #require(GeoReference(world: "0.5 0.125 0.25 -0.75 100 200"))
        var turned = world
        turned.turn(orientation, width: 5, height: 3)
        let upright = stored.turned(orientation)
        for y in 0..<upright.height {
            for x in 0..<upright.width {
                let pixel = 3 * (y * upright.width + x)
                let (column, row) = (Double(upright.pixels[pixel]), Double(upright.pixels[pixel + 1]))
                let (found, wanted) = (
                    turned.place(column: Double(x) + 0.5, row: Double(y) + 0.5),
                    world.place(column: column + 0.5, row: row + 0.5)
                )
                #expect(found == wanted)
            }
        }
    }

    @Test func aWorldFileIsWrittenAsItIsRead() throws {
        let world = try #require(GeoReference(world: "0.1 0.02 0.3 -0.7 100.123456789 200.25"))
        let again = try #require(GeoReference(world: world.world))
        for (a, b) in [(world.originX, again.originX), (world.originY, again.originY)] {
            #expect(abs(a - b) < 1e-12 * abs(a))
        }
        #expect(
            [world.columnX, world.rowX, world.columnY, world.rowY] == [
                again.columnX, again.rowX, again.columnY, again.rowY,
            ])
    }

    @Test func othersLieOnNoMap() throws {
        #expect(try GeoReference(of: try fixture("photo/photo.png")) == nil)
        #expect(try GeoReference(of: try fixture("photo/photo.jpg")) == nil)
    }

    @Test(arguments: ["", "1 2 3", "1 0 0 1 x 5", "1 0 0 nan 4 5", "0 0 0 0 4 5", "1 0 0 1 4 5 6"])
    func noWorldFile(_ text: String) { #expect(GeoReference(world: text) == nil) }
}

#if TIFF
    /// A mask written as TIFF, read again; other programs read it as well (`scripts/check-maps`).
    @Suite struct TIFFWriterTests {
        /// The side of a tile is 256.
        @Test(arguments: [(1, 1), (256, 256), (257, 255), (600, 513)])
        private func valuesAndColoursStay(_ size: (width: Int, height: Int)) throws {
            let folder = try ScratchFolder()
            let values = (0..<size.width * size.height).map { UInt16(($0 * 7 + $0 / size.width) % 200) }
            let palette = ColorMap.colors(200)
            let tiff = try TIFFWriter(
                (folder.path + "/a.tif"), width: size.width, height: size.height, palette: palette)
            for start in stride(from: 0, to: values.count, by: 37 * size.width) {
                let rows = values[start..<min(values.count, start + 37 * size.width)].map { UInt8($0) }
                try rows.withUnsafeBytes { try tiff.write(rows: $0) }
            }
            #expect(!FileManager.default.fileExists(atPath: (folder.path + "/a.tif")))
            try tiff.finish()
            let mask = try decodeMask((folder.path + "/a.tif"))
            #expect(mask.values == values && mask.palette?.prefix(200) == palette[...])
            #expect(try GeoReference(of: (folder.path + "/a.tif")) == nil)
        }

        @Test func manyClassesAreWords() throws {
            let folder = try ScratchFolder()
            let values = (0..<300 * 4).map { UInt16($0 % 1000) }
            let tiff = try TIFFWriter((folder.path + "/a.tif"), width: 300, height: 4, palette: nil, noData: 65_535)
            try values.withUnsafeBytes { try tiff.write(rows: $0) }
            try tiff.finish()
            #expect(try decodeMask((folder.path + "/a.tif")).values == values)
        }

        /// As GDAL's files have it, also rotated, with points for pixels, and with a system that has no code.
        @Test(arguments: try MappedImage.all()) private func theMapStays(_ image: MappedImage) throws {
            let reference = try #require(try GeoReference(of: try fixture("codecs/" + image.file)))
            let folder = try ScratchFolder()
            let tiff = try TIFFWriter(
                (folder.path + "/a.tif"), width: 3, height: 2, palette: ColorMap.colors(4), reference: reference)
            try [UInt8](repeating: 1, count: 6).withUnsafeBytes { try tiff.write(rows: $0) }
            try tiff.finish()
            let again = try #require(try GeoReference(of: (folder.path + "/a.tif")))
            #expect(again.epsg == reference.epsg && again.keys == reference.keys)
            #expect(again.keyTexts == reference.keyTexts && again.metadata == reference.metadata)
            for (column, row) in [(0.0, 0.0), (3, 0), (0, 2)] {
                let (a, b) = (again.place(column: column, row: row), reference.place(column: column, row: row))
                #expect(abs(a.x - b.x) <= 1e-12 * max(1, abs(b.x)) && abs(a.y - b.y) <= 1e-12 * max(1, abs(b.y)))
            }
        }

        @Test func whatIsNotFinishedLeavesNothing() throws {
            let folder = try ScratchFolder()
            do {
                let tiff = try TIFFWriter((folder.path + "/a.tif"), width: 3, height: 2, palette: ColorMap.colors(4))
                try [UInt8](repeating: 1, count: 3).withUnsafeBytes { try tiff.write(rows: $0) }
                #expect(throws: FileError.self) { try tiff.finish() }
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
        }
    }
#endif
