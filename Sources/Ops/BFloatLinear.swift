import BEiTTensorCore
import CBEiTKernels

/// The way back of a linear layer whose products are of bfloat16: what a result of bfloat16 hands back is of bfloat16,
/// gradients of parameters and of the residual stream are float32.
struct BFloatLinearBackward {
    private let call: LinearCall
    /// `[rows, inputs]` of bfloat16
    private let input: Tensor
    private let weight: Tensor
    /// Of x, and so of its gradient.
    private let inputType: ElementType
    /// Product + bias, where the epilogue's way back needs it.
    private let product: Tensor?

    init(_ call: LinearCall, _ input: Tensor, _ weight: Tensor, _ inputType: ElementType, _ product: Tensor?) {
        (self.call, self.input, self.weight) = (call, input, weight)
        (self.inputType, self.product) = (inputType, product)
    }

    func callAsFunction(
        _ dy: Tensor, _ xSlot: GradientSlot?, _ weightSlot: GradientSlot?, _ biasSlot: GradientSlot?
    ) {
        let (rows, inputs, outputs) = (call.rows, call.inputs, call.outputs)
        let d = throughEpilogue(dy, biasSlot)
        if let xSlot {
            let dx = Tensor(uninitialized: input.shape, inputType)
            PackedMatrix(transposing: weight).multiply(
                Product(rows: rows, inputs: outputs, outputs: inputs), d, into: dx)
            xSlot.add(dx)
        }
        weightSlot?.accumulate(weight.shape) { gradient, fresh in
            PairedRows.multiply(
                PairedRows(d, columns: outputs, .left), PairedRows(input, columns: inputs, .right),
                into: gradient.pointer, stride: inputs, adds: !fresh)
        }
    }

    /// The gradient of product + bias, `[rows, outputs]` of bfloat16; hands bias, γ and residual their shares.
    private func throughEpilogue(_ dy: Tensor, _ biasSlot: GradientSlot?) -> Tensor {
        let (rows, outputs) = (call.rows, call.outputs)
        let keepsRounded = dy.elementType == .bfloat16 && product == nil
        let d = keepsRounded ? dy : Tensor(uninitialized: dy.shape, .bfloat16)
        // The gradients of bias and γ side by side.
        let sums = Tensor.zeros([2 * outputs])
        RowSums.reduce(rows: rows, columns: 2 * outputs, into: sums) { range, partial in
            let at = range.lowerBound * outputs
            if dy.elementType == .float32 {
                beitseg_scaled_gradient(
                    dy.pointer + at, range.count, outputs, call.gamma?.pointer,
                    call.keep.map { $0.pointer + range.lowerBound }, product.map { $0.bfloats + at }, d.bfloats + at,
                    partial, partial + outputs)
            } else if let product {
                beitseg_gelu_gradient(
                    product.bfloats + at, dy.bfloats + at, range.count, outputs, d.bfloats + at, partial)
            } else {
                beitseg_add_column_sums_bf16(dy.bfloats + at, range.count, outputs, partial)
            }
        }
        biasSlot?.accumulateIntoZeros([outputs]) { beitseg_add_into(sums.pointer, $0.pointer, outputs) }
        call.gammaSlot?.accumulateIntoZeros([outputs]) { beitseg_add_into(sums.pointer + outputs, $0.pointer, outputs) }
        call.residualSlot?.add(dy)
        return d
    }
}
