import BEiTOps
import BEiTTensorCore
import Foundation

/// AdamW with decoupled weight decay (Loshchilov and Hutter, arXiv:1711.05101), a learning-rate factor for each group of
/// parameters (layer decay), and clipping by the norm of all gradients together.
///
/// Sums run over fixed slices in a fixed order, so that a step gives the same bytes for any number of threads.
package final class AdamW {
    package struct Settings: Codable, Equatable, Sendable {
        package var beta1: Float
        package var beta2: Float
        package var epsilon: Float

        package init(beta1: Float = 0.9, beta2: Float = 0.999, epsilon: Float = 1e-8) {
            (self.beta1, self.beta2, self.epsilon) = (beta1, beta2, epsilon)
        }
    }

    /// Parameters that share a learning rate: the schedule's times `rateScale`.
    package struct Group {
        package var parameters: [Parameter]
        package var rateScale: Float

        package init(_ parameters: [Parameter], rateScale: Float = 1) {
            (self.parameters, self.rateScale) = (parameters, rateScale)
        }
    }

    /// Running means of the gradient and of its square, each of the parameter's shape.
    package struct Moments {
        package let first, second: Tensor

        package init(first: Tensor, second: Tensor) { (self.first, self.second) = (first, second) }
    }

    private struct Entry {
        let parameter: Parameter
        let rateScale: Float
        let moments: Moments
    }

    package let settings: Settings
    /// Steps taken; with ``moments``, all that a checkpoint needs.
    package private(set) var steps = 0
    private let entries: [Entry]
    /// Slices of all parameters: the tasks of a step.
    private let slices: [(entry: Int, range: Range<Int>)]

    package init(_ groups: [Group], settings: Settings = Settings()) {
        self.settings = settings
        let entries = groups.flatMap { group in
            group.parameters.map { parameter in
                let moments = Moments(first: .zeros(parameter.fullShape), second: .zeros(parameter.fullShape))
                return Entry(parameter: parameter, rateScale: group.rateScale, moments: moments)
            }
        }
        self.entries = entries
        let size = 1 << 15
        slices = entries.indices.flatMap { index in
            let count = entries[index].parameter.fullShape.elementCount
            return stride(from: 0, to: count, by: size).map { (index, $0..<min(count, $0 + size)) }
        }
    }

    /// In the order of the groups and their parameters.
    package var moments: [Moments] { entries.map(\.moments) }

    /// Goes on from a checkpoint: `moments` in the order of ``moments``, copied; without them, those that are there are
    /// the checkpoint's already.
    package func restore(steps: Int, moments: [Moments]? = nil) {
        self.steps = steps
        guard let moments else { return }
        precondition(moments.count == entries.count, "\(moments.count) moments for \(entries.count) parameters")
        for (entry, saved) in zip(entries, moments) {
            for (to, from) in [(entry.moments.first, saved.first), (entry.moments.second, saved.second)] {
                precondition(to.shape == from.shape, "moment \(from.shape) for parameter \(to.shape)")
                to.pointer.update(from: from.pointer, count: from.count)
            }
        }
    }

    /// The Euclidean norm of all gradients together.
    package func gradientNorm() -> Double {
        let gradients = entries.map { $0.parameter.gradient }
        return PartialSums.total(slices.count, grain: 1) { task in
            let slice = slices[task.lowerBound]
            return gradients[slice.entry].map { Elementwise.sumOfSquares($0, slice.range) } ?? 0
        }.squareRoot()
    }

    /// What gradients of norm `norm` are multiplied by so that their norm is at most `limit`, as PyTorch's
    /// `clip_grad_norm_` computes it.
    package static func clippingScale(norm: Double, limit: Double) -> Double { min(1, limit / (norm + 1e-6)) }

    /// The largest gradient whose square is far from the largest number that a second moment can be.
    static let largestNorm = 1e18

    /// Moves every parameter that has a gradient. Weight decay applies to parameters that ask for it (`decays`).
    /// - Returns: the norm of the gradients before clipping. If it is not finite, nothing has been changed; a norm whose
    ///   square second moments cannot hold is returned as infinite.
    @discardableResult
    package func step(rate: Double, weightDecay: Double = 0, clipNorm: Double? = nil) -> Double {
        let norm = gradientNorm()
        guard norm.isFinite else { return norm }
        let scale = clipNorm.map { AdamW.clippingScale(norm: norm, limit: $0) } ?? 1
        guard norm * scale <= AdamW.largestNorm else { return .infinity }
        steps += 1
        let updates = entries.map {
            update($0, rate: Float(rate), weightDecay: Float(weightDecay), gradientScale: Float(scale))
        }
        WorkerPool.current.run(slices.count) { task in
            let (index, range) = slices[task]
            let (parameter, moments) = (entries[index].parameter, entries[index].moments)
            guard let gradient = parameter.gradient else { return }
            updates[index].apply(
                range, values: parameter.value, gradient: gradient, first: moments.first, second: moments.second)
        }
        return norm
    }

    private func update(_ entry: Entry, rate: Float, weightDecay: Float, gradientScale: Float) -> AdamWStep {
        AdamWStep(
            rate: rate * entry.rateScale, beta1: settings.beta1, beta2: settings.beta2, epsilon: settings.epsilon,
            weightDecay: entry.parameter.decays ? weightDecay : 0,
            biasCorrection1: Float(1 - pow(Double(settings.beta1), Double(steps))),
            biasCorrection2: Float(1 - pow(Double(settings.beta2), Double(steps))), gradientScale: gradientScale)
    }

    /// Forgets all gradients, before the next step's first backward pass.
    package func clearGradients() {
        for entry in entries { entry.parameter.slot?.clear() }
    }
}
