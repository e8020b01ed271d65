import BEiTTensorCore
import CBEiTKernels

extension Tape {
    /// Softmax and cross-entropy, the mean over rows: `[1]`.
    ///
    /// With smoothing s and class weights w, a row with label y costs −Σ_c t_c·ln softmax(z)_c,
    /// t_c = w_c·((1 − s)·[c = y] + s/K), and the mean is Σ cost / Σ w_y (PyTorch's `cross_entropy`). Without a valid
    /// row, loss and gradient are 0. The probabilities are computed anew for the gradient, not kept.
    /// - Parameters:
    ///   - logits: `[..., K]`, a row for each pixel, image or token.
    ///   - labels: a class for each row, or a group: K + g for the g-th.
    ///   - ignoreIndex: rows with this label count for nothing.
    ///   - classWeights: K factors.
    ///   - groups: of a row with such a label it is the probabilities' sum over the group that counts.
    /// - Precondition: every label is `ignoreIndex` or in 0 ..< K + groups; labels are checked where they are read.
    package func softmaxCrossEntropy(
        _ logits: Variable, labels: [Int32], ignoreIndex: Int32? = 255, labelSmoothing: Float = 0,
        classWeights: [Float]? = nil, groups: [ClassGroup] = []
    ) -> Variable {
        let (z, classes) = (logits.value, logits.shape.last ?? 1)
        precondition(labels.count * classes == z.count, "\(labels.count) labels for logits \(z.shape)")
        let targets = LabelTargets(
            labels, classes: classes, ignoreIndex: ignoreIndex, smoothing: labelSmoothing, weights: classWeights,
            groups: groups)
        return rowLoss(logits, factor: targets.inverseWeight) { rows, scale, gradient, stride in
            targets.withLabels(rows) {
                beitseg_cross_entropy(
                    z.pointer + rows.lowerBound * classes, rows.count, classes, $0, targets.ignored,
                    targets.groups?.pointer, targets.smoothing, targets.weights?.pointer, scale, gradient, stride)
            }
        }
    }

    /// Cross-entropy with a target distribution for each row (mixup): the mean over rows of −Σ t·ln softmax(z), `[1]`.
    /// - Parameters:
    ///   - logits: `[..., K]`.
    ///   - targets: of the same shape.
    package func softmaxCrossEntropy(_ logits: Variable, targets: Tensor) -> Variable {
        let (z, classes) = (logits.value, logits.shape.last ?? 1)
        precondition(targets.shape == z.shape, "targets \(targets.shape) for logits \(z.shape)")
        let rows = z.count / max(1, classes)
        return rowLoss(logits, factor: 1 / Double(max(1, rows))) { rows, scale, gradient, stride in
            let start = rows.lowerBound * classes
            return beitseg_soft_cross_entropy(
                z.pointer + start, rows.count, classes, targets.pointer + start, scale, gradient, stride)
        }
    }

    /// factor·Σ over the rows of `z` of a loss whose kernel yields value and gradient at once. In training the gradient
    /// of the mean is kept: backward has only to scale it.
    /// - Parameter kernel: the sum over `rows`; writes its gradient times `scale` to rows `stride` elements apart
    ///   (0: one row of scratch).
    func rowLoss(
        _ z: Variable, factor: Double,
        _ kernel:
            (
                _ rows: Range<Int>, _ scale: Float, _ gradient: UnsafeMutablePointer<Float>, _ stride: Int
            ) -> Double
    ) -> Variable {
        let (rows, slot) = (Rows(of: z.value), z.slot)
        let gradient = isTraining && slot != nil ? Tensor(uninitialized: z.shape) : nil
        let total = rows.total { range in
            if let gradient {
                return kernel(range, Float(factor), gradient.pointer + range.lowerBound * rows.columns, rows.columns)
            }
            return withScratch(rows.columns) { kernel(range, 1, $0, 0) }
        }
        return record(Tensor([Float(factor * total)], [1]), from: [z]) { dy in
            guard let gradient else { return }
            slot?.add(dy.scalar == 1 ? gradient : Elementwise.scaled(gradient, dy.scalar))
        }
    }
}

/// Classes of which a row has one, nobody says which: its loss is −ln of the sum of their probabilities, in place of that of
/// one class.
///
/// Source: the background of sets that do not label all classes in Cermelli et al. 2020 (arXiv:2002.00718), and the marginal
/// loss of Shi et al. 2021 (arXiv:2007.03868).
package struct ClassGroup: Equatable, Sendable {
    package var members: [Int]
    /// The member whose class weight rows of the group have.
    package var named: Int

    package init(_ members: [Int], named: Int) { (self.members, self.named) = (members, named) }
}

/// Labels as targets of a cross-entropy, in the form that the kernels take.
struct LabelTargets {
    let labels: [Int32]
    /// The label of rows that do not count; −1 if there is none.
    let ignored: Int32
    let smoothing: Float
    /// Of the classes, then of the groups.
    let weights: Tensor?
    /// `[groups, K]`: 1 for members, else 0.
    let groups: Tensor?
    /// 1/Σ w_y over the rows that count, or 0 without any.
    let inverseWeight: Double

    init(
        _ labels: [Int32], classes: Int, ignoreIndex: Int32?, smoothing: Float, weights: [Float]?, groups: [ClassGroup]
    ) {
        precondition(weights.map { $0.count == classes } ?? true, "class weights for another number of classes")
        precondition(smoothing >= 0 && smoothing <= 1, "label smoothing \(smoothing)")
        let ignored = ignoreIndex ?? -1
        let weights = weights.map { weights in weights + groups.map { weights[$0.named] } }
        let weight = PartialSums.total(labels.count, grain: Elementwise.grain) { range in
            var sum = 0.0
            for label in labels[range] where label != ignored {
                precondition(label >= 0 && label < classes + groups.count, "label \(label) of \(classes) classes")
                sum += weights.map { Double($0[Int(label)]) } ?? 1
            }
            return sum
        }
        (self.labels, self.ignored, self.smoothing) = (labels, ignored, smoothing)
        self.weights = weights.map { Tensor($0, [$0.count]) }
        self.groups = groups.isEmpty ? nil : Self.table(groups, classes)
        inverseWeight = weight > 0 ? 1 / weight : 0
    }

    private static func table(_ groups: [ClassGroup], _ classes: Int) -> Tensor {
        let table = Tensor.zeros([groups.count, classes])
        for (row, group) in groups.enumerated() {
            precondition(
                group.members.allSatisfy { 0..<classes ~= $0 } && group.members.contains(group.named), "\(group)")
            for member in group.members { table.pointer[row * classes + member] = 1 }
        }
        return table
    }

    func withLabels<R>(_ range: Range<Int>, _ body: (UnsafePointer<Int32>?) -> R) -> R {
        labels[range].withUnsafeBufferPointer { body($0.baseAddress) }
    }
}
