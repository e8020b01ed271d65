import BEiTCheckpoints
import BEiTDatasets
import BEiTImageIO
import Testing

import BEiTMetrics
@testable import BEiTPrediction
@testable import BEiTReports
@testable import BEiTScoring

@Suite struct GalleryTests {
    /// An image of 100 pixels of class 0, `wrong` of which are taken for class 1.
    private func image(wrong: Int, other: Int? = nil, photo: RGBImage? = nil) -> ScoredImage {
        let label = IndexMask(width: 10, height: 10, values: [UInt16](repeating: 0, count: 100))
        let predictions = [wrong, other].compactMap { $0 }.map { wrong in
            IndexMask(width: 10, height: 10, values: (0..<100).map { $0 < wrong ? 1 : 0 })
        }
        return ScoredImage(
            photo: photo, labels: predictions.map { _ in label }, predictions: predictions,
            backgrounds: predictions.map { _ in nil })
    }

    private func gallery(_ images: [ScoredImage]) throws -> ScoreGallery {
        let gallery = ScoreGallery()
        gallery.begin([[], []])
        for (i, image) in images.enumerated() {
            try gallery.offer(i, LabelledImage(image: "\(i).jpg", mask: "\(i).png"), image)
            gallery.take(image.confusions, gallery.entry(i))
        }
        return gallery
    }

    private func names(_ entries: [ScoreGallery.Entry]) -> [String] {
        entries.map { String($0.pair.image.dropLast(4)) }
    }

    @Test func theBestAndTheWorstInOrder() throws {
        // Image i has the wrong pixels 7 · i mod 31, all different.
        let wrong = (0..<31).map { 7 * $0 % 31 }
        let found = try gallery(wrong.map { image(wrong: $0) })
        let order = (0..<31).sorted { wrong[$0] < wrong[$1] }.map(String.init)
        #expect(names(found.best) == Array(order.prefix(6)))
        #expect(names(found.worst) == Array(order.reversed().prefix(6)))
        #expect(found.apart.isEmpty)
    }

    @Test func ofEqualImagesTheEarlier() throws {
        let found = try gallery((0..<20).map { _ in image(wrong: 4) })
        #expect(names(found.best) == (0..<6).map(String.init) && found.worst.isEmpty)
    }

    @Test func fewImagesAreShownOnce() throws {
        let found = try gallery([30, 10, 20, 0, 40].map { image(wrong: $0) })
        #expect(names(found.best) == ["3", "1", "2"] && names(found.worst) == ["4", "0"])
        #expect(try names(gallery([image(wrong: 1)]).best) == ["0"])
    }

    @Test func whereTwoModelsDiffer() throws {
        let found = try gallery([(10, 10), (10, 30), (30, 0), (5, 6)].map { image(wrong: $0, other: $1) })
        #expect(names(found.apart) == ["2", "1", "3"])
        #expect(found.apart[0].pictures.count == 3)
    }

    @Test func imagesWithoutAPixelThatCountsAreNotShown() throws {
        let void = IndexMask(width: 2, height: 1, values: [.max, .max])
        let guess = IndexMask(width: 2, height: 1, values: [0, 1])
        let found = try gallery([ScoredImage(photo: nil, labels: [void], predictions: [guess], backgrounds: [nil])])
        #expect(found.best.isEmpty && found.worst.isEmpty)
    }

    @Test func picturesAreSmallAndKeepTheirShape() {
        let mask = IndexMask(width: 1000, height: 703, values: [UInt16](repeating: 1, count: 703_000))
        let photo = RGBImage(width: 1000, height: 703, pixels: [UInt8](repeating: 9, count: 3 * 703_000))
        #expect((mask.shrunk(to: 360).width, mask.shrunk(to: 360).height) == (360, 253))
        #expect((photo.shrunk(to: 360).width, photo.shrunk(to: 360).height) == (360, 253))
        #expect(photo.shrunk(to: 2000) == photo && mask.shrunk(to: 1000) == mask)
        let line = IndexMask(width: 2000, height: 1, values: [UInt16](repeating: 1, count: 2000))
        #expect((line.shrunk(to: 360).width, line.shrunk(to: 360).height) == (360, 1))
    }

    @Test func voidIsGrey() {
        let mask = IndexMask(width: 9, height: 1, values: [0, 1, .max, .max, .max, .max, .max, .max, 5])
        let pixels = mask.painted([RGBColor(1, 2, 3), RGBColor(4, 5, 6)]).pixels
        #expect(Array(pixels[0..<6]) == [1, 2, 3, 4, 5, 6])
        #expect(Set(pixels[6..<24]) == [120, 214])
        let beyond = ColorMap.colors(6)[5]
        #expect(Array(pixels[24...]) == [beyond.red, beyond.green, beyond.blue])
    }
}

@Suite struct ReportPieceTests {
    @Test func textIsSafeInPages() {
        #expect(HTML.text("<a b=\"c\">'&amp;") == "&lt;a b=&quot;c&quot;&gt;&#39;&amp;amp;")
        #expect(HTML.text("é 猫\u{1}\u{7F}") == "é 猫\u{FFFD}\u{FFFD}")
    }

    @Test(arguments: [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567"), (123_456, "123,456")])
    func counts(_ number: Int, _ text: String) { #expect(HTML.count(number) == text) }

    @Test func differencesHaveTheirSign() {
        #expect([0.0123, -0.0123, 0, -0.00001, nil].map(signedPercent) == ["+1.23", "−1.23", "0.00", "0.00", "–"])
    }

    /// Rows are normalised; a class that is nowhere labelled is grey, one that does not occur is left out.
    @Test func theMatrixAsAPicture() {
        var matrix = ConfusionMatrix(classes: 4)
        matrix.add(30, truth: 0, prediction: 0)
        matrix.add(10, truth: 0, prediction: 3)
        matrix.add(7, truth: 3, prediction: 3)
        matrix.add(1, truth: 3, prediction: 1)
        let colors = [RGBColor(255, 0, 0), RGBColor(0, 255, 0), RGBColor(9, 9, 9), RGBColor(0, 0, 255)]
        let image = ConfusionPicture(matrix, names: ["a", "b", "absent", "long"], colors: colors).image()
        func pixel(_ x: Int, _ y: Int) -> [UInt8] {
            Array(image.pixels[3 * (y * image.width + x)..<3 * (y * image.width + x) + 3])
        }
        // Cells of 80 pixels. Beside and above them names of 4 · 6 pixels, 10 of colour, 12 between; on top the heading.
        let (left, top) = (46, 46 + 19)
        func cell(_ row: Int, _ column: Int) -> [UInt8] { pixel(left + 80 * column + 5, top + 80 * row + 5) }
        #expect(image.height == top + 240 + 8)
        #expect(cell(0, 0) == [48, 86, 155])  // √0.75 of the way from white
        #expect(cell(0, 2) == [136, 158, 198])
        #expect((0..<3).allSatisfy { cell(1, $0) == [222, 222, 222] })
        #expect(cell(2, 0) == [255, 255, 255])
        #expect((0..<3).map { pixel(left - 6, top + 80 * $0 + 40) } == [[255, 0, 0], [0, 255, 0], [0, 0, 255]])
        #expect((0..<3).map { pixel(left + 80 * $0 + 40, top - 6) } == [[255, 0, 0], [0, 255, 0], [0, 0, 255]])
    }

    @Test(arguments: [1, 2, 41, 150, 1000, 2500]) func anyNumberOfClasses(_ count: Int) {
        var matrix = ConfusionMatrix(classes: count)
        for k in 0..<count { matrix.add(1, truth: k, prediction: 0) }
        let names = (0..<count).map { "class \($0)" }
        let image = ConfusionPicture(matrix, names: names, colors: ColorMap.colors(count)).image()
        #expect(image.width <= max(2300, count + 120) && image.height <= max(2300, count + 120))
        let classes = LabelClass.named(names)
        let section = ConfusionSection(matrix, classes, unit: "pixels").html
        #expect(section.contains("<svg class=\"confusion\"") == (count > 40))
        #expect(section.contains("class 0"))
    }

    @Test func absentClassesAreCounted() {
        var matrix = ConfusionMatrix(classes: 5)
        matrix.add(1, truth: 1, prediction: 3)
        let html = ConfusionSection(matrix, LabelClass.named(["a", "b", "c", "d", "e"]), unit: "pixels").html
        #expect(html.contains("3 of the 5 classes are neither labelled nor predicted."))
        #expect(!html.contains("title=\"a\"") && html.contains("title=\"b\""))
    }
}
