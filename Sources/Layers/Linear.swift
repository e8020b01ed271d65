import Ops
import TensorCore

/// y = x·Wᵀ + b.
public final class Linear: Module {
    /// `[outputs, inputs]`, or a kernel `[outputs, ...]` of as many elements.
    public let weight: Parameter
    /// `[outputs]`
    public let bias: Parameter

    /// - Parameter scale: multiplies the first weights.
    public convenience init(_ inputs: Int, _ outputs: Int, scale: Float = 1, _ initializer: Initializer) {
        self.init(
            weight: initializer.truncatedNormal([outputs, inputs], scale: scale), bias: initializer.zeros([outputs]))
    }

    /// - Parameter weight: `[outputs, ...]`; the axes behind the first are the inputs.
    public init(weight: Tensor, bias: Tensor) {
        self.weight = Parameter(weight)
        self.bias = Parameter(bias, decays: false)
    }

    public var members: [Member] { [.parameter("weight", weight), .parameter("bias", bias)] }

    public func freeze() {
        weight.freezePacked()
        bias.freeze()
    }

    /// x `[..., inputs]` → `[..., outputs]`.
    public func callAsFunction(_ x: Variable, _ tape: Tape, _ epilogue: LinearEpilogue = LinearEpilogue()) -> Variable {
        tape.linear(x, weight: weight, bias: bias, epilogue: epilogue)
    }
}

/// Layer norm over the last axis.
public final class LayerNorm: Module {
    /// `[D]`
    public let weight, bias: Parameter
    public let eps: Float

    public init(_ width: Int, eps: Float, _ initializer: Initializer) {
        weight = Parameter(initializer.ones([width]), decays: false)
        bias = Parameter(initializer.zeros([width]), decays: false)
        self.eps = eps
    }

    public var members: [Member] { [.parameter("weight", weight), .parameter("bias", bias)] }

    public func callAsFunction(_ x: Variable, _ tape: Tape) -> Variable {
        tape.layerNorm(x, weight: weight, bias: bias, eps: eps)
    }
}
