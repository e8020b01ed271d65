import BEiTImageIO
import Testing

/// RandAugment's operations against Pillow's pixels.
@Suite struct OperationTests {
    private func expect(_ name: String, from source: String = "bilinear-down", _ change: (inout RGBImage) -> Void)
        throws
    {
        var image = try decodeImage(try fixture("photo/\(source).png"))
        let before = image
        change(&image)
        #expect(image != before)
        #expect(difference(image, try decodeImage(try fixture("photo/\(name).png"))).largest == 0, "\(name)")
    }

    @Test func tonesEqualPillows() throws {
        try expect("autocontrast", from: "pale") { $0.autoContrast() }
        try expect("equalize", from: "pale") { $0.equalize() }
        try expect("invert") { $0.invert() }
        try expect("posterize-3") { $0.posterize(bits: 3) }
        try expect("solarize-90") { $0.solarize(threshold: 90) }
        try expect("solarize-add-70") { $0.solarize(adding: 70) }
        try expect("sharpness-0.3") { $0.adjustSharpness(0.3) }
        try expect("sharpness-1.8") { $0.adjustSharpness(1.8) }
    }

    @Test func movesEqualPillows() throws {
        let fill = RGBColor(128, 120, 7)
        func check(_ name: String, _ transform: AffineMap) throws {
            try expect(name) { $0 = $0.transformed(transform, fill: fill) }
        }
        try check("rotate-27.5", .rotation(degrees: 27.5, width: 61, height: 47))
        try check("rotate--8", .rotation(degrees: -8, width: 61, height: 47))
        try check("shear-x", AffineMap(1, 0.23, 0, 0, 1, 0))
        try check("shear-y", AffineMap(1, 0, 0, -0.31, 1, 0))
        try check("translate", AffineMap(1, 0, 7.4, 0, 1, -11.3))
    }

    @Test func plainPicturesStayPlain() {
        for (width, height) in [(1, 1), (2, 5), (0, 0)] {
            let plain = RGBImage(
                width: width, height: height, pixels: [UInt8](repeating: 77, count: 3 * width * height))
            var image = plain
            image.autoContrast()
            image.equalize()
            image.adjustSharpness(1.9)
            image.posterize(bits: 8)
            image.solarize(threshold: 256)
            #expect(image == plain)
        }
    }
}
