import BEiTImageIO
import BEiTOps
import BEiTTensorCore

/// The logits of a photo at one size, from top to bottom.
///
/// Where windows overlap their logits are averaged. Only the rows of one row of windows are ever in memory.
final class LogitsStream {
    private let network: WindowNetwork
    private let picture: any PictureRows
    private let plan: WindowPlan
    private let batch: Int
    /// Called after each batch of windows with their number.
    private let progress: (Int) throws -> Void
    private var views: [View]
    private var nextOrigin = 0
    /// Logits per patch in each direction; known from the first window on.
    private var resolution = 0

    /// The photo as it is, or mirrored, with its logits turned back.
    private struct View {
        let isMirrored: Bool
        /// Rows `[w, K]`; the first is row `first`.
        var band: [Tensor] = []
        var first = 0
    }

    /// - Parameters:
    ///   - picture: resized as planned.
    ///   - isAlsoMirrored: the windows are seen mirrored as well.
    /// - Throws: ``NotFinite``, what `picture` and `progress` throw.
    init(
        _ network: WindowNetwork, _ picture: any PictureRows, _ plan: WindowPlan, isAlsoMirrored: Bool, batch: Int,
        progress: @escaping (Int) throws -> Void = { _ in }
    ) throws {
        (self.network, self.picture, self.plan) = (network, picture, plan)
        (self.batch, self.progress) = (max(1, batch), progress)
        views = (isAlsoMirrored ? [false, true] : [false]).map { View(isMirrored: $0) }
        try computeWindows()
    }

    var height: Int { plan.rows.count * resolution }
    var width: Int { plan.columns.count * resolution }

    /// Rows of the logits of each view; the ranges asked for go down the photo, and what lies above is forgotten.
    func rows(_ range: Range<Int>) throws -> [[Tensor]] {
        forget(above: range.lowerBound)  // before more are computed
        while finished < range.upperBound { try computeWindows() }
        forget(above: range.lowerBound)
        return views.map { Array($0.band[..<range.count]) }
    }

    private func forget(above row: Int) {
        for index in views.indices {
            precondition(row >= views[index].first, "rows from \(row) on are gone")
            let count = min(row - views[index].first, views[index].band.count)
            views[index].band.removeFirst(count)
            views[index].first += count
        }
    }

    /// Rows above which no further window lies.
    private var finished: Int {
        nextOrigin < plan.rows.origins.count ? plan.rows.origins[nextOrigin] * resolution : height
    }

    /// Computes the next row of windows.
    private func computeWindows() throws {
        let top = plan.rows.origins[nextOrigin]
        nextOrigin += 1
        let strip = try picture.strip(top * plan.size.patch..<(top + plan.size.rows) * plan.size.patch)
        let origins = plan.columns.origins
        for index in views.indices {
            for start in stride(from: 0, to: origins.count, by: batch) {
                let part = origins[start..<min(origins.count, start + batch)]
                let logits = network.logits(pixels(strip, lefts: part, isMirrored: views[index].isMirrored))
                try check(logits)
                resolution = logits.shape[1] / plan.size.rows
                for (place, left) in part.enumerated() { add(logits, place, to: index, top: top, left: left) }
                try progress(part.count)
            }
        }
    }

    private func check(_ logits: Tensor) throws(NotFinite) {
        precondition(
            logits.shape.count == 4 && logits.shape[1] % plan.size.rows == 0
                && logits.shape[1] / plan.size.rows == logits.shape[2] / plan.size.columns
                && logits.shape[3] == network.classes, "logits \(logits.shape) do not fit the patches")
        guard Elementwise.isFinite(logits) else { throw NotFinite() }
    }

    private func pixels(_ strip: PictureStrip, lefts: ArraySlice<Int>, isMirrored: Bool) -> Tensor {
        let size = plan.size
        let pixels = Tensor(uninitialized: [lefts.count, 3, size.height, size.width])
        for (index, left) in lefts.enumerated() {
            network.scaling.write(
                strip.image, x: left * size.patch, y: strip.top, width: size.width, height: size.height,
                isMirrored: isMirrored, to: pixels.pointer + index * 3 * size.height * size.width)
        }
        return pixels
    }

    /// Adds the window `index` of `logits` at the patch (`top`, `left`), by its share in the average.
    private func add(_ logits: Tensor, _ index: Int, to view: Int, top: Int, left: Int) {
        let (rows, columns, classes) = (logits.shape[1], logits.shape[2], network.classes)
        if views[view].isMirrored {
            for row in 0..<rows {
                Elementwise.reverseRows(logits.pointer + (index * rows + row) * columns * classes, columns, classes)
            }
        }
        if plan.isOneWindow {
            let all = logits.reshaped([rows, columns, classes])
            views[view].band = (0..<rows).map { all.rows($0..<$0 + 1).reshaped([columns, classes]) }
            return
        }
        let first = views[view].first
        while first + views[view].band.count < top * resolution + rows {
            views[view].band.append(.zeros([width, classes]))
        }
        let runs = Self.runs(Array(plan.columns.coverage[left..<left + plan.size.columns]))
        for row in 0..<rows {
            let down = plan.rows.coverage[top + row / resolution]
            let from = logits.pointer + (index * rows + row) * columns * classes
            let to = views[view].band[top * resolution + row - first].pointer + left * resolution * classes
            for (patches, coverage) in runs {
                let start = patches.lowerBound * resolution * classes
                Elementwise.addScaled(
                    1 / Float(down * coverage), from + start, into: to + start,
                    count: patches.count * resolution * classes)
            }
        }
    }

    /// Neighbours with the same value.
    private static func runs(_ values: [Int]) -> [(Range<Int>, Int)] {
        var runs: [(Range<Int>, Int)] = []
        for (place, value) in values.enumerated() {
            if let last = runs.last, last.1 == value {
                runs[runs.count - 1].0 = last.0.lowerBound..<place + 1
            } else {
                runs.append((place..<place + 1, value))
            }
        }
        return runs
    }
}
