import BEiTTensorCore
import CBEiTKernels

extension Tape {
    /// The cross-entropy of logits x·Wᵀ + b, the mean over labelled rows: `[1]`. The same as a linear layer or a 1×1
    /// convolution and ``softmaxCrossEntropy(_:labels:ignoreIndex:labelSmoothing:classWeights:groups:)``, but the logits of all
    /// rows are never in memory at once: in training a tile's gradient goes on to x, W and b while it is in the cache;
    /// backward has only to scale what has come of it.
    /// - Parameters:
    ///   - x: `[..., C]`.
    ///   - weight: `[K, C]`, or `[K, C, 1, 1]`.
    ///   - bias: `[K]`.
    ///   - labels: a class or a group for each row of x.
    package func projectedCrossEntropy(
        _ x: Variable, weight: Parameter, bias: Parameter, labels: [Int32], ignoreIndex: Int32? = 255,
        classWeights: [Float]? = nil, groups: [ClassGroup] = []
    ) -> Variable {
        let (classes, inputs) = (weight.shape[0], x.shape.last ?? 1)
        precondition(weight.value.count == classes * inputs, "x \(x.shape), weight \(weight.shape)")
        precondition(labels.count * inputs == x.value.count, "\(labels.count) labels for \(x.shape)")
        let targets = LabelTargets(
            labels, classes: classes, ignoreIndex: ignoreIndex, smoothing: 0, weights: classWeights, groups: groups)
        let call = ProjectedLoss(x: x.value, weight: weight.value, bias: bias.value, targets: targets)
        let (xSlot, weightSlot, biasSlot) = (x.slot, weight.slot, bias.slot)
        guard isTraining, xSlot != nil || weightSlot != nil || biasSlot != nil else {
            return Variable(Tensor([call.loss()], [1]))
        }
        let dx = xSlot.map { _ in Tensor(uninitialized: x.shape) }
        let (loss, dWeight, dBias) = call.lossAndGradients(dx)
        return record(Tensor([loss], [1]), from: [x, weight, bias]) { dy in
            func scaled(_ gradient: Tensor) -> Tensor {
                dy.scalar == 1 ? gradient : Elementwise.scaled(gradient, dy.scalar)
            }
            weightSlot?.add(scaled(dWeight))
            biasSlot?.add(scaled(dBias))
            if let dx { xSlot?.add(scaled(dx)) }
        }
    }
}

/// One call. A task takes a share of the rows and goes through it by tiles; the shares are added up in order.
private struct ProjectedLoss {
    let x, weight, bias: Tensor
    let targets: LabelTargets
    private let rows, inputs, classes: Int
    /// `[C, K]`
    private let transposed: Tensor
    private let shares, tileRows: Int

    init(x: Tensor, weight: Tensor, bias: Tensor, targets: LabelTargets) {
        (self.x, self.weight, self.bias, self.targets) = (x, weight, bias, targets)
        (rows, inputs, classes) = (targets.labels.count, x.shape.last ?? 1, weight.shape[0])
        transposed = Tensor(uninitialized: [inputs, classes])
        beitseg_transpose(weight.pointer, classes, inputs, transposed.pointer)
        // A tile of logits and its gradient stay in the second-level cache.
        tileRows = min(256, max(16, (48 << 10) / classes))
        shares = max(1, min(24, rows / 256))
    }

    /// Rows of gradients begin at whole registers.
    private var stride: Int { (classes + 15) / 16 * 16 }

    func loss() -> Float {
        mean(
            PartialSums.total(shares, grain: 1) { share in
                withScratch(classes) { gradient in
                    tiles(of: share.lowerBound) { entropy($0, scale: 1, $1, gradient, stride: 0) }
                }
            })
    }

    /// - Parameter dx: receives the gradient of x, where it is asked for.
    func lossAndGradients(_ dx: Tensor?) -> (loss: Float, weight: Tensor, bias: Tensor) {
        let engine = MatrixEngine.current
        let (dWeights, dBiases) = (Tensor.zeros([shares] + weight.shape), Tensor.zeros([shares, classes]))
        let sum = PartialSums.total(shares, grain: 1) { share in
            let dWeight = dWeights.pointer + share.lowerBound * weight.count
            let dBias = dBiases.pointer + share.lowerBound * classes
            return withScratch(tileRows * stride + classes) { gradient in
                tiles(of: share.lowerBound) { range, logits in
                    let (count, from) = (range.count, x.pointer + range.lowerBound * inputs)
                    let loss = entropy(range, scale: Float(targets.inverseWeight), logits, gradient, stride: stride)
                    engine.multiply(
                        m: classes, n: inputs, k: count, gradient, lda: stride, transposeA: true, from, ldb: inputs,
                        beta: 1, dWeight, ldc: inputs)
                    if let dx {
                        engine.multiply(
                            m: count, n: inputs, k: classes, gradient, lda: stride, weight.pointer, ldb: inputs,
                            dx.pointer + range.lowerBound * inputs, ldc: inputs)
                    }
                    // Sums of a tile first: a long sum of small numbers would lose their last bits.
                    let sums = gradient + tileRows * stride
                    sums.update(repeating: 0, count: classes)
                    beitseg_add_column_sums(gradient, stride, count, classes, sums)
                    beitseg_add_into(sums, dBias, classes)
                    return loss
                }
            }
        }
        return (mean(sum), total(dWeights).reshaped(weight.shape), total(dBiases).reshaped([classes]))
    }

    private func mean(_ sum: Double) -> Float { Float(sum * targets.inverseWeight) }

    /// The sum of what `body` says of the tiles of a share, given their rows and room for their logits.
    private func tiles(of share: Int, _ body: (Range<Int>, UnsafeMutablePointer<Float>) -> Double) -> Double {
        let range = Tiling.part(share, of: shares, rows)
        return withScratch(tileRows * classes) { logits in
            Swift.stride(from: range.lowerBound, to: range.upperBound, by: tileRows).reduce(0) {
                $0 + body($1..<min(range.upperBound, $1 + tileRows), logits)
            }
        }
    }

    /// The loss of some rows, whose logits are left in `logits`, and its gradient times `scale`.
    private func entropy(
        _ range: Range<Int>, scale: Float, _ logits: UnsafeMutablePointer<Float>,
        _ gradient: UnsafeMutablePointer<Float>, stride: Int
    ) -> Double {
        MatrixEngine.current.multiply(
            m: range.count, n: classes, k: inputs, x.pointer + range.lowerBound * inputs, lda: inputs,
            transposed.pointer, ldb: classes, logits, ldc: classes)
        Epilogue(bias: bias).finish(
            logits, stride: classes, rows: 0..<range.count, columns: 0..<classes,
            into: TileTarget(logits, stride: classes))
        return targets.withLabels(range) {
            beitseg_cross_entropy(
                logits, range.count, classes, $0, targets.ignored, targets.groups?.pointer, targets.smoothing,
                targets.weights?.pointer, scale, gradient, stride)
        }
    }

    /// The sum of the shares' parts, in order.
    private func total(_ parts: Tensor) -> Tensor {
        for share in 1..<max(1, shares) {
            Elementwise.add(parts.rows(share..<share + 1), into: parts.rows(0..<1))
        }
        return parts.rows(0..<1)
    }
}
