/// Filled shapes as Pillow's `ImageDraw` draws them: corners are whole pixels, and edges belong to the shape.
///
/// Source: what `polygon_generic`, `ImagingDrawWideLine` and `ellipseNew` of Pillow's `Draw.c` compute.
enum PillowFill {
    /// - Parameter points: x, y, x, y, …
    static func polygon(_ points: [Int], _ value: UInt16, on canvas: inout Canvas) {
        var edges: [Edge] = []
        let count = points.count / 2
        for place in 0..<count {
            let next = (place + 1) % count
            let (x0, y0, x1, y1) = (points[2 * place], points[2 * place + 1], points[2 * next], points[2 * next + 1])
            if next == 0, (x0, y0) == (x1, y1) { continue }
            if y0 == y1, place != 0, next != 0, y0 == points[2 * place - 1] {
                // Level edges behind each other in one direction are one.
                let before = points[2 * place - 2], last = edges.count - 1
                if x1 > x0, x0 > before {
                    edges[last].right = x1
                    continue
                }
                if x1 < x0, x0 < before {
                    edges[last].left = x1
                    continue
                }
            }
            edges.append(Edge(x0, y0, x1, y1))
        }
        fill(edges, value, on: &canvas)
    }

    /// Lines from point to point, `width` pixels wide.
    static func lines(_ points: [Int], width: Int, _ value: UInt16, on canvas: inout Canvas) {
        for place in stride(from: 0, to: points.count - 3, by: 2) {
            let (x0, y0, x1, y1) = (points[place], points[place + 1], points[place + 2], points[place + 3])
            let (dx, dy) = (Double(x1 - x0), Double(y1 - y0))
            guard dx != 0 || dy != 0 else {
                canvas.paint(row: y0, from: x0, to: x0, value)
                continue
            }
            let length = (dx * dx + dy * dy).squareRoot(), half = Double(width - 1) / 2
            let (more, less) = (roundedUp(half) / length, roundedDown(half) / length)
            func step(_ ratio: Double, _ side: Double) -> Int { Int(roundedDown(ratio * side)) }
            let corners = [
                (x0 - step(less, dy), y0 + step(more, dx)), (x1 - step(less, dy), y1 + step(more, dx)),
                (x1 + step(more, dy), y1 - step(less, dx)), (x0 + step(more, dy), y0 - step(less, dx)),
            ]
            let edges = corners.indices.map { corner in
                let (a, b) = (corners[corner], corners[(corner + 1) % 4])
                return Edge(a.0, a.1, b.0, b.1)
            }
            fill(edges, value, on: &canvas)
        }
    }

    static func rectangle(_ x0: Int, _ y0: Int, _ x1: Int, _ y1: Int, _ value: UInt16, on canvas: inout Canvas) {
        guard y0 <= y1 else { return }
        for row in max(0, y0)..<max(0, min(canvas.height, y1 + 1), y0) {
            canvas.paint(row: row, from: x0, to: x1, value)
        }
    }

    /// The ellipse inside a box, whose sides belong to it.
    static func ellipse(_ x0: Int, _ y0: Int, _ x1: Int, _ y1: Int, _ value: UInt16, on canvas: inout Canvas) {
        let (a, b) = (x1 - x0, y1 - y0)
        guard a >= 0, b >= 0, a + b > 0 else { return }
        // On a grid of half pixels around the middle: from the right end up, next to the curve, a pixel at a time.
        func distance(_ x: Int, _ y: Int) -> Int { abs(a * a * y * y + b * b * x * x - a * a * b * b) }
        var (x, y, painted) = (a, b % 2, -1)
        while true {
            if y != painted {
                for row in [-y, y] {
                    canvas.paint(row: y0 + (row + b) / 2, from: x0 + (a - x) / 2, to: x0 + (a + x) / 2, value)
                }
                painted = y
            }
            if x == a % 2, y == b { return }
            let steps = x > 1 ? [(x, y + 2), (x - 2, y + 2), (x - 2, y)] : [(x, y + 2)]
            var best = steps[0]
            for step in steps.dropFirst() where distance(best.0, best.1) > distance(step.0, step.1) { best = step }
            (x, y) = best
        }
    }

    private static func roundedUp(_ x: Double) -> Double { x.rounded(.toNearestOrAwayFromZero) }
    private static func roundedDown(_ x: Double) -> Double {
        x >= 0 ? (x - 0.5).rounded(.up) : -(-x - 0.5).rounded(.up)
    }

    // MARK: Rows

    private struct Edge {
        let x0, y0: Int
        var left, right: Int
        let top, bottom: Int
        /// From a row to the next.
        let step: Float

        init(_ x0: Int, _ y0: Int, _ x1: Int, _ y1: Int) {
            (self.x0, self.y0, left, right, top, bottom) = (x0, y0, min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1))
            step = y0 == y1 ? 0 : Float(x1 - x0) / Float(y1 - y0)
        }

        func x(at row: Int) -> Float { Float(row - y0) * step + Float(x0) }
    }

    private static func fill(_ edges: [Edge], _ value: UInt16, on canvas: inout Canvas) {
        guard let lowest = edges.map(\.bottom).max() else { return }
        for edge in edges where edge.top == edge.bottom {
            canvas.paint(row: edge.top, from: edge.left, to: edge.right, value)
        }
        let steep = edges.filter { $0.top != $0.bottom }
        guard let highest = steep.map(\.top).min() else { return }
        let (first, last) = (max(0, highest), min(canvas.height, lowest))
        guard first <= last else { return }
        // The edges that a row meets, in their order around the polygon.
        let waiting = steep.indices.sorted { (steep[$0].top, $0) < (steep[$1].top, $1) }
        var (next, met): (Int, [Int]) = (0, [])
        for row in first...last {
            met.removeAll { steep[$0].bottom < row }
            let known = met.count
            while next < waiting.count, steep[waiting[next]].top <= row {
                if steep[waiting[next]].bottom >= row { met.append(waiting[next]) }
                next += 1
            }
            if met.count > known { met.sort() }
            let turns = turns(met.map { steep[$0] }, row: row, isLast: row == last).sorted()
            for place in stride(from: 1, to: turns.count, by: 2) {
                let (left, right) = (turns[place - 1], turns[place])
                canvas.paint(row: row, from: firstPixel(left), to: lastPixel(right), value)
            }
        }
    }

    /// The nearest pixel; of two the one farther from 0.
    private static func firstPixel(_ x: Float) -> Int {
        x >= 0 ? Int((x + 0.5).rounded(.down)) : -Int((Double(-x) + 0.5).rounded(.down))
    }

    /// The nearest pixel; of two the one nearer to 0.
    private static func lastPixel(_ x: Float) -> Int {
        x >= 0 ? Int((x - 0.5).rounded(.up)) : -Int((Double(-x) - 0.5).rounded(.up))
    }

    /// Where a row changes between outside and inside.
    private static func turns(_ edges: [Edge], row: Int, isLast: Bool) -> [Float] {
        var turns: [Float] = []
        // The first edges that end here, coming from the row above or below, by the pixel in which they end.
        var (fromAbove, fromBelow): ([Float: Edge], [Float: Edge]) = ([:], [:])
        for edge in edges {
            let x = edge.x(at: row)
            let isSlanted = edge.step != 0 && (row == edge.top || row == edge.bottom)
            let pixel = x.rounded(.toNearestOrAwayFromZero)
            if row == edge.bottom, !isLast {
                // The edge that goes on from here is met as well.
                turns += [x, x]
            } else if isSlanted {
                let other = row == edge.bottom ? fromAbove[pixel] : fromBelow[pixel]
                turns.append(other.map { corner(edge, $0, x, beside: row + (row == edge.bottom ? -1 : 1)) } ?? x)
            } else {
                turns.append(x)
            }
            guard isSlanted else { continue }
            if row == edge.bottom { fromAbove[pixel] = fromAbove[pixel] ?? edge }
            if row == edge.top { fromBelow[pixel] = fromBelow[pixel] ?? edge }
        }
        return turns
    }

    /// The x of a corner, moved to where both of its edges are in the row beside it, if that is more than a pixel away: else
    /// flat corners would be cut off from their polygon.
    private static func corner(_ edge: Edge, _ other: Edge, _ x: Float, beside row: Int) -> Float {
        let (a, b) = (edge.x(at: row), other.x(at: row))
        if x > a + 1, x > b + 1 { return max(a, b).rounded(.toNearestOrAwayFromZero) + 1 }
        if x < a - 1, x < b - 1 { return min(a, b).rounded(.toNearestOrAwayFromZero) - 1 }
        return x
    }
}
