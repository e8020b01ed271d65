import BEiTImageIO
import BEiTMetrics

/// A confusion matrix as a heat map: a row a true class, a column a predicted one, the darker the larger the share of the
/// row's pixels. Only classes that are labelled or predicted anywhere are in it; one that is nowhere labelled has a grey
/// row.
struct ConfusionPicture {
    private let cells: ConfusionCells
    private let names: [String]
    private let colors: [RGBColor]
    /// The side of a cell, and what lies left of the cells and above them, in pixels.
    private let cell, left, top: Int

    private static let heading = "row: true class, column: predicted class, percent of the row"
    private static let strip = 10
    /// Characters of a name that are shown, at most.
    private static let longest = 24
    private static let ink = RGBColor(40, 42, 46)
    private static let white = RGBColor(255, 255, 255)
    private static let darkest = RGBColor(16, 60, 140)
    private static let empty = RGBColor(222, 222, 222)

    /// - Parameters:
    ///   - names, colors: one for each class of the matrix.
    init(_ matrix: ConfusionMatrix, names: [String], colors: [RGBColor]) {
        cells = ConfusionCells(matrix)
        self.colors = cells.shown.map { colors[$0] }
        self.names = cells.shown.map {
            names[$0].count > Self.longest ? names[$0].prefix(Self.longest - 2) + ".." : names[$0]
        }
        cell = Self.cell(for: cells.shown.count)
        let room = (self.names.map { BitmapFont.width(of: $0) }.max() ?? 0) + Self.strip + 12
        (left, top) = (room, room + BitmapFont.height + 6)
    }

    /// Names stand beside their rows up to 150 classes.
    private static func cell(for classes: Int) -> Int {
        let classes = max(1, classes)
        return classes <= 150 ? min(max(960 / classes, BitmapFont.height + 1), 80) : max(1, 2100 / classes)
    }

    func image() -> RGBImage {
        let side = cell * cells.shown.count
        let width = max(left + side, BitmapFont.width(of: Self.heading)) + 8
        var canvas = RGBImage(
            width: width, height: top + side + 8,
            pixels: [UInt8](repeating: 255, count: 3 * width * (top + side + 8)))
        BitmapFont.draw(Self.heading, on: &canvas, x: 4, y: 4, Self.ink)
        for row in cells.shown.indices {
            for column in cells.shown.indices { draw(row, column, on: &canvas) }
        }
        for place in cells.shown.indices { label(place, on: &canvas) }
        return canvas
    }

    private func draw(_ row: Int, _ column: Int, on canvas: inout RGBImage) {
        let (x, y) = (left + column * cell, top + row * cell)
        // A line between cells, where there is room for it.
        let side = cell >= 8 ? cell - 1 : cell
        guard let share = cells.share(row, column) else { return canvas.fill(x, y, side, side, Self.empty) }
        let shade = ConfusionCells.shade(share)
        canvas.fill(x, y, side, side, Self.white.mixed(with: Self.darkest, shade))
        guard cell >= 26, share > 0 else { return }
        let rounded = Int((100 * share).rounded())
        let text = rounded == 0 ? "<1" : String(rounded)
        BitmapFont.draw(
            text, on: &canvas, x: x + (side - BitmapFont.width(of: text)) / 2, y: y + (side - BitmapFont.height) / 2,
            shade > 0.6 ? Self.white : Self.ink)
    }

    /// The class's name and colour beside its row and above its column; where rows are too low for all names, some.
    private func label(_ place: Int, on canvas: inout RGBImage) {
        let (offset, side) = (place * cell, cell >= 8 ? cell - 1 : cell)
        canvas.fill(left - Self.strip - 2, top + offset, Self.strip, side, colors[place])
        canvas.fill(left + offset, top - Self.strip - 2, side, Self.strip, colors[place])
        guard place % ((BitmapFont.height + cell) / cell) == 0 || cell > BitmapFont.height else { return }
        let middle = offset + (side - BitmapFont.height) / 2
        let (name, edge) = (names[place], Self.strip + 6)
        BitmapFont.draw(
            name, on: &canvas, x: left - edge - BitmapFont.width(of: name), y: top + max(0, middle), Self.ink)
        BitmapFont.draw(name, on: &canvas, x: left + max(0, middle), y: top - edge, Self.ink, upward: true)
    }
}

extension RGBColor {
    fileprivate func mixed(with other: RGBColor, _ share: Double) -> RGBColor {
        func mix(_ a: UInt8, _ b: UInt8) -> UInt8 {
            UInt8((Double(a) + (Double(b) - Double(a)) * share).rounded())
        }
        return RGBColor(mix(red, other.red), mix(green, other.green), mix(blue, other.blue))
    }
}
