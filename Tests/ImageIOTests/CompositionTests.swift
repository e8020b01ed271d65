import BEiTImageIO
import Testing

@Suite struct CompositionTests {
    private func picture(_ width: Int, _ height: Int, _ seed: Int = 0) -> RGBImage {
        RGBImage(
            width: width, height: height,
            pixels: (0..<3 * width * height).map { UInt8(truncatingIfNeeded: ($0 + seed) * 37) })
    }

    /// torchvision's Resize and CenterCrop, with the sizes worked out by hand.
    @Test func theMiddleIsCropped() {
        let photo = noise(width: 149, height: 113)
        #expect(
            photo.centerCropped(height: 64, width: 64, share: 0.875, filter: .bicubic)
                == photo.resized(width: 96, height: 73, filter: .bicubic).cropped(x: 16, y: 4, width: 64, height: 64))
        #expect(
            photo.centerCropped(height: 48, width: 80, share: 1, filter: .bilinear)
                == photo.resized(width: 80, height: 60, filter: .bilinear).cropped(x: 0, y: 6, width: 80, height: 48))
        let fits = noise(width: 24, height: 16)
        #expect(fits.centerCropped(height: 16, width: 24, share: 1, filter: .bicubic) == fits)
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
