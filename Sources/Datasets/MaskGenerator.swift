import BEiTTensorCore
import Foundation

/// Draws which patches of an image are hidden (BEiT, arXiv:2106.08254, Algorithm 1; in detail the authors'
/// `masking_generator.py`, which draws the log of the aspect and never exceeds the count).
package struct MaskGenerator: Codable, Equatable, Sendable {
    package enum Kind: String, Codable, CaseIterable, Sendable {
        /// Rectangles until the count is reached.
        case blockwise
        /// Patches independent of each other.
        case random
    }
    package var kind: Kind
    /// The grid of patches.
    package var rows, columns: Int
    /// Hidden patches: so many if random; at most so many, and seldom much less, if blockwise.
    package var count: Int
    /// The smallest area that is drawn for a block, in patches.
    package var minimum: Int
    /// A block's height ÷ width; drawn log-uniformly.
    package var aspect: [Double]

    /// - Parameter count: nil for 75 of 196, in proportion.
    package init(_ kind: Kind = .blockwise, rows: Int, columns: Int, count: Int? = nil) {
        (self.kind, self.rows, self.columns) = (kind, rows, columns)
        self.count = count ?? max(1, Int((Double(rows * columns) * 75 / 196).rounded()))
        // 16 as the authors have it, but less where all blocks together are smaller than a few of that.
        minimum = max(1, min(16, self.count / 4))
        aspect = [0.3, 1 / 0.3]
    }

    /// What makes it impossible, in one sentence; nil if nothing does.
    package var problem: String? {
        let side = 1...1 << 15
        guard side ~= rows, side ~= columns else { return "a mask has \(rows)×\(columns) patches" }
        guard minimum > 0, aspect.count == 2, aspect[0] > 0, aspect[0] <= aspect[1], aspect[1] <= 1e3 else {
            return "blocks of a mask have at least \(minimum) patches and the aspect \(aspect)"
        }
        guard (1...rows * columns).contains(count) else {
            return "`mask-patches` is \(count), and must be 1 to \(rows * columns), the patches of an image"
        }
        return nil
    }

    /// `rows · columns` flags, row-major, true where the patch is hidden: at least one.
    package func callAsFunction(_ generator: inout Philox) -> [Bool] {
        var isMasked = [Bool](repeating: false, count: rows * columns)
        switch kind {
        case .random:
            for patch in generator.permutation(rows * columns).prefix(count) { isMasked[patch] = true }
        case .blockwise:
            for block in blocks(&generator) { block.cells(columns: columns).forEach { isMasked[$0] = true } }
            // On a tiny grid no block may fit, but a loss needs something to predict.
            if !isMasked.contains(true) { isMasked[generator.integer(below: rows * columns)] = true }
        }
        return isMasked
    }

    /// A rectangle of patches, and how many of them no earlier block had.
    struct Block: Equatable {
        var top, left, height, width: Int
        var new = 0

        func cells(columns: Int) -> [Int] {
            (top..<top + height).flatMap { row in (left..<left + width).map { row * columns + $0 } }
        }
    }

    /// The blocks of a mask, which may overlap.
    func blocks(_ generator: inout Philox) -> [Block] {
        var isMasked = [Bool](repeating: false, count: rows * columns)
        var result: [Block] = []
        var budget = count
        while budget > 0, let block = place(isMasked, budget, &generator) {
            for cell in block.cells(columns: columns) { isMasked[cell] = true }
            budget -= block.new
            result.append(block)
        }
        return result
    }

    /// A block that adds 1 to `budget` patches; nil if ten tries find none.
    private func place(_ isMasked: [Bool], _ budget: Int, _ generator: inout Philox) -> Block? {
        func uniform(_ low: Double, _ high: Double) -> Double { low + (high - low) * Double(generator.uniform()) }
        for _ in 0..<10 {
            // Where the budget is below the minimum, the two just change places.
            let area = uniform(Double(minimum), Double(budget))
            let ratio = exp(uniform(log(aspect[0]), log(aspect[1])))
            let height = Int((area * ratio).squareRoot().rounded()), width = Int((area / ratio).squareRoot().rounded())
            guard height > 0, width > 0, height < rows, width < columns else { continue }
            var block = Block(
                top: generator.integer(below: rows - height + 1), left: generator.integer(below: columns - width + 1),
                height: height, width: width)
            block.new = block.cells(columns: columns).count { !isMasked[$0] }
            if (1...budget).contains(block.new) { return block }
        }
        return nil
    }
}
