/// A closed line around an area.
struct Outline: Equatable, Sendable {
    /// In what its coordinates are.
    enum Unit: Sendable {
        /// Pixels; (0, 0) is the upper left corner of the image.
        case pixels
        /// Shares of the image's width and height, as YOLO has them: products in single precision, rounded.
        case shares
        /// Hundredths of the image's width and height, as Label Studio has them.
        case percent

        /// Coordinates beyond are taken for errors: the way along an outline is walked step by step.
        var furthest: Double {
            switch self {
            case .pixels: 1e6
            case .shares: 10
            case .percent: 1000
            }
        }
    }
    /// x, y, x, y, …
    let points: [Double]
    let unit: Unit

    /// Points, at most.
    static let most = 1_000_000

    /// Throws ``ShapeProblem``.
    init(_ points: [Double], _ unit: Unit = .pixels) throws(ShapeProblem) {
        guard points.count % 2 == 0 else { throw ShapeProblem("a point has an x and no y") }
        guard points.count >= 6 else { throw ShapeProblem("an outline has fewer than three points") }
        guard points.count <= 2 * Self.most else { throw ShapeProblem("an outline has more than \(Self.most) points") }
        guard points.allSatisfy({ abs($0) <= unit.furthest }) else {
            throw ShapeProblem("a coordinate is no number, or farther away than any image is large")
        }
        (self.points, self.unit) = (points, unit)
        guard length <= 20 * unit.furthest else { throw ShapeProblem("an outline is longer than any area needs") }
    }

    /// Around the area, counted along the longer side of each line.
    private var length: Double {
        var (sum, x, y) = (0.0, points[points.count - 2], points[points.count - 1])
        for place in stride(from: 0, to: points.count, by: 2) {
            sum += max(abs(points[place] - x), abs(points[place + 1] - y))
            (x, y) = (points[place], points[place + 1])
        }
        return sum
    }

    /// The points in pixels of an image.
    func scaled(width: Int, height: Int) -> [Double] {
        let (w, h) = (Double(width), Double(height))
        return points.enumerated().map { place, value in
            switch unit {
            case .pixels: value
            case .percent: value / 100 * (place % 2 == 0 ? w : h)
            case .shares: Double((Float(value) * Float(place % 2 == 0 ? w : h)).rounded(.toNearestOrEven))
            }
        }
    }

    /// In the square of the unit (shoelace formula).
    var area: Double {
        var (sum, x, y) = (0.0, points[points.count - 2], points[points.count - 1])
        for place in stride(from: 0, to: points.count, by: 2) {
            sum += x * points[place + 1] - points[place] * y
            (x, y) = (points[place], points[place + 1])
        }
        return abs(sum) / 2
    }
}

/// Why a shape cannot be painted, in half a sentence.
struct ShapeProblem: Error, Equatable {
    let reason: String
    init(_ reason: String) { self.reason = reason }
}

/// By whose rule the pixels of an outline are found, so that masks are those that the tool itself makes.
enum FillRule: Sendable {
    /// The COCO API's (``COCOFill``); datumaro's as well, by which CVAT exports masks.
    case coco
    /// Pillow's (``PillowFill``), by which labelme makes masks.
    case pillow
    /// OpenCV's (``OpenCVFill``), by which Ultralytics, supervision and Supervisely do.
    case openCV

    func paint(_ outline: Outline, _ value: UInt16, on canvas: inout Canvas) {
        let points = outline.scaled(width: canvas.width, height: canvas.height)
        switch self {
        case .coco:
            for run in COCOFill.runs(points, width: canvas.width, height: canvas.height) {
                canvas.paint(columns: run, value)
            }
        case .pillow: PillowFill.polygon(points.map { Int($0) }, value, on: &canvas)
        case .openCV: OpenCVFill.polygon(points.map { Int($0) }, value, on: &canvas)
        }
    }
}
