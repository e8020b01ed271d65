import BEiTTensorCore
import CBEiTKernels
import Foundation

/// How pixels between pixels come about.
package enum Interpolation: Sendable {
    case bilinear
    /// Keys' cubic convolution; a = −0.75, with `antialias` −0.5, as in PyTorch.
    case bicubic
}

extension Tape {
    /// Resizes `[B, H, W, C]` to `[B, height, width, C]`; the centre of output pixel i lies at
    /// (i + ½)·in/out − ½ of the input (PyTorch's `align_corners=False`).
    ///
    /// - Parameter antialias: when shrinking, stretches the filter over all input pixels that an output pixel covers.
    package func resize(
        _ x: Variable, height: Int, width: Int, method: Interpolation, antialias: Bool = false
    ) -> Variable {
        resample(
            x, .interpolation(from: x.shape[1], to: height, method, antialias: antialias),
            .interpolation(from: x.shape[2], to: width, method, antialias: antialias))
    }

    /// x plus `small` resized to the size of x, bilinear as by ``resize(_:height:width:method:antialias:)``.
    package func add(_ x: Variable, resized small: Variable) -> Variable {
        let rows = ResamplingTable.interpolation(from: small.shape[1], to: x.shape[1], .bilinear, antialias: false)
        let columns = ResamplingTable.interpolation(from: small.shape[2], to: x.shape[2], .bilinear, antialias: false)
        let y = ResamplingTable.apply(rows, columns, to: small.value)
        Elementwise.add(x.value, into: y)
        let (xSlot, smallSlot) = (x.slot, small.slot)
        return record(y, from: [x, small]) { dy in
            smallSlot?.add(ResamplingTable.apply(rows.transposed, columns.transposed, to: dy))
            xSlot?.add(dy)
        }
    }

    /// Repeats each pixel `factor` times in both directions.
    package func upsampleNearest(_ x: Variable, by factor: Int) -> Variable {
        resample(x, .repetition(of: x.shape[1], factor), .repetition(of: x.shape[2], factor))
    }

    /// Averages of height × width bins of `[B, H, W, C]`; of n pixels in a direction bin i of m covers
    /// ⌊i·n/m⌋ ..< ⌈(i + 1)·n/m⌉.
    package func averagePool(_ x: Variable, height: Int, width: Int) -> Variable {
        resample(x, .averages(of: x.shape[1], bins: height), .averages(of: x.shape[2], bins: width))
    }

    private func resample(_ x: Variable, _ rows: ResamplingTable, _ columns: ResamplingTable) -> Variable {
        let slot = x.slot
        return record(ResamplingTable.apply(rows, columns, to: x.value), from: [x]) { dy in
            slot?.add(ResamplingTable.apply(rows.transposed, columns.transposed, to: dy))
        }
    }
}

/// A linear map along one direction of an image: a sparse matrix `[outputs, inputs]`.
struct ResamplingTable: Equatable {
    struct Tap: Equatable {
        var input: Int
        var weight: Float
    }
    let inputs: Int
    /// For each output pixel the input pixels that it is a weighted sum of, in order.
    let taps: [[Tap]]

    var outputs: Int { taps.count }

    /// The matrix of the gradient.
    var transposed: ResamplingTable {
        var result = [[Tap]](repeating: [], count: inputs)
        for (output, taps) in taps.enumerated() {
            for tap in taps { result[tap.input].append(Tap(input: output, weight: tap.weight)) }
        }
        return ResamplingTable(inputs: outputs, taps: result)
    }

    static func repetition(of inputs: Int, _ factor: Int) -> ResamplingTable {
        ResamplingTable(inputs: inputs, taps: (0..<inputs * factor).map { [Tap(input: $0 / factor, weight: 1)] })
    }

    static func averages(of inputs: Int, bins: Int) -> ResamplingTable {
        ResamplingTable(
            inputs: inputs,
            taps: (0..<bins).map { bin in
                let range = bin * inputs / bins..<((bin + 1) * inputs + bins - 1) / bins
                return range.map { Tap(input: $0, weight: 1 / Float(range.count)) }
            })
    }

    static func interpolation(from inputs: Int, to outputs: Int, _ method: Interpolation, antialias: Bool)
        -> ResamplingTable
    {
        let scale = Double(inputs) / Double(outputs)
        return ResamplingTable(
            inputs: inputs,
            taps: (0..<outputs).map { output in
                antialias
                    ? filtered((Double(output) + 0.5) * scale, inputs, method, stretch: max(1, scale))
                    : interpolated((Double(output) + 0.5) * scale - 0.5, inputs, method)
            })
    }

    /// The nearest 2 or 4 input pixels about `source`; beyond the edge its last pixel stands.
    private static func interpolated(_ source: Double, _ inputs: Int, _ method: Interpolation) -> [Tap] {
        let reach = method == .bilinear ? 1 : 2
        let floor = source.rounded(.down)
        var taps: [Tap] = []
        for offset in 1 - reach...reach {
            let weight = Float(kernel(method, source - floor - Double(offset), a: -0.75))
            let input = min(max(Int(floor) + offset, 0), inputs - 1)
            if taps.last?.input == input {
                taps[taps.count - 1].weight += weight
            } else {
                taps.append(Tap(input: input, weight: weight))
            }
        }
        return taps
    }

    /// The input pixels below the filter, `stretch` times as wide as for interpolation, with weights of sum 1.
    /// `centre` counts from the edge of the image.
    private static func filtered(_ centre: Double, _ inputs: Int, _ method: Interpolation, stretch: Double) -> [Tap] {
        let support = (method == .bilinear ? 1 : 2) * stretch
        let first = max(0, Int(centre - support + 0.5)), last = min(inputs, Int(centre + support + 0.5))
        let weights = (first..<last).map { kernel(method, (Double($0) - centre + 0.5) / stretch, a: -0.5) }
        let sum = weights.reduce(0, +)
        return zip(first..<last, weights).map { Tap(input: $0, weight: Float($1 / sum)) }
    }

    /// The triangle, or Keys' cubic ("Cubic convolution interpolation for digital image processing", 1981, eq. 4 for
    /// any a).
    private static func kernel(_ method: Interpolation, _ x: Double, a: Double) -> Double {
        let x = abs(x)
        if method == .bilinear { return max(0, 1 - x) }
        if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
        return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0
    }

    /// Applies `columns` within each row of pixels, then `rows` to the rows; the order makes no difference but for
    /// rounding.
    static func apply(_ rows: ResamplingTable, _ columns: ResamplingTable, to x: Tensor) -> Tensor {
        precondition(
            x.shape.count == 4 && x.shape[1] == rows.inputs && x.shape[2] == columns.inputs, "resampling \(x.shape)")
        let (images, channels) = (x.shape[0], x.shape[3])
        let wide = Tensor(uninitialized: [images, rows.inputs, columns.outputs, channels])
        columns.apply(x, images: images * rows.inputs, vector: channels, into: wide)
        let y = Tensor(uninitialized: [images, rows.outputs, columns.outputs, channels])
        rows.apply(wide, images: images, vector: columns.outputs * channels, into: y)
        return y
    }

    /// y `[images, outputs, vector]` from x `[images, inputs, vector]`.
    private func apply(_ x: Tensor, images: Int, vector: Int, into y: Tensor) {
        let (from, to, outputs) = (x.pointer, y.pointer, outputs)
        WorkerPool.current.run(images * outputs, grain: max(1, Elementwise.grain / vector)) { range in
            var sum = WeightedSum()
            for index in range {
                let (image, output) = index.quotientAndRemainder(dividingBy: outputs)
                let source = from + image * inputs * vector
                for tap in taps[output] { sum.append(source + tap.input * vector, times: tap.weight) }
                sum.store(in: to + index * vector, count: vector)
            }
        }
    }
}

/// Σ weight·vector, in one pass over the result.
struct WeightedSum {
    private var vectors: [UnsafePointer<Float>?] = []
    private var weights: [Float] = []

    mutating func append(_ vector: UnsafePointer<Float>, times weight: Float) {
        vectors.append(vector)
        weights.append(weight)
    }

    /// Writes the sum of `count` elements, or adds it to what is there, and begins anew.
    mutating func store(in result: UnsafeMutablePointer<Float>, count: Int, adding: Bool = false) {
        beitseg_weighted_sum(vectors, weights, weights.count, adding ? 1 : 0, result, count)
        vectors.removeAll(keepingCapacity: true)
        weights.removeAll(keepingCapacity: true)
    }
}
