import BEiTImageIO

/// The names and colours of classes, in a dark box at the bottom left of a picture.
struct Legend {
    /// Of the picture, in pixels.
    private let width, height: Int
    /// Pixels a side for one of the font's.
    private let scale: Int
    /// Entries that there is room for.
    private let most: Int

    /// Lines, at most, whatever the room: the rows below the first of them are held in memory until the picture ends.
    private static let longest = 24
    /// In dots of the font: from one line to the next, around the box, within it, and the side of a colour's square.
    private static let (line, margin, padding, swatch) = (BitmapFont.height + 1, 4, 4, 10)

    /// Nil where the picture is too small for one.
    /// - Parameter classes: that there can be.
    init?(width: Int, height: Int, classes: Int) {
        (self.width, self.height) = (width, height)
        scale = min(5, max(1, min(width, height) / 400))
        let room = (height / 2 / scale - 2 * Self.padding - Self.margin) / Self.line
        most = min(room, classes, Self.longest)
        guard most > 0, letters >= 8 else { return nil }
    }

    /// Letters of a line, at most.
    private var letters: Int {
        (width / scale - 2 * Self.margin - 3 * Self.padding - Self.swatch) / BitmapFont.advance
    }

    /// Rows at the bottom of the picture that it can cover.
    var rows: Int { boxHeight(most) + scale * Self.margin }

    private func boxHeight(_ lines: Int) -> Int { scale * (lines * Self.line + 2 * Self.padding) }

    /// Draws over the last ``rows`` rows of the picture.
    /// - Parameter classes: in their order.
    func draw(_ classes: [(name: String, color: RGBColor)], over pixels: inout [UInt8]) {
        guard !classes.isEmpty else { return }
        var names = classes.map(\.name)
        let shown = names.count > most ? most - 1 : names.count
        if names.count > shown { names = names.prefix(shown) + ["+ \(names.count - shown) more"] }
        names = names.map { $0.count > letters ? $0.prefix(letters - 2) + ".." : $0 }
        let text = names.map { BitmapFont.width(of: $0) }.max() ?? 0
        let box = (width: scale * (text + 3 * Self.padding + Self.swatch), height: boxHeight(names.count))
        // Rows are counted from the first of those that are held.
        let (left, top) = (scale * Self.margin, rows - box.height - scale * Self.margin)
        var image = RGBImage(width: width, height: rows, pixels: pixels)
        pixels = []
        image.darken(left, top, box.width, box.height)
        for (index, name) in names.enumerated() {
            let (x, y) = (left + scale * Self.padding, top + scale * (Self.padding + index * Self.line))
            if index < shown {
                image.fill(x, y + 2 * scale, scale * Self.swatch, scale * Self.swatch, classes[index].color)
            }
            BitmapFont.draw(
                name, on: &image, x: x + scale * (Self.swatch + Self.padding), y: y, RGBColor(255, 255, 255),
                scale: scale)
        }
        pixels = image.pixels
    }
}

extension RGBImage {
    /// Leaves a quarter of the light.
    fileprivate mutating func darken(_ left: Int, _ top: Int, _ width: Int, _ height: Int) {
        for y in top..<top + height {
            for place in 3 * (y * self.width + left)..<3 * (y * self.width + left + width) { pixels[place] /= 4 }
        }
    }
}
