import BEiTTensorCore
import CBEiTKernels

extension Tape {
    /// The cross-entropy of logits that are resized to the labels' size (bilinear, half-pixel centres, no
    /// antialiasing), the mean over labelled pixels: `[1]`. The same as resizing and ``softmaxCrossEntropy(_:labels:ignoreIndex:labelSmoothing:classWeights:groups:)``,
    /// but nothing of the size `[B, height, width, K]` is ever made: forward goes pixel by pixel and, in training,
    /// sums the gradient of the small logits on the way; backward has only to scale it.
    /// - Parameters:
    ///   - logits: `[B, h, w, K]`.
    ///   - labels: B·height·width classes or groups, row-major.
    package func resizedCrossEntropy(
        _ logits: Variable, labels: [Int32], height: Int, width: Int, ignoreIndex: Int32? = 255,
        labelSmoothing: Float = 0, classWeights: [Float]? = nil, groups: [ClassGroup] = []
    ) -> Variable {
        let shape = logits.shape
        precondition(shape.count == 4 && shape[1] > 0 && shape[2] > 0, "a map of logits \(shape)")
        precondition(
            labels.count == shape[0] * height * width, "\(labels.count) labels, \(shape[0])×\(height)×\(width)")
        let targets = LabelTargets(
            labels, classes: shape[3], ignoreIndex: ignoreIndex, smoothing: labelSmoothing, weights: classWeights,
            groups: groups)
        let call = ResizedLoss(logits: logits.value, targets: targets, height: height, width: width)
        let slot = logits.slot
        let (loss, gradient) = call.run(wantsGradient: isTraining && slot != nil)
        return record(Tensor([loss], [1]), from: [logits]) { dy in
            guard let gradient else { return }
            slot?.add(dy.scalar == 1 ? gradient : Elementwise.scaled(gradient, dy.scalar))
        }
    }
}

/// The sizes of one call. A task is a band: the output rows between two neighbouring rows of logits.
private struct ResizedLoss {
    let logits: Tensor
    let targets: LabelTargets
    let height, width: Int
    /// Elements in a row of logits.
    let stride: Int
    /// The output rows of each band.
    let bands: [Range<Int>]

    init(logits: Tensor, targets: LabelTargets, height: Int, width: Int) {
        (self.logits, self.targets, self.height, self.width) = (logits, targets, height, width)
        let rows = logits.shape[1]
        stride = logits.shape[2] * logits.shape[3]
        var bands: [Range<Int>] = []
        var start = 0
        for band in 0..<rows {
            var end = start
            while end < height, Int(ResizedLoss.source(end, rows, height)) <= band { end += 1 }
            bands.append(start..<end)
            start = end
        }
        self.bands = bands
    }

    /// Where output row `y` of `height` lies among `rows` rows of logits.
    private static func source(_ y: Int, _ rows: Int, _ height: Int) -> Double {
        max(0, (Double(y) + 0.5) * Double(rows) / Double(height) - 0.5)
    }

    /// A band adds to the gradients of the row above it and the row below it. Neighbours share a row, so the lower
    /// shares are kept apart and added when all bands are done.
    func run(wantsGradient: Bool) -> (loss: Float, gradient: Tensor?) {
        let rows = logits.shape[0] * bands.count
        let upper = wantsGradient ? Tensor(uninitialized: logits.shape) : nil
        let lower = wantsGradient ? Tensor(uninitialized: logits.shape) : nil
        let loss = PartialSums.total(rows, grain: 1) { task in
            let at = task.lowerBound * stride
            return runBand(task.lowerBound, upper.map { $0.pointer + at }, lower.map { $0.pointer + at })
        }
        if let upper, let lower {
            WorkerPool.current.run(rows) { row in
                guard row % bands.count > 0 else { return }
                let at = row * stride
                Elementwise.addRow(lower.pointer + at - stride, into: upper.pointer + at, count: stride)
            }
        }
        return (Float(loss * targets.inverseWeight), upper)
    }

    private func runBand(
        _ task: Int, _ upper: UnsafeMutablePointer<Float>?, _ lower: UnsafeMutablePointer<Float>?
    ) -> Double {
        let (image, band) = (task / bands.count, task % bands.count)
        let (w, classes) = (logits.shape[2], logits.shape[3])
        let scratch = Tensor(uninitialized: [2 * w + 2, classes])
        let above = logits.pointer + task * stride
        let isLast = band == bands.count - 1
        upper?.update(repeating: 0, count: stride)
        lower?.update(repeating: 0, count: stride)
        var loss = 0.0
        for y in bands[band] {
            let fraction = isLast ? 0 : Float(ResizedLoss.source(y, bands.count, height) - Double(band))
            let start = (image * height + y) * width
            loss += targets.withLabels(start..<start + width) {
                beitseg_resized_cross_entropy(
                    above, isLast ? above : above + stride, fraction, w, classes, $0, width, targets.ignored,
                    targets.groups?.pointer, targets.smoothing, targets.weights?.pointer, Float(targets.inverseWeight),
                    scratch.pointer, upper, lower)
            }
        }
        return loss
    }
}
