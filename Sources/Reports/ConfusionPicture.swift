import BEiTScoring
import BEiTMetrics
import BEiTDatasets
import BEiTImageIO

/// A confusion matrix as a heat map: a row a true class, a column a predicted one, the darker the larger the share of the
/// row's pixels. Classes bear their index and colour; a class that is nowhere labelled has a grey row.
struct ConfusionPicture {
    private let matrix: ConfusionMatrix
    private let colors: [RGBColor]
    private let totals: ClassTotals
    /// The side of a cell, and what lies above and left of the cells, in pixels.
    private let cell, margin: Int

    private static let strip = 10
    private static let ink = RGBColor(40, 42, 46)
    private static let white = RGBColor(255, 255, 255)
    private static let darkest = RGBColor(16, 60, 140)
    private static let empty = RGBColor(222, 222, 222)

    /// - Parameter colors: one for each class.
    package init(_ matrix: ConfusionMatrix, colors: [RGBColor]) {
        (self.matrix, self.colors, totals) = (matrix, colors, matrix.totals)
        cell = min(max(960 / matrix.classes, 1), 80)
        margin = Digits.width(String(matrix.classes - 1)) + Self.strip + 12
    }

    func image() -> RGBImage {
        let side = margin + cell * matrix.classes + 8
        var canvas = Canvas(width: side, height: side, Self.white)
        for truth in 0..<matrix.classes {
            for prediction in 0..<matrix.classes { draw(truth, prediction, on: &canvas) }
        }
        for index in 0..<matrix.classes { label(index, on: &canvas) }
        return canvas.image
    }

    private func draw(_ truth: Int, _ prediction: Int, on canvas: inout Canvas) {
        let (x, y) = (margin + prediction * cell, margin + truth * cell)
        // A line between cells, where there is room for it.
        let side = cell >= 8 ? cell - 1 : cell
        guard totals.labelled[truth] > 0 else { return canvas.fill(x, y, side, side, Self.empty) }
        let share = Double(matrix[truth, prediction]) / Double(totals.labelled[truth])
        let shade = Self.shade(share)
        canvas.fill(x, y, side, side, Self.white.mixed(with: Self.darkest, shade))
        if cell < 8 || matrix[truth, prediction] == 0 && cell < 36 { return }
        if share == 0 { canvas.fill(x + cell / 2 - 1, y + cell / 2 - 1, 2, 2, RGBColor(190, 194, 200)) }
        guard cell >= 36, share > 0 else { return }
        let text = String(Int((100 * share).rounded()))
        canvas.write(
            text, x: x + (side - Digits.width(text)) / 2, y: y + (side - Digits.height) / 2,
            shade > 0.6 ? Self.white : Self.ink)
    }

    /// How dark a share is shown, 0…1: by its square root, so that rare confusions are seen beside the diagonal.
    static func shade(_ share: Double) -> Double { share.squareRoot() }

    /// The class's colour beside its row and above its column, and its index where the indices do not touch.
    private func label(_ index: Int, on canvas: inout Canvas) {
        let (place, side) = (margin + index * cell, cell >= 8 ? cell - 1 : cell)
        canvas.fill(margin - Self.strip - 2, place, Self.strip, side, colors[index])
        canvas.fill(place, margin - Self.strip - 2, side, Self.strip, colors[index])
        let text = String(index)
        let every = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000]
        let room = Digits.width(String(matrix.classes - 1)) + 6
        let across = every.first { $0 * cell >= room } ?? 10_000
        let down = every.first { $0 * cell >= Digits.height + 4 } ?? 10_000
        let top = margin - Self.strip - Digits.height - 6
        if index % across == 0 {
            let start = place + (side - Digits.width(text)) / 2
            let last = canvas.image.width - Digits.width(text)
            canvas.write(text, x: min(max(start, 0), last), y: top, Self.ink)
        }
        if index % down == 0 {
            canvas.write(
                text, x: margin - Self.strip - 6 - Digits.width(text), y: max(0, place + (side - Digits.height) / 2),
                Self.ink)
        }
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

/// A picture that is drawn on; what lies outside is left out.
private struct Canvas {
    var image: RGBImage

    package init(width: Int, height: Int, _ color: RGBColor) {
        let pixel = [color.red, color.green, color.blue]
        image = RGBImage(width: width, height: height, pixels: (0..<width * height).flatMap { _ in pixel })
    }

    mutating func fill(_ x: Int, _ y: Int, _ width: Int, _ height: Int, _ color: RGBColor) {
        let (columns, rows) = (max(x, 0)..<min(x + width, image.width), max(y, 0)..<min(y + height, image.height))
        for row in rows {
            for column in columns {
                let place = 3 * (row * image.width + column)
                (image.pixels[place], image.pixels[place + 1]) = (color.red, color.green)
                image.pixels[place + 2] = color.blue
            }
        }
    }

    mutating func write(_ digits: String, x: Int, y: Int, _ color: RGBColor) {
        for (place, digit) in digits.compactMap(\.wholeNumberValue).enumerated() {
            for row in 0..<5 {
                for column in 0..<3 where Digits.shapes[digit][row] >> (2 - column) & 1 == 1 {
                    fill(
                        x + place * Digits.advance + column * Digits.dot, y + row * Digits.dot, Digits.dot, Digits.dot,
                        color)
                }
            }
        }
    }
}

/// Digits of 3 × 5 dots.
private enum Digits {
    /// The side of a dot, in pixels.
    static let dot = 2
    static let advance = 4 * dot
    static let height = 5 * dot
    /// For each digit its rows, the leftmost dot in bit 2.
    static let shapes: [[Int]] = [
        [7, 5, 5, 5, 7], [2, 6, 2, 2, 7], [7, 1, 7, 4, 7], [7, 1, 7, 1, 7], [5, 5, 7, 1, 1],
        [7, 4, 7, 1, 7], [7, 4, 7, 5, 7], [7, 1, 2, 2, 2], [7, 5, 7, 5, 7], [7, 5, 7, 1, 7],
    ]

    static func width(_ text: String) -> Int { text.count * advance - dot }
}
