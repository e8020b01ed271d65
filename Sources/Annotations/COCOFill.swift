import Foundation

/// The pixels of an outline by the COCO API's rule: those whose centre lies inside, found on a grid five times as fine.
///
/// Source: what `rleFrPoly` of the COCO API's `common/maskApi.c` computes.
enum COCOFill {
    /// The grid's steps a pixel.
    private static let scale = 5.0

    /// The runs of pixels inside, counted down one column after another.
    static func runs(_ points: [Double], width: Int, height: Int) -> [Range<Int>] {
        var turns = Crossings(width: width, height: height)
        let grid = points.map { Int(scale * $0 + 0.5) }
        for place in stride(from: 0, to: grid.count, by: 2) {
            let next = (place + 2) % grid.count
            turns.walk((grid[place], grid[place + 1]), (grid[next], grid[next + 1]))
        }
        let places = turns.places.sorted()
        let ends = places.count % 2 == 0 ? places : places + [width * height]
        return stride(from: 0, to: ends.count, by: 2).map { ends[$0]..<ends[$0 + 1] }
    }

    /// Where a line on the grid passes the middle of a column of pixels.
    private struct Crossings {
        let width, height: Int
        /// The first pixel below each passing, counted down one column after another.
        var places: [Int] = []

        /// Goes from `a` to `b`, a step at a time along the longer side; between two lines x stays as it is.
        mutating func walk(_ a: (x: Int, y: Int), _ b: (x: Int, y: Int)) {
            let (across, down) = (abs(b.x - a.x), abs(b.y - a.y))
            guard across > 0 else { return }
            let isFlat = across >= down
            // Both directions of a line give the same points.
            let isTurned = isFlat ? a.x > b.x : a.y > b.y
            let (from, to) = isTurned ? (b, a) : (a, b)
            let slope = isFlat ? Double(to.y - from.y) / Double(across) : Double(to.x - from.x) / Double(down)
            func point(_ step: Int) -> (x: Int, y: Int) {
                let along = isTurned ? max(across, down) - step : step
                return isFlat
                    ? (from.x + along, Int(Double(from.y) + slope * Double(along) + 0.5))
                    : (Int(Double(from.x) + slope * Double(along) + 0.5), from.y + along)
            }
            var last = point(0)
            for step in 1...max(across, down) {
                let next = point(step)
                if next.x != last.x { pass(last, next) }
                last = next
            }
        }

        private mutating func pass(_ a: (x: Int, y: Int), _ b: (x: Int, y: Int)) {
            let x = (Double(b.x < a.x ? b.x : b.x - 1) + 0.5) / scale - 0.5
            guard x == floor(x), x >= 0, x <= Double(width - 1) else { return }
            let y = (Double(min(a.y, b.y)) + 0.5) / scale - 0.5
            places.append(Int(x) * height + Int(ceil(min(max(y, 0), Double(height)))))
        }
    }
}
