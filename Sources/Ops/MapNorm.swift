import BEiTTensorCore
import CBEiTKernels

extension Tape {
    /// Group norm over the pixels and the channels of a group of each image, biased variance; x `[B, H, W, C]`, weight
    /// and bias `[C]`; optionally followed by GELU in the same pass.
    ///
    /// - Parameters:
    ///   - consumesInput: the caller needs x no more; in inference the result takes over its memory.
    ///   - type: of the result; its gradient is of floats. Bytes, in inference alone, have a scale and a zero point for
    ///     each image.
    ///
    /// Source: Wu and He, "Group Normalization", arXiv:1803.08494, §3.
    package func groupNorm(
        _ x: Variable, groups: Int, weight: Parameter, bias: Parameter, eps: Float, gelu: Bool = false,
        consumesInput: Bool = false, as type: ElementType = .float32
    ) -> Variable {
        let norm = MapNorm(x.shape, sets: x.shape[0], groups: groups, gelu ? .gelu : .none)
        let statistics = norm.statistics(of: x.value, eps: eps)
        if type != .float32 && !isTraining {
            let affine = norm.affine(statistics, weight: weight.value, bias: bias.value)
            return Variable(type == .uint8 ? norm.quantized(x.value, affine) : norm.rounded(x.value, affine))
        }
        guard consumesInput && !isTraining else {
            return normalize(x, norm, statistics, weight, bias, constant: false, as: type)
        }
        norm.apply(norm.affine(statistics, weight: weight.value, bias: bias.value), to: x.value, into: x.value)
        return Variable(x.value)
    }

    /// Batch norm over all pixels of the batch, a channel at a time, followed by an activation in the same pass; x
    /// `[B, H, W, C]`, all others `[C]`.
    ///
    /// In training the batch is normalised with its own biased variance, and ``statistics`` receives what the running
    /// statistics are to take up. In inference, with ``usesRunningStatistics``, and where a channel has a single value,
    /// which has no variance, the running statistics are used and stay.
    ///
    /// Source: Ioffe and Szegedy, "Batch Normalization", arXiv:1502.03167, algorithms 1 and 2.
    package func batchNorm(
        _ x: Variable, weight: Parameter, bias: Parameter, running: RunningStatistics, eps: Float,
        activation: Activation = .none
    ) -> Variable {
        let norm = MapNorm(x.shape, sets: 1, groups: x.shape.last ?? 1, activation)
        guard isTraining, !usesRunningStatistics, norm.pixels > 1 else {
            let statistics = MapNorm.Statistics(
                means: running.mean.values.map(Double.init), variances: running.variance.values.map(Double.init),
                eps: eps)
            return normalize(x, norm, statistics, weight, bias, constant: true)
        }
        let statistics = norm.statistics(of: x.value, eps: eps)
        let unbiased = Double(norm.pixels) / Double(norm.pixels - 1)
        note(
            StatisticsUpdate(
                running, mean: statistics.means.map { Float($0) },
                variance: statistics.variances.map { Float(unbiased * $0) }))
        return normalize(x, norm, statistics, weight, bias, constant: false)
    }

    /// - Parameter constant: whether the statistics do not depend on x.
    private func normalize(
        _ x: Variable, _ norm: MapNorm, _ statistics: MapNorm.Statistics, _ weight: Parameter, _ bias: Parameter,
        constant: Bool, as type: ElementType = .float32
    ) -> Variable {
        precondition(type == .float32 || type == .bfloat16, "\(type) in training")
        let (input, w) = (x.value, weight.value)
        let affine = norm.affine(statistics, weight: w, bias: bias.value)
        let (xSlot, weightSlot, biasSlot) = (x.slot, weight.slot, bias.slot)
        let result = type == .float32 ? Tensor(uninitialized: x.shape) : norm.rounded(input, affine)
        if type == .float32 { norm.apply(affine, to: input, into: result) }
        return record(result, from: [x, weight, bias]) { dy in
            let sums = norm.backwardThroughActivation(dy, input, affine)
            let gradients = norm.parameterGradients(sums, statistics)
            weightSlot?.add(gradients.weight)
            biasSlot?.add(gradients.bias)
            guard let xSlot else { return }
            norm.inputGradient(dy, input, norm.coefficients(sums, statistics, weight: w, constant: constant))
            xSlot.add(dy)
        }
    }
}

/// Normalisation of a channels-last map: the pixels of a set of images and the channels of a group share their mean
/// and variance. Group norm has a set for each image, batch norm one set and a group for each channel.
private struct MapNorm {
    let shape: [Int]
    let sets, pixels, channels, groups: Int
    let activation: Activation
    /// Pixels of one task.
    private let slice: Int

    init(_ shape: [Int], sets: Int, groups: Int, _ activation: Activation) {
        channels = shape.last ?? 1
        pixels = shape.elementCount / (sets * channels)
        slice = max(16, Elementwise.grain / channels)
        (self.shape, self.sets, self.groups, self.activation) = (shape, sets, groups, activation)
        precondition(groups > 0 && channels % groups == 0, "\(channels) channels in \(groups) groups")
    }

    private var slices: Int { (pixels + slice - 1) / slice }
    private var groupSize: Int { channels / groups }
    private var elements: Double { Double(pixels * groupSize) }

    /// For each set and group, groups fastest.
    struct Statistics {
        let means, variances, rstds: [Double]

        init(means: [Double], variances: [Double], eps: Float) {
            (self.means, self.variances) = (means, variances)
            rstds = variances.map { 1 / ($0 + Double(eps)).squareRoot() }
        }
    }

    /// Runs `body` on slices of pixels: the set, the first element and the number of pixels, the slice's number.
    private func forEachSlice(_ body: (_ set: Int, _ at: Int, _ pixels: Int, _ slice: Int) -> Void) {
        WorkerPool.current.run(sets * slices) { task in
            let (set, first) = (task / slices, task % slices * slice)
            body(set, (set * pixels + first) * channels, min(slice, pixels - first), task)
        }
    }

    /// Two sums for each set and channel, `[sets, 2, channels]`, that `body` adds up over a slice of pixels. In double
    /// precision, where a sum of squares less a squared sum loses nothing that matters.
    private func sums(
        _ body: (_ set: Int, _ at: Int, _ pixels: Int, _ a: UnsafeMutablePointer<Double>, UnsafeMutablePointer<Double>)
            -> Void
    ) -> [Double] {
        let (width, channels) = (2 * channels, channels)
        var partials = [Double](repeating: 0, count: sets * slices * width)
        partials.withUnsafeMutableBufferPointer { partials in
            guard let base = partials.baseAddress else { return }
            forEachSlice { set, at, pixels, slice in
                body(set, at, pixels, base + slice * width, base + slice * width + channels)
            }
        }
        return (0..<sets * width).map { index in
            let (set, column) = index.quotientAndRemainder(dividingBy: width)
            return (0..<slices).reduce(0) { $0 + partials[(set * slices + $1) * width + column] }
        }
    }

    func statistics(of x: Tensor, eps: Float) -> Statistics {
        let from = x.pointer
        let sums = sums { _, at, pixels, sums, squares in
            beitseg_add_column_moments(from + at, pixels, channels, sums, squares)
        }
        let means = groupSums(sums, 0).map { $0 / elements }
        let squares = groupSums(sums, 1).map { $0 / elements }
        return Statistics(means: means, variances: zip(squares, means).map { max(0, $0 - $1 * $1) }, eps: eps)
    }

    /// Adds up one of two sums over the channels of each group, each weighted.
    private func groupSums(_ sums: [Double], _ which: Int, weights: Tensor? = nil) -> [Double] {
        (0..<sets * groups).map { index in
            let first = (index / groups * 2 + which) * channels, group = index % groups * groupSize
            return (group..<group + groupSize).reduce(0) { sum, channel in
                sum + sums[first + channel] * (weights.map { Double($0.pointer[channel]) } ?? 1)
            }
        }
    }

    // MARK: Forward

    /// y = scale·x + shift for each set and channel: `[2, sets, channels]`.
    func affine(_ statistics: Statistics, weight: Tensor, bias: Tensor) -> Tensor {
        let result = Tensor(uninitialized: [2, sets, channels])
        let count = sets * channels
        for index in 0..<count {
            let channel = index % channels, group = index / groupSize
            let scale = Double(weight.pointer[channel]) * statistics.rstds[group]
            result.pointer[index] = Float(scale)
            result.pointer[count + index] = Float(Double(bias.pointer[channel]) - scale * statistics.means[group])
        }
        return result
    }

    func apply(_ affine: Tensor, to x: Tensor, into y: Tensor) {
        let (from, to, scale, shift) = (x.pointer, y.pointer, affine.pointer, affine.rows(1..<2).pointer)
        forEachSlice { set, at, pixels, _ in
            let row = set * channels
            beitseg_scale_shift(from + at, pixels, channels, scale + row, shift + row, activation.rawValue, to + at)
        }
    }

    // MARK: Forward, to smaller types

    /// The result as bfloat16.
    func rounded(_ x: Tensor, _ affine: Tensor) -> Tensor {
        let y = Tensor(uninitialized: x.shape, .bfloat16)
        let (from, to, scale, shift) = (x.pointer, y.bfloats, affine.pointer, affine.rows(1..<2).pointer)
        forEachSlice { set, at, pixels, _ in
            let row = set * channels
            beitseg_scale_shift_bf16(
                from + at, pixels, channels, scale + row, shift + row, activation.rawValue, to + at)
        }
        return y
    }

    /// The result as bytes.
    func quantized(_ x: Tensor, _ affine: Tensor) -> Tensor {
        let y = Tensor(quantized: x.shape, rows: sets)
        guard let quantization = y.quantization else { return y }
        for (set, range) in outputRanges(x, affine).enumerated() {
            (quantization.scales[set], quantization.zeros[set]) = Quantization.covering(range)
        }
        let (from, to, scale, shift) = (x.pointer, y.bytes, affine.pointer, affine.rows(1..<2).pointer)
        forEachSlice { set, at, pixels, _ in
            let row = set * channels
            beitseg_scale_shift_quantized(
                from + at, pixels, channels, scale + row, shift + row, activation.rawValue,
                quantization.scales[set], quantization.zeros[set], to + at)
        }
        return y
    }

    /// Ranges that hold 0 and all values of the result, one for each set: those of the channels, known before the result
    /// is, because the norm is affine and the activation bounded by its ends.
    private func outputRanges(_ x: Tensor, _ affine: Tensor) -> [ClosedRange<Float>] {
        let partials = Tensor(uninitialized: [sets * slices, 2, channels])
        let (from, ranges) = (x.pointer, partials.pointer)
        forEachSlice { _, at, pixels, slice in
            let lows = ranges + slice * 2 * channels
            lows.update(from: from + at, count: channels)
            (lows + channels).update(from: from + at, count: channels)
            beitseg_add_column_ranges(from + at, pixels, channels, lows, lows + channels)
        }
        return (0..<sets).map { set in
            var (low, high) = (Float(0), Float(0))
            for channel in 0..<channels {
                let index = set * channels + channel
                let (scale, shift) = (affine.pointer[index], affine.pointer[sets * channels + index])
                for slice in set * slices..<(set + 1) * slices {
                    for end in 0..<2 {
                        let value = scale * ranges[(slice * 2 + end) * channels + channel] + shift
                        (low, high) = (min(low, value), max(high, value))
                    }
                }
            }
            return max(low, activation.least)...high
        }
    }

    // MARK: Backward

    /// Turns dy into the gradient before the activation, in place. Returns Σ dy and Σ dy·x.
    func backwardThroughActivation(_ dy: Tensor, _ x: Tensor, _ affine: Tensor) -> [Double] {
        let (from, gradient, scale, shift) = (x.pointer, dy.pointer, affine.pointer, affine.rows(1..<2).pointer)
        return sums { set, at, pixels, sums, dots in
            let row = set * channels
            beitseg_scale_shift_backward(
                from + at, pixels, channels, scale + row, shift + row, activation.rawValue, gradient + at, sums, dots)
        }
    }

    func parameterGradients(_ sums: [Double], _ statistics: Statistics) -> (weight: Tensor, bias: Tensor) {
        let (weight, bias) = (Tensor(uninitialized: [channels]), Tensor(uninitialized: [channels]))
        for channel in 0..<channels {
            var (dw, db) = (0.0, 0.0)
            for set in 0..<sets {
                let group = set * groups + channel / groupSize
                let sum = sums[set * 2 * channels + channel], dot = sums[(set * 2 + 1) * channels + channel]
                dw += (dot - statistics.means[group] * sum) * statistics.rstds[group]
                db += sum
            }
            (weight.pointer[channel], bias.pointer[channel]) = (Float(dw), Float(db))
        }
        return (weight, bias)
    }

    /// The a, b, c of dx = a·dy + b·x + c for each set and channel: `[3, sets, channels]`.
    ///
    /// With x̂ = (x − mean)·rstd: dx = rstd·(w·dy − average of w·dy − x̂ · average of w·dy·x̂).
    func coefficients(_ sums: [Double], _ statistics: Statistics, weight: Tensor, constant: Bool) -> Tensor {
        let result = Tensor.zeros([3, sets, channels])
        let count = sets * channels
        let totals = groupSums(sums, 0, weights: weight), dots = groupSums(sums, 1, weights: weight)
        for index in 0..<count {
            let group = index / groupSize
            let (mean, rstd) = (statistics.means[group], statistics.rstds[group])
            result.pointer[index] = Float(Double(weight.pointer[index % channels]) * rstd)
            if constant { continue }
            let slope = -rstd * rstd * rstd * (dots[group] - mean * totals[group]) / elements
            result.pointer[count + index] = Float(slope)
            result.pointer[2 * count + index] = Float(-slope * mean - rstd * totals[group] / elements)
        }
        return result
    }

    /// dy = a·dy + b·x + c.
    func inputGradient(_ dy: Tensor, _ x: Tensor, _ coefficients: Tensor) {
        let (from, gradient, a) = (x.pointer, dy.pointer, coefficients.pointer)
        let (b, c) = (coefficients.rows(1..<2).pointer, coefficients.rows(2..<3).pointer)
        forEachSlice { set, at, pixels, _ in
            let row = set * channels
            beitseg_combine_columns(from + at, pixels, channels, a + row, b + row, c + row, gradient + at)
        }
    }
}
