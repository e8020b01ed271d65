import BEiTImageIO

/// A confusion matrix as a picture in SVG, for more classes than a table has room for.
struct ConfusionDrawing {
    private let cells: ConfusionCells
    private let classes: [LabelClass]
    /// The side of a cell, and the room for names, in the picture's units.
    private let cell: Int
    private static let room = 150
    /// Levels of shade; a share that comes to none of them is not drawn.
    private static let levels = 24

    /// - Parameter classes: those of the matrix.
    init(_ cells: ConfusionCells, _ classes: [LabelClass]) {
        (self.cells, self.classes) = (cells, classes)
        cell = max(2, min(14, 2400 / max(1, cells.shown.count)))
    }

    var svg: String {
        let side = Self.room + cells.shown.count * cell + 2
        return
            "<svg class=\"confusion\" width=\"\(side)\" height=\"\(side)\" viewBox=\"0 0 \(side) \(side)\" role=\"img\" "
            + "aria-label=\"confusion matrix\">\n\(frame)\(shades)\(labels)</svg>\n"
    }

    private var frame: String {
        let side = cells.shown.count * cell
        return "<rect class=\"field\" x=\"\(Self.room)\" y=\"\(Self.room)\" width=\"\(side)\" height=\"\(side)\"/>\n"
    }

    /// A path for each level: all cells of the level.
    private var shades: String {
        var paths = [String](repeating: "", count: Self.levels + 1)
        for row in cells.shown.indices {
            for column in cells.shown.indices {
                guard let share = cells.share(row, column) else { continue }
                let level = Int((ConfusionCells.shade(share) * Double(Self.levels)).rounded())
                guard level > 0 else { continue }
                let (x, y) = (Self.room + column * cell, Self.room + row * cell)
                paths[level] += "M\(x) \(y)h\(cell)v\(cell)h-\(cell)z"
            }
        }
        return paths.enumerated().filter { !$0.element.isEmpty }.map { level, path in
            "<path style=\"fill:rgba(var(--cell),\(HTML.decimal(Double(level) / Double(Self.levels), 3)))\" d=\"\(path)\"/>\n"
        }.joined()
    }

    /// Names beside rows and above columns; where rows are too low for all of them, some.
    private var labels: String {
        let every = (12 + cell - 1) / cell
        return cells.shown.enumerated().map { place, index in
            let (info, at) = (classes[index], Self.room + place * cell)
            let color = "fill=\"rgb(\(info.color.red),\(info.color.green),\(info.color.blue))\""
            let strips =
                "<rect x=\"\(Self.room - 8)\" y=\"\(at)\" width=\"6\" height=\"\(cell)\" \(color)/>"
                + "<rect x=\"\(at)\" y=\"\(Self.room - 8)\" width=\"\(cell)\" height=\"6\" \(color)/>"
            guard place % every == 0 else { return strips + "\n" }
            let name = HTML.text(info.name.count > 22 ? info.name.prefix(21) + "…" : info.name)
            let middle = Double(at) + Double(cell) / 2 + 3.5
            let edge = Self.room - 11
            return strips
                + "<text x=\"\(edge)\" y=\"\(HTML.decimal(middle))\" text-anchor=\"end\">\(name)</text>"
                + "<text transform=\"translate(\(HTML.decimal(middle)) \(edge)) rotate(-90)\">\(name)</text>\n"
        }.joined()
    }
}
