import BEiTTensorCore
import CBEiTKernels
import Foundation

/// Where the pixels of one axis lie on a coarser or finer one: pixel i at `fraction[i]` of the way from `left[i]` to the
/// next. Its centre is (i + ½)·inputs/outputs − ½, held inside the axis (PyTorch's bilinear, `align_corners=False`).
package struct BilinearAxis: Sendable {
    package let inputs: Int
    package var outputs: Int { left.count }
    let left: [Int32]
    let fraction: [Float]

    package init(from inputs: Int, to outputs: Int) {
        precondition(inputs > 0 && outputs > 0, "\(inputs) to \(outputs) pixels")
        self.inputs = inputs
        let scale = Double(inputs) / Double(outputs)
        let places = (0..<outputs).map { min(max((Double($0) + 0.5) * scale - 0.5, 0), Double(inputs - 1)) }
        left = places.map { Int32($0) }
        fraction = places.map { Float($0 - $0.rounded(.down)) }
    }

    /// The inputs that `outputs` are made of.
    package func sources(_ outputs: Range<Int>) -> Range<Int> {
        Int(left[outputs.lowerBound])..<min(inputs, Int(left[outputs.upperBound - 1]) + 2)
    }
}

/// The last step of segmentation: logits at the decoder's resolution become a class for each pixel of the photo.
///
/// Works on strips of the photo's rows, a few hundred pixels at a time, so that nothing of size K × pixels ever exists.
package struct SegmentationOutput {
    /// The logits of one pass over the photo.
    package struct Pass {
        /// Some consecutive rows `[w, K]`; the first is row `firstRow` of the logits, and they begin with `firstColumn`.
        package var rows: [Tensor]
        package var firstRow, firstColumn: Int
        package var vertical, horizontal: BilinearAxis

        package init(
            rows: [Tensor], firstRow: Int, firstColumn: Int = 0, vertical: BilinearAxis, horizontal: BilinearAxis
        ) {
            (self.rows, self.firstRow, self.firstColumn) = (rows, firstRow, firstColumn)
            (self.vertical, self.horizontal) = (vertical, horizontal)
        }
    }

    /// How unsure a row's pixels are, summed over them.
    package struct Doubt {
        /// Of the probabilities, in nats.
        package var entropy = 0.0
        /// Pixels that the passes see as different classes.
        package var disagreeing = 0

        package init() {}
    }

    /// K.
    package let classes: Int
    /// Of the photo, in pixels.
    package let width: Int
    /// Pixels whose values are in memory at once, per thread.
    package static let block = 512
    /// Of how many rows of a photo one counts in its doubts.
    package static let sampled = 8
    /// Classes whose probability counts as another's.
    private let merged: [(from: Int, to: Int)]

    /// - Parameter merging: for each class the one that it is merged into, or itself; nil for no merging.
    package init(classes: Int, width: Int, merging: [Int]? = nil) {
        precondition(classes > 0 && classes <= 1 << 16 && width > 0, "\(classes) classes, \(width) pixels")
        precondition(merging.map { $0.count == classes && $0.allSatisfy { $0 < classes } } ?? true)
        (self.classes, self.width) = (classes, width)
        merged = (merging ?? []).enumerated().filter { $0 != $1 }.map { ($0, $1) }
    }

    /// Finds the classes of the photo's rows `rows`, or of some columns of them.
    ///
    /// One pass: the class of the largest logit. Several: of the largest mean of the passes' softmax (mmsegmentation's
    /// `aug_test`). Merged classes count with the sum of their probabilities.
    /// - Parameters:
    ///   - columns: nil for all; they begin with a whole multiple of ``block``.
    ///   - labels: receives rows.count · width classes; as of all results, only those of `columns` are written.
    ///   - confidence: receives the probability of each pixel's class; may be nil.
    ///   - every: of how many rows of the photo one gets a confidence, the first of it among them; the others' is left.
    ///   - doubts: one for each row, to which that of every ``sampled``-th row of the photo is added; may be nil.
    ///   - probabilities: receives those of all classes, `[rows, width, K]`; may be nil.
    package func classify(
        _ passes: [Pass], rows: Range<Int>, columns: Range<Int>? = nil, labels: UnsafeMutablePointer<UInt16>,
        confidence: UnsafeMutablePointer<Float>? = nil, every: Int = 1, doubts: UnsafeMutablePointer<Doubt>? = nil,
        probabilities: UnsafeMutablePointer<Float>? = nil
    ) {
        // Rows are written apart: a task has its own.
        nonisolated(unsafe) let (passes, labels, confidence) = (passes, labels, confidence)
        nonisolated(unsafe) let (doubts, probabilities) = (doubts, probabilities)
        let columns = columns ?? 0..<width
        WorkerPool.current.run(rows.count, grain: 8) { range in
            let longest = passes.map(\.horizontal.inputs).max() ?? 0
            let scratch = Scratch(
                row: Tensor(uninitialized: [longest, classes]),
                values: Tensor(uninitialized: [Self.block, classes]),
                sums: Tensor(uninitialized: [passes.count > 1 ? Self.block : 0, classes]))
            for row in range {
                let number = rows.lowerBound + row
                classify(
                    passes, row: number, columns, scratch, labels: labels + row * width,
                    confidence: number % every == 0 ? confidence.map { $0 + row * width } : nil,
                    doubt: number % Self.sampled == 0 ? doubts.map { $0 + row } : nil,
                    probabilities: probabilities.map { $0 + row * width * classes })
            }
        }
    }

    private struct Scratch {
        let row, values, sums: Tensor
    }

    private func classify(
        _ passes: [Pass], row: Int, _ all: Range<Int>, _ scratch: Scratch, labels: UnsafeMutablePointer<UInt16>,
        confidence: UnsafeMutablePointer<Float>?, doubt: UnsafeMutablePointer<Doubt>?,
        probabilities: UnsafeMutablePointer<Float>?
    ) {
        for start in stride(from: all.lowerBound, to: all.upperBound, by: Self.block) {
            let columns = start..<min(all.upperBound, start + Self.block)
            let values = passes.count > 1 ? scratch.sums.pointer : scratch.values.pointer
            var views: [[UInt16]] = []
            if passes.count > 1 {
                values.update(repeating: 0, count: columns.count * classes)
                for pass in passes {
                    let logits = scratch.values.pointer
                    interpolate(pass, row, columns, scratch.row.pointer, into: logits)
                    beitseg_softmax(logits, columns.count, classes, logits)
                    if doubt != nil { views.append(found(logits, columns.count)) }
                    beitseg_axpby(1 / Float(passes.count), logits, 1, values, columns.count * classes)
                }
            } else {
                interpolate(passes[0], row, columns, scratch.row.pointer, into: values)
            }
            var areProbabilities = passes.count > 1
            func makeProbabilities() {
                if !areProbabilities { beitseg_softmax(values, columns.count, classes, values) }
                areProbabilities = true
            }
            if !merged.isEmpty {
                makeProbabilities()
                merge(values, columns.count)
            }
            beitseg_argmax_rows(values, columns.count, classes, labels + start)
            guard confidence != nil || doubt != nil || probabilities != nil else { continue }
            makeProbabilities()
            if let doubt { add(values, columns.count, views, to: &doubt.pointee) }
            if let probabilities {
                (probabilities + start * classes).update(from: values, count: columns.count * classes)
            }
            guard let confidence else { continue }
            for column in columns {
                confidence[column] = values[(column - start) * classes + Int(labels[column])]
            }
        }
    }

    /// The class of each pixel in one pass, of probabilities `[pixels, K]`, which are merged.
    private func found(_ probabilities: UnsafeMutablePointer<Float>, _ pixels: Int) -> [UInt16] {
        if !merged.isEmpty { merge(probabilities, pixels) }
        return [UInt16](unsafeUninitializedCapacity: pixels) { labels, count in
            if let labels = labels.baseAddress { beitseg_argmax_rows(probabilities, pixels, classes, labels) }
            count = pixels
        }
    }

    /// - Parameter views: the classes in each of several passes.
    private func add(
        _ probabilities: UnsafeMutablePointer<Float>, _ pixels: Int, _ views: [[UInt16]], to doubt: inout Doubt
    ) {
        for pixel in 0..<pixels {
            var entropy: Float = 0
            for place in pixel * classes..<(pixel + 1) * classes where probabilities[place] > 1e-7 {
                entropy -= probabilities[place] * log(probabilities[place])
            }
            doubt.entropy += Double(entropy)
            if let first = views.first, views.contains(where: { $0[pixel] != first[pixel] }) { doubt.disagreeing += 1 }
        }
    }

    /// Adds up the probabilities `[pixels, K]` of classes that are one.
    private func merge(_ values: UnsafeMutablePointer<Float>, _ pixels: Int) {
        for pixel in 0..<pixels {
            let values = values + pixel * classes
            for (from, to) in merged {
                values[to] += values[from]
                values[from] = 0
            }
        }
    }

    /// The logits of some pixels of a row: `[columns, K]`.
    private func interpolate(
        _ pass: Pass, _ row: Int, _ columns: Range<Int>, _ blended: UnsafeMutablePointer<Float>,
        into values: UnsafeMutablePointer<Float>
    ) {
        // Only the part of the logits' row that these pixels need is blended with the next row's.
        let source = pass.horizontal.sources(columns)
        let (offset, count) = (source.lowerBound * classes, source.count * classes)
        let top = Int(pass.vertical.left[row]) - pass.firstRow
        let below = min(top + 1, pass.vertical.inputs - 1 - pass.firstRow)
        let share = pass.vertical.fraction[row]
        let place = offset - pass.firstColumn * classes
        beitseg_axpby(1 - share, pass.rows[top].pointer + place, 0, blended + offset, count)
        beitseg_axpby(share, pass.rows[below].pointer + place, 1, blended + offset, count)
        pass.horizontal.left.withUnsafeBufferPointer { left in
            pass.horizontal.fraction.withUnsafeBufferPointer { fraction in
                guard let left = left.baseAddress, let fraction = fraction.baseAddress else { return }
                beitseg_interpolate_columns(
                    blended, pass.horizontal.inputs - 1, left + columns.lowerBound, fraction + columns.lowerBound,
                    columns.count, classes, values)
            }
        }
    }
}
