import CBEiTImageShim

/// Resizes a picture whose rows come one after another: the bytes of ``RGBImage/resized(width:height:filter:box:)``, with
/// only those rows in memory that a new one is made of.
package struct RowResizer {
    /// Of the new picture, in pixels.
    package let width, height: Int
    private let plan: Plan
    private let oldRowBytes: Int
    /// Rows that are waiting, as they go into the pass down the columns; the first is old row `first`.
    private var band: [UInt8] = []
    private var first = 0
    /// New rows that were handed on.
    private var finished = 0

    private enum Plan {
        case nearest(columns: [Int], rows: [Int])
        /// The passes; nil for one that changes nothing.
        case weighted(across: Taps?, down: Taps?, downFirst: Bool)
    }

    /// - Precondition: sizes are positive.
    package init(
        width oldWidth: Int, height oldHeight: Int, toWidth width: Int, height: Int, filter: ResizeFilter
    ) {
        let (columns, rows) = spans(nil, in: (oldWidth, oldHeight), to: (width, height))
        (self.width, self.height, oldRowBytes) = (width, height, 3 * oldWidth)
        guard let kernel = Kernel(filter) else {
            plan = .nearest(columns: columns.nearest(), rows: rows.nearest())
            return
        }
        plan = .weighted(
            across: columns.isIdentity ? nil : Taps(columns, kernel), down: rows.isIdentity ? nil : Taps(rows, kernel),
            downFirst: rows.goFirst(before: columns))
    }

    /// The new rows that the next old rows complete, `3 · width` bytes each.
    package mutating func add(_ rows: [UInt8]) -> [UInt8] {
        precondition(rows.count % oldRowBytes == 0, "\(rows.count) bytes are not whole rows of \(oldRowBytes)")
        switch plan {
        case .nearest(let columns, let sources):
            band = rows
            defer { first += rows.count / oldRowBytes }
            return pick(columns, sources)
        case .weighted(let across, let down, let downFirst):
            let waiting = downFirst ? rows : resampled(rows, across)
            guard let down else { return waiting }
            band += waiting
            let ready = blended(down, rowBytes: downFirst ? oldRowBytes : 3 * width)
            return downFirst ? resampled(ready, across) : ready
        }
    }

    private func resampled(_ rows: [UInt8], _ taps: Taps?) -> [UInt8] {
        guard let taps else { return rows }
        let count = rows.count / oldRowBytes
        return [UInt8](unsafeUninitializedCapacity: 3 * width * count) { result, size in
            rows.withUnsafeBufferPointer { rows in
                guard let from = rows.baseAddress, let to = result.baseAddress else { return }
                for row in 0..<count {
                    beitseg_resample_across(
                        from + oldRowBytes * row, to + 3 * width * row, width, taps.starts, taps.counts, taps.weights,
                        taps.stride)
                }
            }
            size = 3 * width * count
        }
    }

    /// The new rows of which all old ones are there; old ones that no later row needs go.
    private mutating func blended(_ taps: Taps, rowBytes: Int) -> [UInt8] {
        let known = first + band.count / rowBytes
        var end = finished
        while end < height, Int(taps.starts[end] + taps.counts[end]) <= known { end += 1 }
        let ready = finished..<end
        let result = [UInt8](unsafeUninitializedCapacity: rowBytes * ready.count) { result, size in
            band.withUnsafeBufferPointer { band in
                taps.weights.withUnsafeBufferPointer { weights in
                    guard let from = band.baseAddress, let to = result.baseAddress, let weights = weights.baseAddress
                    else { return }
                    for row in ready {
                        beitseg_resample_down(
                            from + rowBytes * (Int(taps.starts[row]) - first), rowBytes, weights + taps.stride * row,
                            Int(taps.counts[row]), to + rowBytes * (row - ready.lowerBound))
                    }
                }
            }
            size = rowBytes * ready.count
        }
        finished = end
        let needed = min(end < height ? Int(taps.starts[end]) : known, known)
        band.removeFirst((needed - first) * rowBytes)
        first = needed
        return result
    }

    private mutating func pick(_ columns: [Int], _ sources: [Int]) -> [UInt8] {
        let known = first + band.count / oldRowBytes
        var result: [UInt8] = []
        while finished < height, sources[finished] < known {
            let row = oldRowBytes * (sources[finished] - first)
            for column in columns { result += band[row + 3 * column..<row + 3 * column + 3] }
            finished += 1
        }
        return result
    }
}
