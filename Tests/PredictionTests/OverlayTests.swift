import BEiTImageIO
import Testing

@testable import BEiTPrediction

@Suite struct OverlayTests {
    private let classes = [("background", 0), ("cat", 200), ("Größe", 90)].map {
        LabelClass(name: $0.0, color: RGBColor(UInt8($0.1), 0, UInt8($0.1 / 2)))
    }

    private func palette(_ classes: [LabelClass]) -> [RGBColor] {
        classes.map(\.color)
    }

    /// The overlay of a mask, added in strips of `rows` rows.
    private func overlay(
        _ photo: RGBImage, _ mask: [UInt16], _ style: OverlayStyle, rows: Int, _ more: [LabelClass] = []
    ) -> RGBImage {
        let classes = classes + more
        var painter = OverlayPainter(
            width: photo.width, height: photo.height, classes: classes, palette: palette(classes), style)
        var pixels: [UInt8] = []
        for start in stride(from: 0, to: photo.height, by: rows) {
            let range = start..<min(photo.height, start + rows)
            let values = Array(mask[range.lowerBound * photo.width..<range.upperBound * photo.width])
            pixels += painter.add(
                SegmentedStrip(rows: range, classes: values), PictureStrip(image: photo, top: start))
        }
        return RGBImage(width: photo.width, height: photo.height, pixels: pixels + painter.finish())
    }

    @Test func colorsAreBlendedButBlackIsClear() {
        let photo = RGBImage(width: 3, height: 1, pixels: [100, 100, 100, 100, 100, 100, 7, 8, 9])
        let half = overlay(photo, [0, 1, 2], OverlayStyle(), rows: 1)
        #expect(half.pixels == [100, 100, 100, 150, 50, 100, 49, 4, 27])  // (7 + 90) / 2 is 48.5
        #expect(overlay(photo, [0, 1, 2], OverlayStyle(opacity: 0), rows: 1) == photo)
        let full = overlay(photo, [0, 1, 2], OverlayStyle(opacity: 1), rows: 1)
        #expect(full.pixels == [100, 100, 100, 200, 0, 100, 90, 0, 45])
    }

    @Test func theLegendNamesWhatOccursLargestFirst() {
        let photo = RGBImage(width: 200, height: 150, pixels: [UInt8](repeating: 120, count: 3 * 200 * 150))
        var mask = [UInt16](repeating: 0, count: 200 * 150)
        for place in 0..<40 * 200 { mask[place] = place < 1000 ? 2 : 1 }
        let plain = overlay(photo, mask, OverlayStyle(hasLegend: false), rows: 150)
        let legend = overlay(photo, mask, OverlayStyle(), rows: 150)
        let changed = (0..<150).filter { row in
            plain.pixels[600 * row..<600 * row + 600] != legend.pixels[600 * row..<600 * row + 600]
        }
        // Two lines of 14 dots, 4 around them, and 4 below the box.
        #expect(changed == Array(150 - 4 - 36..<150 - 4))
        func color(_ x: Int, _ y: Int) -> [UInt8] { Array(legend.pixels[3 * (y * 200 + x)..<3 * (y * 200 + x) + 3]) }
        #expect(color(12, 110 + 4 + 6) == [200, 0, 100])
        #expect(color(12, 110 + 4 + 14 + 6) == [90, 0, 45])
        #expect(color(5, 111) == [30, 30, 30])
        for rows in [1, 7, 64] { #expect(overlay(photo, mask, OverlayStyle(), rows: rows) == legend) }
    }

    @Test func manyClassesAndSmallPhotosKeepInside() {
        let many = (0..<300).map {
            LabelClass(name: "class number \($0) of a long name", color: RGBColor(UInt8($0 % 255 + 1), 1, 1))
        }
        for (width, height) in [(1, 1), (33, 90), (90, 33), (120, 60), (700, 500), (64, 900), (900, 64)] {
            let photo = RGBImage(
                width: width, height: height, pixels: [UInt8](repeating: 120, count: 3 * width * height))
            let mask = (0..<width * height).map { UInt16($0 % 303) }
            let whole = overlay(photo, mask, OverlayStyle(), rows: height, many)
            #expect(overlay(photo, mask, OverlayStyle(), rows: 5, many) == whole)
        }
    }

    /// Against the definition: a pixel whose neighbourhood of five by five has another class.
    @Test(arguments: [1, 4, 100]) func contoursAreThePixelsNearAnotherClass(_ rows: Int) {
        let (width, height) = (37, 29)
        let photo = noise(width: width, height: height)
        let mask = (0..<width * height).map { place -> UInt16 in
            let (x, y) = (place % width, place / width)
            return (x - 12) * (x - 12) + (y - 10) * (y - 10) < 70 ? 1 : x > 25 && y > 15 ? 2 : 0
        }
        let style = OverlayStyle(opacity: 1, hasLegend: false, hasContours: true)
        let found = overlay(photo, mask, style, rows: rows)
        for y in 0..<height {
            for x in 0..<width {
                let own = mask[y * width + x]
                let isNear = (max(0, y - 2)...min(height - 1, y + 2)).contains { row in
                    (max(0, x - 2)...min(width - 1, x + 2)).contains { mask[row * width + $0] != own }
                }
                let place = 3 * (y * width + x)
                let color = classes[Int(own)].color
                let wanted =
                    isNear && own > 0
                    ? [color.red, color.green, color.blue] : Array(photo.pixels[place..<place + 3])
                #expect(Array(found.pixels[place..<place + 3]) == wanted, "\(x), \(y)")
            }
        }
    }

    @Test func contoursHaveTheLegendOfTheAreas() {
        let photo = RGBImage(width: 200, height: 150, pixels: [UInt8](repeating: 120, count: 3 * 200 * 150))
        let mask = (0..<200 * 150).map { UInt16($0 % 200 / 70) }
        let style = OverlayStyle(opacity: 1, hasContours: true)
        let all = [150, 1, 7].map { overlay(photo, mask, style, rows: $0) }
        #expect(all[0] == all[1] && all[0] == all[2])
        #expect(all[0] != overlay(photo, mask, OverlayStyle(opacity: 1, hasLegend: false, hasContours: true), rows: 9))
    }
}
