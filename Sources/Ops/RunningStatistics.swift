import BEiTTensorCore
import CBEiTKernels

/// What follows an affine map in the same pass.
package enum Activation: Sendable {
    case none
    /// The exact form.
    case gelu
    case relu

    /// The least that it puts out; −∞ where it has none. It never puts out more than it takes, or 0.
    var least: Float {
        switch self {
        case .none: -.infinity
        case .gelu: -0.17
        case .relu: 0
        }
    }

    /// As the kernels know it.
    var rawValue: Int32 {
        switch self {
        case .none: Int32(beitseg_activation_none)
        case .gelu: Int32(beitseg_activation_gelu)
        case .relu: Int32(beitseg_activation_relu)
        }
    }
}

/// Mean and variance of each channel over the batches that a batch norm has learned from, each `[C]`.
package struct RunningStatistics: Sendable {
    package let mean, variance: Tensor

    package init(mean: Tensor, variance: Tensor) { (self.mean, self.variance) = (mean, variance) }
}

/// What the running statistics of a batch norm are to take up of one batch. A tape only gathers these: whether they
/// count is known when the update that the batch is part of has turned out sound.
package struct StatisticsUpdate: Sendable {
    /// The share that a batch has, PyTorch's default.
    private static let momentum: Float = 0.1
    package let running: RunningStatistics
    package let mean, variance: [Float]

    /// - Parameter variance: unbiased.
    package init(_ running: RunningStatistics, mean: [Float], variance: [Float]) {
        (self.running, self.mean, self.variance) = (running, mean, variance)
    }

    /// Moves the running statistics, in place.
    package func apply() {
        for (old, new) in [(running.mean, mean), (running.variance, variance)] {
            for (channel, value) in new.enumerated() {
                old.pointer[channel] += Self.momentum * (value - old.pointer[channel])
            }
        }
    }
}
