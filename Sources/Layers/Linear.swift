import BEiTOps
import BEiTTensorCore

/// y = x·Wᵀ + b.
package final class Linear: Module {
    /// `[outputs, inputs]`, or a kernel `[outputs, ...]` of as many elements.
    package let weight: Parameter
    /// `[outputs]`
    package let bias: Parameter

    /// - Parameter scale: multiplies the first weights.
    package convenience init(_ inputs: Int, _ outputs: Int, scale: Float = 1, _ initializer: Initializer) {
        self.init(
            weight: initializer.truncatedNormal([outputs, inputs], scale: scale), bias: initializer.zeros([outputs]))
    }

    /// - Parameter weight: `[outputs, ...]`; the axes behind the first are the inputs.
    package init(weight: Tensor, bias: Tensor) {
        self.weight = Parameter(weight, outputAxis: 0)
        self.bias = Parameter(bias, decays: false)
    }

    package var members: [Member] { [.parameter("weight", weight), .parameter("bias", bias)] }

    package func freeze(_ precision: Precision) {
        weight.freezePacked(precision)
        bias.freeze()
    }

    /// x `[..., inputs]` → `[..., outputs]`.
    package func callAsFunction(_ x: Variable, _ tape: Tape, _ epilogue: LinearEpilogue = LinearEpilogue()) -> Variable
    {
        tape.linear(x, weight: weight, bias: bias, epilogue: epilogue)
    }
}

/// Layer norm over the last axis.
package final class LayerNorm: Module {
    /// `[D]`
    package let weight, bias: Parameter
    package let eps: Float
    /// Sees what comes out, in float32.
    package var observer: ((Tensor) -> Void)?

    package init(_ width: Int, eps: Float, _ initializer: Initializer) {
        weight = Parameter(initializer.ones([width]), decays: false)
        bias = Parameter(initializer.zeros([width]), decays: false)
        self.eps = eps
    }

    package var members: [Member] { [.parameter("weight", weight), .parameter("bias", bias)] }

    /// - Parameter type: of the result; what its reader multiplies, in inference.
    package func callAsFunction(_ x: Variable, _ tape: Tape, as type: ElementType = .float32) -> Variable {
        let result = tape.layerNorm(x, weight: weight, bias: bias, eps: eps, as: type)
        observer?(result.value)
        return result
    }
}
