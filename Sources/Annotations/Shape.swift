/// What an annotation covers.
enum Shape: Sendable {
    /// Areas, of which one may lie in another.
    case outlines([Outline], FillRule)
    /// An area without the parts that lie in others.
    case outline(Outline, holes: [Outline], FillRule)
    /// Pillow's rectangle, its sides included: left, top, right, bottom.
    case rectangle([Int])
    /// Pillow's ellipse in a rectangle.
    case ellipse([Int])
    /// Pillow's lines of ten pixels from point to point.
    case lines([Int])
    /// Runs down one column after another, the first of them outside.
    case columns(counts: [Int], width: Int, height: Int)
    /// Runs along the rows of a part of the image, the first of them outside.
    case rows(counts: [Int], left: Int, top: Int, width: Int)
    /// A picture in a part of the image, whose pixels other than 0 are inside.
    case picture(EmbeddedPicture, left: Int, top: Int)

    /// The pixels inside, or nearly so many, by which the smaller of two shapes is told.
    var area: Double {
        switch self {
        case .outlines(let outlines, _): outlines.reduce(0) { $0 + $1.area }
        case .outline(let outline, let holes, _): holes.reduce(outline.area) { $0 - $1.area }
        case .columns(let counts, _, _), .rows(let counts, _, _, _):
            Double(stride(from: 1, to: counts.count, by: 2).reduce(0) { $0 + counts[$1] })
        case .rectangle(let box), .ellipse(let box): Double(box[2] - box[0]) * Double(box[3] - box[1])
        case .lines, .picture: 0
        }
    }

    /// Throws as ``EmbeddedPicture/decoded(_:)``. `file` is where it stands.
    func paint(_ value: UInt16, on canvas: inout Canvas, _ file: String) throws {
        switch self {
        case .outlines(let outlines, let rule): for outline in outlines { rule.paint(outline, value, on: &canvas) }
        case .outline(let outline, let holes, let rule):
            guard !holes.isEmpty else { return rule.paint(outline, value, on: &canvas) }
            var area = Canvas(width: canvas.width, height: canvas.height, 0)
            rule.paint(outline, 1, on: &area)
            for hole in holes { rule.paint(hole, 0, on: &area) }
            canvas.paint(where: area, isNot: 0, value)
        case .rectangle(let box): PillowFill.rectangle(box[0], box[1], box[2], box[3], value, on: &canvas)
        case .ellipse(let box): PillowFill.ellipse(box[0], box[1], box[2], box[3], value, on: &canvas)
        case .lines(let points): PillowFill.lines(points, width: 10, value, on: &canvas)
        case .columns(let counts, _, _):
            for run in Self.inside(counts) { canvas.paint(columns: run, value) }
        case .rows(let counts, let left, let top, let width):
            for run in Self.inside(counts) {
                for row in run.lowerBound / width...(run.upperBound - 1) / width {
                    let (from, to) = (max(run.lowerBound, row * width), min(run.upperBound, (row + 1) * width))
                    canvas.paint(
                        row: top + row, from: left + from - row * width, to: left + to - 1 - row * width, value)
                }
            }
        case .picture(let picture, let left, let top):
            let mask = try picture.decoded(file)
            for row in 0..<mask.height {
                for x in 0..<mask.width where mask.values[row * mask.width + x] != 0 {
                    canvas.paint(row: top + row, from: left + x, to: left + x, value)
                }
            }
        }
    }

    /// The runs that lie inside.
    private static func inside(_ counts: [Int]) -> [Range<Int>] {
        var (runs, start): ([Range<Int>], Int) = ([], 0)
        for (place, count) in counts.enumerated() {
            if place % 2 == 1, count > 0 { runs.append(start..<start + count) }
            start += count
        }
        return runs
    }
}
