/// Filled polygons as OpenCV's `fillPoly` draws them: corners are whole pixels, and edges belong to the polygon.
///
/// Source: what `CollectPolyEdges`, `FillEdgeCollection`, `LineIterator` and `clipLine` of OpenCV's `drawing.cpp` compute.
enum OpenCVFill {
    /// Of positions between pixels.
    private static let bits = 16

    private struct Edge {
        let top, bottom: Int
        /// In parts of a pixel.
        let x, step: Int

        func x(at row: Int) -> Int { x + (row - top) * step }
    }

    /// - Parameter points: x, y, x, y, …
    static func polygon(_ points: [Int], _ value: UInt16, on canvas: inout Canvas) {
        var edges: [Edge] = []
        var from = (x: points[points.count - 2], y: points[points.count - 1])
        for place in stride(from: 0, to: points.count, by: 2) {
            let to = (x: points[place], y: points[place + 1])
            line(from, to, value, on: &canvas)
            if let edge = edge(from, to, width: canvas.width, height: canvas.height) { edges.append(edge) }
            from = to
        }
        fill(edges.sorted { ($0.top, $0.x, $0.step) < ($1.top, $1.x, $1.step) }, value, on: &canvas)
    }

    /// Nil for a level line. Of one that leaves the image the slope is that of the part inside.
    private static func edge(_ a: (x: Int, y: Int), _ b: (x: Int, y: Int), width: Int, height: Int) -> Edge? {
        guard a.y != b.y else { return nil }
        var (from, to, _) = clipping(a, b, width: width, height: height)
        if from.y == to.y { (from.y, to.y) = (a.y, b.y) }
        let step = ((to.x - from.x) << bits) / (to.y - from.y)
        let (upper, start) = a.y < b.y ? (a, from) : (b, to)
        return Edge(
            top: upper.y, bottom: max(a.y, b.y), x: start.x << bits + (upper.y - start.y) * step, step: step)
    }

    private static func fill(_ edges: [Edge], _ value: UInt16, on canvas: inout Canvas) {
        guard let first = edges.first?.top, let last = edges.map(\.bottom).max() else { return }
        let one = 1 << bits
        var (next, met): (Int, [Edge]) = (0, [])
        for row in max(0, first)..<max(0, first, min(last, canvas.height)) {
            met.removeAll { $0.bottom <= row }
            while next < edges.count, edges[next].top <= row {
                if edges[next].bottom > row { met.append(edges[next]) }
                next += 1
            }
            let turns = met.map { $0.x(at: row) }.sorted()
            for place in stride(from: 1, to: turns.count, by: 2) {
                canvas.paint(row: row, from: (turns[place - 1] + one - 1) >> bits, to: turns[place] >> bits, value)
            }
        }
    }

    /// A line of pixels that touch at their sides or corners.
    private static func line(_ a: (x: Int, y: Int), _ b: (x: Int, y: Int), _ value: UInt16, on canvas: inout Canvas) {
        let (a, b, isInside) = clipping(a, b, width: canvas.width, height: canvas.height)
        guard isInside else { return }
        let (start, end) = b.x < a.x ? (b, a) : (a, b)
        let (across, down, rise) = (end.x - start.x, abs(end.y - start.y), end.y < start.y ? -1 : 1)
        let (long, short) = (max(across, down), min(across, down))
        var (x, y, error) = (start.x, start.y, long - 2 * short)
        for _ in 0...long {
            canvas.paint(row: y, from: x, to: x, value)
            let isDiagonal = error < 0
            error += (isDiagonal ? 2 * long : 0) - 2 * short
            if down > across || isDiagonal { y += rise }
            if down <= across || isDiagonal { x += 1 }
        }
    }

    /// The part of a line inside the image; without one, what was reached before that showed.
    private static func clipping(
        _ a: (x: Int, y: Int), _ b: (x: Int, y: Int), width: Int, height: Int
    ) -> (a: (x: Int, y: Int), b: (x: Int, y: Int), isInside: Bool) {
        var (a, b) = (a, b)
        func above(_ point: (x: Int, y: Int)) -> Int { point.y < 0 ? -1 : point.y > height - 1 ? 1 : 0 }
        func beside(_ point: (x: Int, y: Int)) -> Int { point.x < 0 ? -1 : point.x > width - 1 ? 1 : 0 }
        func areApart() -> Bool {
            above(a) != 0 && above(a) == above(b) || beside(a) != 0 && beside(a) == beside(b)
        }
        if areApart() { return (a, b, false) }
        func onRow(_ point: (x: Int, y: Int)) -> (x: Int, y: Int) {
            guard above(point) != 0 else { return point }
            let y = above(point) < 0 ? 0 : height - 1
            return (point.x + (y - point.y) * (b.x - a.x) / (b.y - a.y), y)
        }
        a = onRow(a)
        b = onRow(b)
        if areApart() { return (a, b, false) }
        func onColumn(_ point: (x: Int, y: Int)) -> (x: Int, y: Int) {
            guard beside(point) != 0 else { return point }
            let x = beside(point) < 0 ? 0 : width - 1
            return (x, point.y + (x - point.x) * (b.y - a.y) / (b.x - a.x))
        }
        a = onColumn(a)
        b = onColumn(b)
        return (a, b, true)
    }
}
