import BEiTImageIO
import Foundation
import Testing

@Suite struct DecodeTests {
    @Test func jpegEqualsPillow() throws {
        let image = try decodeImage(try fixture("photo/photo.jpg"))
        #expect(difference(image, try decodeImage(try fixture("photo/photo-decoded.png"))).largest <= 1)
        let progressive = try decodeImage(try fixture("photo/photo-progressive.jpg"))
        #expect(difference(progressive, try decodeImage(try fixture("photo/photo.png"))).mean < 3)
    }

    /// 149 × 113 pixels: the largest reduction whose short side does not fall below what is asked.
    @Test(arguments: [(14, 19, 15), (15, 38, 29), (28, 38, 29), (29, 75, 57), (56, 75, 57), (57, 149, 113)])
    func jpegShrinks(_ shortSide: Int, width: Int, height: Int) throws {
        let image = try decodeImage(try fixture("photo/photo.jpg"), shrinkingTo: shortSide)
        #expect(image.width == width && image.height == height)
    }

    @Test func shrunkenJPEGEqualsPillow() throws {
        let image = try decodeImage(try fixture("photo/photo.jpg"), shrinkingTo: 50)
        #expect(difference(image, try decodeImage(try fixture("photo/photo-decoded-half.png"))).largest <= 1)
    }

    @Test func headerIsUpright() throws {
        let plain = try imageHeader(try fixture("photo/photo.jpg"))
        #expect(plain.width == 149 && plain.height == 113 && plain.codec == .jpeg)
        // Stored lying on its side, 20 × 28 pixels.
        let lying = try imageHeader(try fixture("bad-inputs/images/exif_orientation_6.jpg"))
        #expect(lying.width == 28 && lying.height == 20)
        #expect(try imageHeader(try fixture("bad-inputs/images/png_named.jpg")).codec == .png)
    }

    @Test(arguments: ["photo/photo.jpg", "photo/photo.png"]) func stripsMakeTheWhole(_ name: String) throws {
        let rows = try ImageRows(try fixture(name))
        var pixels: [UInt8] = []
        for count in [1, 50, 0, 7, 55] { pixels += try rows.read(count) }
        #expect(try decodeImage(try fixture(name)).pixels == pixels)
    }

    @Test(arguments: ["rgb8_interlaced.png", "exif_orientation_3.jpg"])
    func whereRowsDoNotFollowStripsAreOfTheWholeOrRefused(_ name: String) throws {
        let path = try fixture("bad-inputs/images/" + name)
        let rows = try ImageRows(path)
        #expect(try rows.read(3) + rows.read(rows.height - 3) == decodeImage(path).pixels)
        #expect {
            try ImageRows(path, limits: ImageLimits(maximumPixels: 10))
        } throws: { error in
            guard case .notInRows = (error as? ImageError)?.reason else { return false }
            return true
        }
    }

    @Test func jpegIsNoMask() throws {
        let path = try fixture("photo/photo.jpg")
        let expected = ImageError(path: path, .notAMask("it is a JPEG, which does not keep exact values"))
        #expect(throws: expected) { try decodeMask(path) }
    }

    @Test func greyWithAlphaIsNoMask() throws {
        #expect(throws: ImageError.self) { try decodeMask(try fixture("bad-inputs/images/graya8.png")) }
    }

    @Test func paletteMaskKeepsIndices() throws {
        let path = try fixture("bad-inputs/images/palette4.png")
        let mask = try decodeMask(path)
        let palette = try #require(mask.palette)
        #expect(palette.count <= 16 && Set(mask.values).count > 1)
        let image = try decodeImage(path)
        for (i, value) in mask.values.enumerated() {
            let color = palette[Int(value)]
            #expect(Array(image.pixels[3 * i..<3 * i + 3]) == [color.red, color.green, color.blue])
        }
    }
}
