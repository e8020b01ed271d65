import BEiTImageIO
import Testing

@Suite struct BitmapFontTests {
    private func canvas(_ width: Int, _ height: Int) -> RGBImage {
        RGBImage(width: width, height: height, pixels: [UInt8](repeating: 0, count: 3 * width * height))
    }

    /// Rows of dots, without those that are empty.
    private func rows(_ image: RGBImage) -> [String] {
        (0..<image.height).map { y in
            String((0..<image.width).map { image.pixels[3 * (y * image.width + $0)] > 0 ? "#" : "." as Character })
        }.filter { $0.contains("#") }
    }

    private let white = RGBColor(255, 255, 255)

    @Test func lettersAreThose() {
        var image = canvas(18, 13)
        BitmapFont.draw("Sk:", on: &image, x: 0, y: 0, white)
        #expect(
            rows(image) == [
                ".###..#...........", "#...#.#...........", "#.....#.......#...", "#.....#..#...###..",
                ".###..#.#.....#...", "....#.##..........", "....#.#.#.........", "#...#.#..#....#...",
                ".###..#...#..###..", "..............#...",
            ])
        #expect(BitmapFont.width(of: "Sk:", scale: 2) == 36)
    }

    @Test(arguments: [("e\u{301}", "\u{E9}"), ("ő", "o"), ("猫", "?"), ("ñ", "n\u{303}"), ("\u{1}", "?")])
    func lettersThatItLacks(_ text: String, _ shown: String) {
        var (one, other) = (canvas(6, 13), canvas(6, 13))
        BitmapFont.draw(text, on: &one, x: 0, y: 0, white)
        BitmapFont.draw(shown, on: &other, x: 0, y: 0, white)
        #expect(one == other && !rows(one).isEmpty)
    }

    @Test func upwardIsTurned() {
        var (flat, turned) = (canvas(24, 26), canvas(26, 24))
        BitmapFont.draw("dj", on: &flat, x: 0, y: 0, white, scale: 2)
        BitmapFont.draw("dj", on: &turned, x: 0, y: 24, white, scale: 2, upward: true)
        for y in 0..<26 {
            for x in 0..<24 {
                #expect(flat.pixels[3 * (y * 24 + x)] == turned.pixels[3 * ((23 - x) * 26 + y)])
            }
        }
    }

    @Test func whatLiesOutsideIsLeftOut() {
        for (x, y) in [(-3, -5), (7, 3), (100, 100), (-100, 0)] {
            var image = canvas(10, 10)
            BitmapFont.draw("Wide", on: &image, x: x, y: y, white, scale: 3)
            BitmapFont.draw("Wide", on: &image, x: x, y: y, white, scale: 3, upward: true)
            #expect(image.pixels.count == 300)
        }
    }
}
