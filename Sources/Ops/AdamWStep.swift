import BEiTTensorCore
import CBEiTKernels

/// One step of AdamW with decoupled decay (Loshchilov and Hutter, arXiv:1711.05101), as PyTorch computes it.
package struct AdamWStep: Sendable {
    package var rate: Float
    package var beta1, beta2, epsilon: Float
    package var weightDecay: Float
    /// 1 − β₁ᵗ and 1 − β₂ᵗ.
    package var biasCorrection1, biasCorrection2: Float
    /// Multiplies the gradient first (clipping).
    package var gradientScale: Float

    package init(
        rate: Float, beta1: Float, beta2: Float, epsilon: Float, weightDecay: Float, biasCorrection1: Float,
        biasCorrection2: Float, gradientScale: Float
    ) {
        (self.rate, self.beta1, self.beta2, self.epsilon) = (rate, beta1, beta2, epsilon)
        (self.weightDecay, self.gradientScale) = (weightDecay, gradientScale)
        (self.biasCorrection1, self.biasCorrection2) = (biasCorrection1, biasCorrection2)
    }

    /// Moves `values` and both moments in place, elements `range`, on the calling thread.
    package func apply(_ range: Range<Int>, values: Tensor, gradient: Tensor, first: Tensor, second: Tensor) {
        let at = range.lowerBound
        beitseg_adamw_step(
            values.pointer + at, gradient.pointer + at, first.pointer + at, second.pointer + at, range.count, rate,
            beta1, beta2, epsilon, weightDecay, biasCorrection1, biasCorrection2, gradientScale)
    }
}

extension Elementwise {
    /// Σ x² of the elements `range`, in double precision, on the calling thread.
    package static func sumOfSquares(_ x: Tensor, _ range: Range<Int>) -> Double {
        beitseg_sum_of_squares(x.pointer + range.lowerBound, range.count)
    }
}
