import BEiTTensorCore
import CBEiTKernels

/// The rows of a matrix in pairs of bfloat16 numbers, packed for sums of products over the rows.
struct PairedRows {
    enum Side { case left, right }
    private let rows, columns, width, panelCount: Int
    private let panels: Storage

    private init(rows: Int, columns: Int, _ side: Side) {
        (self.rows, self.columns) = (rows, columns)
        width = Int(side == .left ? beitseg_outer_panel : beitseg_panel)
        panelCount = (rows + 1) / 2 * 2 * width
        panels = Storage(count: (columns + width - 1) / width * panelCount, .bfloat16)
    }

    /// Packs `[..., columns]` of bfloat16, shared among the workers.
    init(_ x: Tensor, columns: Int, _ side: Side) {
        self.init(rows: x.count / max(1, columns), columns: columns, side)
        let (from, to) = (x.bfloats, panels.bfloats)
        WorkerPool.current.run(rows, grain: 64) {
            beitseg_pack_pairs_bf16(
                from + $0.lowerBound * columns, columns, $0.count, columns, width, to + $0.lowerBound * width,
                panelCount)
        }
    }

    /// Packs rows `stride` numbers apart on the calling thread.
    init(_ x: UnsafePointer<UInt16>, stride: Int, rows: Int, columns: Int, _ side: Side) {
        self.init(rows: rows, columns: columns, side)
        beitseg_pack_pairs_bf16(x, stride, rows, columns, width, panels.bfloats, panelCount)
    }

    /// Packs rows `positions` of a window's matrix, from where they lie on the map, on the calling thread.
    init(_ window: Window, _ positions: Range<Int>, of map: Tensor) {
        self.init(rows: positions.count, columns: window.columns, .right)
        window.withLines(positions, of: map) { lines in
            beitseg_pack_pair_lines(
                lines.addresses, lines.count, lines.length, positions.count, panels.bfloats, panelCount)
        }
    }

    /// Packs rows of floats `stride` numbers apart on the calling thread.
    init(_ x: UnsafePointer<Float>, stride: Int, rows: Int, columns: Int, _ side: Side) {
        self.init(rows: rows, columns: columns, side)
        beitseg_pack_pairs(x, stride, rows, columns, width, panels.bfloats, panelCount)
    }

    /// The numbers from a column on that begins a panel.
    private func from(_ column: Int) -> UnsafeMutablePointer<UInt16> { panels.bfloats + column / width * panelCount }

    /// Lᵀ·R of two sides with as many rows, `[left columns, right columns]` with rows `stride` apart: the gradient of a
    /// weight. Shared among the workers.
    /// - Parameter adds: whether it is added to what is there.
    static func multiply(
        _ left: PairedRows, _ right: PairedRows, into c: UnsafeMutablePointer<Float>, stride: Int, adds: Bool
    ) {
        precondition(left.rows == right.rows, "sums over \(left.rows) and \(right.rows) rows")
        let tiling = Tiling(
            rows: left.columns, columns: right.columns, height: 192, rowStep: left.width, columnStep: right.width)
        WorkerPool.current.run(tiling.count) { index in
            let (rows, columns) = tiling.tile(index)
            if rows.isEmpty || columns.isEmpty { return }
            beitseg_bf16_outer_product(
                left.from(rows.lowerBound), rows.count, left.rows, right.from(columns.lowerBound), columns.count,
                adds ? 1 : 0, c + rows.lowerBound * stride + columns.lowerBound, stride)
        }
        withExtendedLifetime((left.panels, right.panels)) {}
    }
}
