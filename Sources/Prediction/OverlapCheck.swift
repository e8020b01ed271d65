import BEiTTensorCore

/// Compares each window's classes with those of the windows before it, where they overlap.
struct OverlapCheck {
    private let network: WindowNetwork
    private let merging: [Int]?
    private(set) var certainty = Certainty()

    /// - Parameter merging: for each class its index in results; nil where all stay.
    init(_ network: WindowNetwork, _ merging: [Int]?) { (self.network, self.merging) = (network, merging) }

    /// Two places of a patch in each direction are looked at.
    ///
    /// - Parameters:
    ///   - maps: `[windows, h, w, C]`, of which `index` is the window that comes to the patch (`top`, `left`).
    ///   - panels: the sums of the shares of the windows before it.
    ///   - resolution: pixels of a map per patch in each direction.
    mutating func compare(
        _ maps: Tensor, _ index: Int, with panels: [MapStream.Panel], _ plan: WindowPlan, top: Int, left: Int,
        resolution: Int
    ) {
        let (height, width, channels) = (maps.shape[1], maps.shape[2], network.channels)
        let step = max(1, resolution / 2)
        var (own, before): ([Float], [Float]) = ([], [])
        for row in stride(from: 0, to: height, by: step) {
            for column in stride(from: 0, to: width, by: step) {
                let patch = (row: top + row / resolution, column: left + column / resolution)
                let share = plan.shareBefore(top: top, left: left, patch.row, patch.column)
                guard share > 0, let sum = panels.values(top * resolution + row, left * resolution + column, resolution)
                else { continue }
                let values = maps.pointer + ((index * height + row) * width + column) * channels
                own += UnsafeBufferPointer(start: values, count: channels)
                before += UnsafeBufferPointer(start: sum, count: channels).map { $0 / share }
            }
        }
        guard !own.isEmpty else { return }
        let (mine, theirs) = (classes(of: own), classes(of: before))
        certainty.overlaps += mine.count
        certainty.overlapsDisagreeing += zip(mine, theirs).count { $0 != $1 }
    }

    /// The classes of `values`, C for each place.
    private func classes(of values: [Float]) -> [Int] {
        let map = Tensor(values, [1, 1, values.count / network.channels, network.channels])
        let logits = network.classifier.map { $0(map) } ?? map
        let count = logits.shape[3]
        return (0..<logits.shape[2]).map { place in
            let row = UnsafeBufferPointer(start: logits.pointer + place * count, count: count)
            let best = row.indices.max { row[$0] < row[$1] } ?? 0
            return merging.map { $0[best] } ?? best
        }
    }
}

extension WindowPlan {
    /// The share in a patch's average of the windows that come before the one at (`top`, `left`): those of the rows of
    /// windows above, and those to the left in its own.
    fileprivate func shareBefore(top: Int, left: Int, _ row: Int, _ column: Int) -> Float {
        func before(_ axis: Axis, _ patch: Int, _ origin: Int) -> Int {
            axis.origins.count { $0 < origin && ($0..<$0 + axis.window).contains(patch) }
        }
        let whole = columns.coverage[column]
        let seen = before(rows, row, top) * whole + before(columns, column, left)
        return Float(seen) / Float(rows.coverage[row] * whole)
    }
}

extension [MapStream.Panel] {
    /// The sums at a pixel of the map; nil where there is nothing yet, or no more.
    fileprivate func values(_ row: Int, _ column: Int, _ resolution: Int) -> UnsafePointer<Float>? {
        guard let panel = first(where: { $0.patches.contains(column / resolution) }), row >= panel.first,
            row - panel.first < panel.rows.count
        else { return nil }
        let map = panel.rows[row - panel.first]
        return UnsafePointer(map.pointer + (column - panel.patches.lowerBound * resolution) * map.shape[1])
    }
}
