import BEiTOps
import BEiTTensorCore

/// Batch norm of channels-last maps, eps 1e-5, with the activation behind it. For inference it goes into the convolution
/// before it, which then has a bias.
package final class BatchNorm {
    /// `[C]`
    package let weight, bias: Parameter
    /// `running_mean` and `running_var`.
    package let running: RunningStatistics
    private let activation: Activation
    private static let eps: Float = 1e-5
    /// Whether it has gone into its convolution: ``bias`` is then that convolution's.
    package private(set) var isFolded = false

    package init(_ channels: Int, _ activation: Activation, _ initializer: Initializer) {
        weight = Parameter(initializer.ones([channels]), decays: false)
        bias = Parameter(initializer.zeros([channels]), decays: false)
        running = RunningStatistics(mean: initializer.zeros([channels]), variance: initializer.ones([channels]))
        self.activation = activation
    }

    /// Spelled out, for the module of its convolution: that freezes both together.
    package func members(_ name: String) -> [Member] {
        [
            .parameter(name + "/weight", weight), .parameter(name + "/bias", bias),
            .buffer(name + "/running_mean", running.mean), .buffer(name + "/running_var", running.variance),
        ]
    }

    /// For inference: multiplies the kernel of the convolution before it, makes ``bias`` that convolution's bias, and takes
    /// no more gradients. Does nothing the second time.
    /// - Parameters:
    ///   - kernel: `[C, in, k, k]`, or `[in, C, k, k]` of a transposed convolution.
    ///   - own: the bias that the convolution has already, `[C]`.
    ///   - pack: packs the kernel.
    package func fold(into kernel: Parameter, own: Parameter? = nil, pack: (Parameter) -> Void) {
        guard !isFolded else { return }
        let scales = zip(weight.value.values, running.variance.values).map {
            Double($0) / (Double($1) + Double(BatchNorm.eps)).squareRoot()
        }
        for (channel, scale) in scales.enumerated() {
            let mean = Double(running.mean.pointer[channel]) - Double(own?.value.pointer[channel] ?? 0)
            bias.value.pointer[channel] = Float(Double(bias.value.pointer[channel]) - scale * mean)
        }
        kernel.scaleOutputs(by: scales)
        [weight, bias, own].forEach { $0?.freeze() }
        pack(kernel)
        isFolded = true
    }

    /// The convolution `convolve`, of a bias and an activation that come for nothing with it, then the norm: one pass each
    /// in learning, a single one once the norm is folded.
    package func callAsFunction(
        _ tape: Tape, own: Parameter? = nil, _ convolve: (_ bias: Parameter?, Activation) -> Variable
    ) -> Variable {
        if isFolded { return convolve(bias, activation) }
        return tape.batchNorm(
            convolve(own, .none), weight: weight, bias: bias, running: running, eps: BatchNorm.eps,
            activation: activation)
    }
}

/// A convolution without bias of stride 1 that keeps the size, batch norm, and ReLU: mmsegmentation's `ConvModule`. It may
/// take several maps, joined along their channels and resized to the first one's size.
package final class ConvNorm: Module {
    /// `[out, in, k, k]`
    private let weight: Parameter
    private let norm: BatchNorm
    private let channels: [Int]

    /// - Parameters:
    ///   - inputs: the channels of each map.
    ///   - kernel: odd.
    package init(_ inputs: [Int], _ outputs: Int, kernel: Int, _ initializer: Initializer) {
        let total = inputs.reduce(0, +)
        weight = Parameter(
            initializer.uniform([outputs, total, kernel, kernel], fanIn: total * kernel * kernel), outputAxis: 0)
        norm = BatchNorm(outputs, .relu, initializer)
        channels = inputs
    }

    package var members: [Member] { [.parameter("conv/weight", weight)] + norm.members("bn") }

    package func freeze(_ precision: Precision) {
        norm.fold(into: weight) { [channels] in $0.freezeJoinedConvolution(channels: channels, precision) }
    }

    package func callAsFunction(_ x: Variable, _ tape: Tape) -> Variable { self([x], tape) }

    package func callAsFunction(_ maps: [Variable], _ tape: Tape) -> Variable {
        norm(tape) { tape.conv2d(joining: maps, weight: weight, bias: $0, activation: $1) }
    }
}
