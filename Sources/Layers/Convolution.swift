import BEiTOps
import BEiTTensorCore

/// A convolution on channels-last maps `[B, H, W, C]`.
package final class Conv2d: Module {
    /// `[out, in, k, k]`
    package let weight: Parameter
    /// `[out]`
    package let bias: Parameter
    package let stride, padding: Int
    private let names: (weight: String, bias: String)

    /// - Parameters:
    ///   - weight: the first values; uniform by default, as PyTorch does.
    ///   - names: in the file (DALL-E's dVAE has `w` and `b`).
    package init(
        _ inputs: Int, _ outputs: Int, kernel: Int, stride: Int = 1, padding: Int = 0, weight: Tensor? = nil,
        bias: Tensor? = nil, names: (weight: String, bias: String) = ("weight", "bias"), _ initializer: Initializer
    ) {
        let fanIn = inputs * kernel * kernel
        self.weight = Parameter(
            weight ?? initializer.uniform([outputs, inputs, kernel, kernel], fanIn: fanIn), outputAxis: 0)
        self.bias = Parameter(bias ?? initializer.uniform([outputs], fanIn: fanIn), decays: false)
        (self.stride, self.padding, self.names) = (stride, padding, names)
    }

    package var members: [Member] { [.parameter(names.weight, weight), .parameter(names.bias, bias)] }
    /// Channels.
    package var inputs: Int { weight.fullShape[1] }
    package var outputs: Int { weight.fullShape[0] }

    package func freeze(_ precision: Precision) {
        weight.freezeConvolution(precision)
        bias.freeze()
    }

    /// The parameters behind x as of ``Tape/conv2d(_:weight:bias:stride:padding:rectifies:activation:residual:gain:as:)``.
    package func callAsFunction(
        _ x: Variable, _ tape: Tape, rectifies: Bool = false, activation: Activation = .none,
        residual: Variable? = nil, gain: Float = 1, as type: ElementType = .float32
    ) -> Variable {
        tape.conv2d(
            x, weight: weight, bias: bias, stride: stride, padding: padding, rectifies: rectifies,
            activation: activation, residual: residual, gain: gain, as: type)
    }

    /// What a map that only this convolution reads is best made of: what it multiplies, unless that is bytes, whose
    /// scales need the whole map first.
    package func sourceType(_ tape: Tape) -> ElementType {
        tape.inputType(of: weight) == .bfloat16 ? .bfloat16 : .float32
    }
}

/// A transposed convolution on channels-last maps `[B, H, W, C]`.
package final class ConvTranspose2d: Module {
    /// `[in, out, k, k]`
    package let weight: Parameter
    /// `[out]`
    package let bias: Parameter?
    package let stride, padding: Int

    package init(
        _ inputs: Int, _ outputs: Int, kernel: Int, stride: Int, padding: Int = 0, hasBias: Bool,
        _ initializer: Initializer
    ) {
        let fanIn = outputs * kernel * kernel  // as PyTorch counts
        weight = Parameter(initializer.uniform([inputs, outputs, kernel, kernel], fanIn: fanIn), outputAxis: 1)
        bias = hasBias ? Parameter(initializer.uniform([outputs], fanIn: fanIn), decays: false) : nil
        (self.stride, self.padding) = (stride, padding)
    }

    package var members: [Member] {
        [.parameter("weight", weight)] + (bias.map { [.parameter("bias", $0)] } ?? [])
    }

    package func freeze(_ precision: Precision) {
        weight.freezeTransposedConvolution(stride: stride, padding: padding, precision)
        bias?.freeze()
    }

    package func callAsFunction(_ x: Variable, _ tape: Tape) -> Variable {
        tape.convTranspose2d(x, weight: weight, bias: bias, stride: stride, padding: padding)
    }
}

/// Group norm on channels-last maps, eps 1e-5, optionally followed by GELU in the same pass.
package final class GroupNorm: Module {
    /// `[C]`
    package let weight, bias: Parameter
    package let groups: Int

    package init(_ channels: Int, groups: Int, _ initializer: Initializer) {
        precondition(groups > 0 && channels % groups == 0, "\(channels) channels in \(groups) groups")
        weight = Parameter(initializer.ones([channels]), decays: false)
        bias = Parameter(initializer.zeros([channels]), decays: false)
        self.groups = groups
    }

    package var members: [Member] { [.parameter("weight", weight), .parameter("bias", bias)] }

    /// The caller needs x no more.
    /// - Parameter type: of the result; what its reader multiplies, in inference.
    package func callAsFunction(
        _ x: Variable, gelu: Bool, _ tape: Tape, as type: ElementType = .float32
    ) -> Variable {
        tape.groupNorm(
            x, groups: groups, weight: weight, bias: bias, eps: 1e-5, gelu: gelu, consumesInput: true, as: type)
    }
}
