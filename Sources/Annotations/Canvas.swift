/// The class of each pixel while shapes are painted one over the other.
struct Canvas {
    let width, height: Int
    /// Rows from top to bottom.
    private(set) var values: [UInt16]

    init(width: Int, height: Int, _ value: UInt16) {
        (self.width, self.height) = (width, height)
        values = [UInt16](repeating: value, count: width * height)
    }

    /// Paints a row from `left` to `right`, both included; what lies outside is left out.
    mutating func paint(row: Int, from left: Int, to right: Int, _ value: UInt16) {
        let (left, right) = (max(0, left), min(width - 1, right))
        guard row >= 0, row < height, left <= right else { return }
        values.withUnsafeMutableBufferPointer { values in
            for place in row * width + left...row * width + right { values[place] = value }
        }
    }

    /// Paints pixels that are counted down one column after another.
    mutating func paint(columns run: Range<Int>, _ value: UInt16) {
        let run = run.clamped(to: 0..<width * height)
        guard !run.isEmpty else { return }
        var (x, y) = (run.lowerBound / height, run.lowerBound % height)
        values.withUnsafeMutableBufferPointer { values in
            for _ in run {
                values[y * width + x] = value
                y += 1
                if y == height { (x, y) = (x + 1, 0) }
            }
        }
    }

    /// Paints where `other`, of the same size, is not `hole`.
    mutating func paint(where other: Canvas, isNot hole: UInt16, _ value: UInt16) {
        for place in values.indices where other.values[place] != hole { values[place] = value }
    }
}
