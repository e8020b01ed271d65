import BEiTImageIO
import Testing

@Suite struct ResizeTests {
    @Test(arguments: ResizeFilter.allCases, [(height: 16, width: 16), (height: 37, width: 40)])
    func randomPictureEqualsPillow(_ filter: ResizeFilter, _ size: (height: Int, width: Int)) throws {
        let image = try pixels(npy: "resize/image.npy")
        let expected = try pixels(npy: "resize/\(filter)_\(size.height)x\(size.width).npy")
        let resized = image.resized(width: size.width, height: size.height, filter: filter)
        #expect(difference(resized, expected).largest == 0)
    }

    @Test(
        arguments: ResizeFilter.allCases,
        [
            ("down", 61, 47), ("up", 163, 131), ("vertical", 149, 40), ("horizontal", 40, 113), ("flat", 140, 40),
            ("wide", 170, 60),
        ])
    func photoEqualsPillow(_ filter: ResizeFilter, _ target: (name: String, width: Int, height: Int)) throws {
        let photo = try decodeImage(try fixture("photo/photo.png"))
        let resized = photo.resized(width: target.width, height: target.height, filter: filter)
        let expected = try decodeImage(try fixture("photo/\(filter)-\(target.name).png"))
        #expect(difference(resized, expected).largest == 0)
    }

    @Test(arguments: ResizeFilter.allCases, [("box", 53, 71), ("flat-box", 131, 47)])
    func partOfPhotoEqualsPillow(_ filter: ResizeFilter, _ target: (name: String, width: Int, height: Int)) throws {
        let photo = try decodeImage(try fixture("photo/photo.png"))
        let box = Rectangle(x: 10.25, y: 3.5, width: 131.75 - 10.25, height: 97 - 3.5)
        let resized = photo.resized(width: target.width, height: target.height, filter: filter, box: box)
        let expected = try decodeImage(try fixture("photo/\(filter)-\(target.name).png"))
        #expect(difference(resized, expected).largest == 0)
    }

    @Test(arguments: ResizeFilter.allCases) func sameSizeIsSamePicture(_ filter: ResizeFilter) {
        let image = noise(width: 7, height: 5)
        #expect(image.resized(width: 7, height: 5, filter: filter) == image)
    }

    @Test(arguments: ResizeFilter.allCases) func onePixelFillsAnySize(_ filter: ResizeFilter) {
        let image = RGBImage(width: 1, height: 1, pixels: [3, 200, 255])
        let expected = (0..<4 * 2).flatMap { _ in image.pixels }
        #expect(image.resized(width: 4, height: 2, filter: filter).pixels == expected)
    }

    @Test(arguments: [(3, 2), (10, 9), (5, 11)]) func maskFollowsTheNearestPixels(_ width: Int, _ height: Int) {
        let image = noise(width: 7, height: 5)
        let reds = stride(from: 0, to: image.pixels.count, by: 3).map { UInt16(image.pixels[$0]) }
        let mask = IndexMask(width: 7, height: 5, values: reds, palette: [RGBColor(1, 2, 3)])
        let box = Rectangle(x: 0.5, y: 1, width: 6.25, height: 3.5)
        for box in [nil, box] {
            let resized = mask.resized(width: width, height: height, box: box)
            let picture = image.resized(width: width, height: height, filter: .nearest, box: box)
            let expected = stride(from: 0, to: picture.pixels.count, by: 3).map { UInt16(picture.pixels[$0]) }
            #expect(resized.values == expected && resized.palette == mask.palette)
        }
    }

    @Test func cropAndFlip() {
        let image = RGBImage(width: 3, height: 2, pixels: (0..<18).map { UInt8($0) })
        let mask = IndexMask(width: 3, height: 2, values: [0, 1, 2, 3, 4, 500])
        #expect(image.cropped(x: 1, y: 0, width: 2, height: 1).pixels == [3, 4, 5, 6, 7, 8])
        #expect(image.cropped(x: 2, y: 0, width: 1, height: 2).pixels == [6, 7, 8, 15, 16, 17])
        #expect(mask.cropped(x: 1, y: 0, width: 2, height: 2).values == [1, 2, 4, 500])
        #expect(
            image.flippedHorizontally().pixels == [6, 7, 8, 3, 4, 5, 0, 1, 2, 15, 16, 17, 12, 13, 14, 9, 10, 11])
        #expect(mask.flippedHorizontally().values == [2, 1, 0, 500, 4, 3])
    }
}
