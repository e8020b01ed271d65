import BEiTOps
import BEiTTensorCore

/// Learned positions for another grid of patches.
///
/// Absolute embeddings are resized by bicubic interpolation (a = −0.75, align_corners false, as in the official
/// fine-tuning scripts). Tables of relative biases are interpolated by a cubic spline over distances that grow
/// geometrically from the centre, so that short distances keep their bias and long ones are stretched (`geometric
/// progression` in run_class_finetuning.py of the official release); rows and columns each have their own ratio, so grids
/// need not be square. What concerns the cls token is kept.
package struct PositionResizing: Equatable, Sendable {
    /// Patches: rows and columns.
    package typealias Grid = (rows: Int, columns: Int)
    private let rows, columns: Axis

    private struct Axis: Equatable, Sendable {
        var old, new: Int
    }

    package init(from old: Grid, to new: Grid) {
        (rows, columns) = (Axis(old: old.rows, new: new.rows), Axis(old: old.columns, new: new.columns))
    }

    /// Between the grids of two models; nil where one has no backbone.
    package init?(from old: ModelConfiguration, to new: ModelConfiguration) {
        guard let old = old.backbone, let new = new.backbone else { return nil }
        self.init(from: (old.gridHeight, old.gridWidth), to: (new.gridHeight, new.gridWidth))
    }

    /// Whether nothing changes.
    package var isIdentity: Bool { rows.old == rows.new && columns.old == columns.new }

    /// The shape that the parameter at `path`, here of `shape`, has before it is resized; nil if it is none of positions.
    package func oldShape(_ path: String, _ shape: [Int]) -> [Int]? {
        switch Self.kind(path) {
        case .relative: [(2 * rows.old - 1) * (2 * columns.old - 1) + 3, shape[1]]
        case .absolute: [1, 1 + rows.old * columns.old, shape[2]]
        case nil: nil
        }
    }

    /// - Precondition: `old` has the shape that ``oldShape(_:_:)`` says.
    package func resize(_ path: String, _ old: Tensor, into new: Tensor) {
        switch Self.kind(path) {
        case .relative: resizeTable(old, into: new)
        case .absolute: resizeEmbedding(old, into: new)
        case nil: preconditionFailure("\(path) has no positions")
        }
    }

    private enum Kind { case relative, absolute }

    private static func kind(_ path: String) -> Kind? {
        switch path.split(separator: "/").last {
        case "relative_position_bias_table": .relative
        case "pos_embed": .absolute
        default: nil
        }
    }

    /// `[1, 1 + N, D]`; the first row is the cls token's.
    private func resizeEmbedding(_ old: Tensor, into new: Tensor) {
        let width = old.shape[2]
        let grid = Tensor(uninitialized: [1, rows.old, columns.old, width])
        grid.pointer.update(from: old.pointer + width, count: grid.count)
        let resized = Tape(.inference).resize(
            Variable(grid), height: rows.new, width: columns.new, method: .bicubic)
        new.pointer.update(from: old.pointer, count: width)
        (new.pointer + width).update(from: resized.value.pointer, count: resized.value.count)
    }

    /// `[(2h − 1)(2w − 1) + 3, heads]`; the last three rows are those of the cls token.
    private func resizeTable(_ old: Tensor, into new: Tensor) {
        let heads = old.shape[1]
        let down = Self.weights(rows), across = Self.weights(columns)
        let (oldWidth, newWidth) = (2 * columns.old - 1, 2 * columns.new - 1)
        for head in 0..<heads {
            // Across, then down.
            let wide = (0..<2 * rows.old - 1).map { row in
                across.map { weights in
                    weights.enumerated().reduce(0) { sum, weight in
                        sum + weight.element * Double(old.pointer[(row * oldWidth + weight.offset) * heads + head])
                    }
                }
            }
            for (row, weights) in down.enumerated() {
                for column in 0..<newWidth {
                    let value = weights.enumerated().reduce(0) { $0 + $1.element * wide[$1.offset][column] }
                    new.pointer[(row * newWidth + column) * heads + head] = Float(value)
                }
            }
        }
        (new.pointer + new.count - 3 * heads).update(from: old.pointer + old.count - 3 * heads, count: 3 * heads)
    }

    /// For each new distance the weights of the old ones, which stand at geometric coordinates.
    private static func weights(_ axis: Axis) -> [[Double]] {
        let (old, new) = (2 * axis.old - 1, 2 * axis.new - 1)
        guard old != new else { return (0..<new).map { place in (0..<old).map { $0 == place ? 1 : 0 } } }
        let spline = CubicSpline(geometricAxis(old, new))
        return (0..<new).map { spline.weights(at: Double($0 - new / 2)) }
    }

    /// Coordinates 0, ±1, ±(1 + q), ±(1 + q + q²), … of `old` distances, the last about `new` / 2.
    static func geometricAxis(_ old: Int, _ new: Int) -> [Double] {
        let count = old / 2
        var (low, high) = (1.01, 1.5)
        var q = low
        // The last midpoint is used, as the official scripts do.
        while high - low > 1e-6 {
            q = (low + high) / 2
            var (sum, power) = (0.0, 1.0)
            for _ in 0..<count { (sum, power) = (sum + power, power * q) }
            if sum > Double(new / 2) { high = q } else { low = q }
        }
        var half: [Double] = []
        var (distance, step) = (0.0, 1.0)
        for _ in 0..<count {
            distance += step
            step *= q
            half.append(distance)
        }
        return half.reversed().map { -$0 } + [0] + half
    }
}

/// The interpolating cubic spline with not-a-knot ends (de Boor, A Practical Guide to Splines, ch. IV), as weights of the
/// values at its knots; a parabola through three knots, a constant through one.
struct CubicSpline {
    private let knots: [Double]
    /// `[n, n]`: the second derivative at each knot, for the values at the knots.
    private let curvature: [[Double]]

    /// - Precondition: `knots` ascend; there is one, or at least three.
    init(_ knots: [Double]) {
        self.knots = knots
        let n = knots.count
        guard n > 1 else {
            curvature = [[0]]
            return
        }
        var system = [[Double]](repeating: [Double](repeating: 0, count: n), count: n)
        var values = system
        let h = zip(knots.dropFirst(), knots).map { $0 - $1 }
        for i in 1..<n - 1 {
            (system[i][i - 1], system[i][i], system[i][i + 1]) = (h[i - 1], 2 * (h[i - 1] + h[i]), h[i])
            values[i][i - 1] = 6 / h[i - 1]
            values[i][i] = -6 / h[i - 1] - 6 / h[i]
            values[i][i + 1] = 6 / h[i]
        }
        if n == 3 {
            (system[0][0], system[0][1]) = (1, -1)
            (system[2][1], system[2][2]) = (-1, 1)
        } else {
            (system[0][0], system[0][1], system[0][2]) = (h[1], -(h[0] + h[1]), h[0])
            let (last, before) = (h[n - 2], h[n - 3])
            (system[n - 1][n - 3], system[n - 1][n - 2], system[n - 1][n - 1]) = (last, -(before + last), before)
        }
        curvature = Self.solve(system, values)
    }

    /// Outside the knots the value is that of the outermost.
    func weights(at x: Double) -> [Double] {
        var weights = [Double](repeating: 0, count: knots.count)
        guard let first = knots.first, let last = knots.last, knots.count > 1 else { return [1] }
        let x = min(max(x, first), last)
        let i = min((knots.firstIndex { $0 > x } ?? knots.count) - 1, knots.count - 2)
        let h = knots[i + 1] - knots[i]
        let (a, b) = ((knots[i + 1] - x) / h, (x - knots[i]) / h)
        for (j, (left, right)) in zip(curvature[i], curvature[i + 1]).enumerated() {
            weights[j] = ((a * a * a - a) * left + (b * b * b - b) * right) * h * h / 6
        }
        weights[i] += a
        weights[i + 1] += b
        return weights
    }

    /// X of A · X = B, by elimination with pivots.
    private static func solve(_ a: [[Double]], _ b: [[Double]]) -> [[Double]] {
        var (a, b) = (a, b)
        let n = a.count
        for column in 0..<n {
            let pivot = (column..<n).max { abs(a[$0][column]) < abs(a[$1][column]) } ?? column
            a.swapAt(column, pivot)
            b.swapAt(column, pivot)
            for row in column + 1..<n where a[row][column] != 0 {
                let factor = a[row][column] / a[column][column]
                for k in column..<n { a[row][k] -= factor * a[column][k] }
                for k in 0..<n { b[row][k] -= factor * b[column][k] }
            }
        }
        for row in (0..<n).reversed() {
            for k in 0..<n {
                var value = b[row][k]
                for j in row + 1..<n { value -= a[row][j] * b[j][k] }
                b[row][k] = value / a[row][row]
            }
        }
        return b
    }
}
