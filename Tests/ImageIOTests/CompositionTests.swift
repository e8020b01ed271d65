import ImageIO
import Testing

@Suite struct CompositionTests {
    private func picture(_ width: Int, _ height: Int, _ seed: Int = 0) -> RGBImage {
        RGBImage(
            width: width, height: height,
            pixels: (0..<3 * width * height).map { UInt8(truncatingIfNeeded: ($0 + seed) * 37) })
    }

    @Test func theMiddleIsTheLargestPartOfTheShape() {
        let wide = picture(50, 20), tall = picture(12, 31)
        #expect(
            wide.central(height: 10, width: 15, filter: .lanczos)
                == wide.resized(
                    width: 15, height: 10, filter: .lanczos, box: Rectangle(x: 10, y: 0, width: 30, height: 20)))
        #expect(
            tall.central(height: 8, width: 8, filter: .bilinear)
                == tall.resized(
                    width: 8, height: 8, filter: .bilinear, box: Rectangle(x: 0, y: 9.5, width: 12, height: 12)))
        #expect(wide.central(height: 20, width: 50, filter: .bicubic) == wide)
    }

    @Test func aSheetHasItsPicturesInRows() {
        let pictures = (0..<5).map { picture(4, 3, 11 * $0) }
        let sheet = RGBImage.sheet(pictures, columns: 3, gap: 2)
        #expect(sheet.width == 16 && sheet.height == 8)
        for (index, picture) in pictures.enumerated() {
            #expect(sheet.cropped(x: index % 3 * 6, y: index / 3 * 5, width: 4, height: 3) == picture)
        }
        #expect(sheet.cropped(x: 0, y: 3, width: 16, height: 2).pixels.allSatisfy { $0 == 255 })
        #expect(sheet.cropped(x: 12, y: 5, width: 4, height: 3).pixels.allSatisfy { $0 == 255 })
    }
}
