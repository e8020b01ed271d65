import BEiTImageIO
import Testing

@Suite struct ColorTests {
    @Test(arguments: ["brightness", "contrast", "saturation"], [Float(0.6), 1.4])
    func jitterEqualsPillow(_ name: String, _ factor: Float) throws {
        var image = try decodeImage(try fixture("photo/bilinear-down.png"))
        switch name {
        case "brightness": image.adjustBrightness(factor)
        case "contrast": image.adjustContrast(factor)
        default: image.adjustSaturation(factor)
        }
        #expect(difference(image, try decodeImage(try fixture("photo/\(name)-\(factor).png"))).largest == 0)
    }

    @Test func factorOneChangesNothing() {
        let image = noise(width: 5, height: 3)
        var jittered = image
        jittered.adjustBrightness(1)
        jittered.adjustContrast(1)
        jittered.adjustSaturation(1)
        #expect(jittered == image)
    }

    @Test func colorMapIsVOCs() {
        let colors = ColorMap.colors(300)
        #expect(
            Array(colors[0..<5]) == [
                RGBColor(0, 0, 0), RGBColor(128, 0, 0), RGBColor(0, 128, 0), RGBColor(128, 128, 0), RGBColor(0, 0, 128),
            ])
        #expect(colors[20] == RGBColor(0, 64, 128) && colors[255] == RGBColor(224, 224, 192))
        #expect(Set(colors).count == 300)
    }

    @Test func overlayBlends() {
        let photo = RGBImage(width: 3, height: 1, pixels: [0, 100, 200, 255, 255, 255, 10, 20, 30])
        let mask = IndexMask(width: 3, height: 1, values: [1, 0, 255])
        let colors = mask.colored([RGBColor(0, 0, 0), RGBColor(200, 100, 0)])
        #expect(colors.pixels == [200, 100, 0, 0, 0, 0, 224, 224, 192])
        #expect(photo.overlaid(with: colors, opacity: 0) == photo)
        #expect(photo.overlaid(with: colors, opacity: 1) == colors)
        #expect(photo.overlaid(with: colors, opacity: 0.25).pixels == [50, 100, 150, 191, 191, 191, 64, 71, 71])
    }
}
