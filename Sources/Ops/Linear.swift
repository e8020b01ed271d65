import BEiTTensorCore
import CBEiTKernels

/// What a linear layer does to its product before it leaves the cache.
package struct LinearEpilogue {
    /// y = gelu(y), the exact form.
    package var gelu = false
    /// The residual stream `[rows, outputs]`: y = residual + keep ⊙ γ ⊙ y.
    package var residual: Variable?
    /// Layer scale γ, `[outputs]`.
    package var gamma: Parameter?
    /// Stochastic depth: a factor per sample, `[B]`; rows are spread evenly over the samples.
    package var keep: Tensor?
    /// Of y: float32 or bfloat16.
    package var outputType = ElementType.float32

    package init(
        gelu: Bool = false, residual: Variable? = nil, gamma: Parameter? = nil, keep: Tensor? = nil,
        outputType: ElementType = .float32
    ) {
        (self.gelu, self.residual, self.gamma, self.keep) = (gelu, residual, gamma, keep)
        self.outputType = outputType
    }
}

extension Tape {
    /// y = x·Wᵀ + b with a fused epilogue; x `[..., inputs]`, y `[..., outputs]`.
    /// - Parameters:
    ///   - weight: `[outputs, inputs]`, or any shape `[outputs, ...]` of as many elements (a patch projection).
    ///   - bias: `[outputs]`.
    package func linear(
        _ x: Variable, weight: Parameter, bias: Variable? = nil, epilogue: LinearEpilogue = LinearEpilogue()
    ) -> Variable {
        let outputs = weight.fullShape[0]
        let inputs = weight.fullShape.elementCount / max(1, outputs)
        precondition(x.shape.last == inputs, "linear: x \(x.shape), weight \(weight.fullShape)")
        let rows = x.shape.elementCount / inputs
        let y = Tensor(uninitialized: x.shape.dropLast() + [outputs], epilogue.outputType)
        let call = LinearCall(rows: rows, inputs: inputs, outputs: outputs, x: x, epilogue: epilogue)
        precondition(!isTraining || !epilogue.gelu || epilogue.outputType == operandType, "gelu of another type")
        let keepsProduct = isTraining && (epilogue.gelu || epilogue.gamma != nil)
        let product = keepsProduct ? Tensor(uninitialized: y.shape, operandType) : nil
        let input = x.value.converted(to: inputType(of: weight))
        call.forward(input, matrix(of: weight), bias?.value, y, saving: product)

        let weightValue = weight.value
        let (xSlot, weightSlot, biasSlot) = (x.slot, weight.slot, bias?.slot)
        let back = BFloatLinearBackward(call, input, weightValue, x.value.elementType, product)
        let isBFloat = operandType == .bfloat16
        return record(y, from: [x, weight, bias, epilogue.gamma, epilogue.residual]) { dy in
            if isBFloat { return back(dy, xSlot, weightSlot, biasSlot) }
            let dProduct = call.backwardThroughEpilogue(dy, product: product)
            biasSlot?.accumulateIntoZeros([outputs]) { RowSums.add(dProduct, rows: rows, columns: outputs, into: $0) }
            weightSlot?.accumulate(weight.fullShape) { gradient, fresh in
                MatrixProduct.run(
                    m: outputs, n: inputs, k: rows, dProduct.pointer, transposeA: true, input.pointer,
                    accumulate: !fresh, gradient.pointer)
            }
            xSlot?.accumulate(input.shape) { gradient, fresh in
                MatrixProduct.run(
                    m: rows, n: inputs, k: outputs, dProduct.pointer, weightValue.pointer, accumulate: !fresh,
                    gradient.pointer)
            }
        }
    }
}

extension Tape {
    /// The weight for one product.
    private func matrix(of weight: Parameter) -> any EngineMatrix {
        if let packed = weight.packed { return packed }
        return operandType == .bfloat16 ? PackedMatrix(weight: weight.value, .bfloat16) : PlainMatrix(weight.value)
    }
}

/// The sizes and the epilogue of one call.
struct LinearCall {
    let rows, inputs, outputs: Int
    let gelu: Bool
    let residual: Tensor?
    let residualSlot: GradientSlot?
    let gamma: Tensor?
    let gammaSlot: GradientSlot?
    /// The factor of each row.
    let keep: Tensor?
    /// x + f(x) with one x: its gradient must not be written while it is read.
    let residualIsInput: Bool

    init(rows: Int, inputs: Int, outputs: Int, x: Variable, epilogue: LinearEpilogue) {
        (self.rows, self.inputs, self.outputs) = (rows, inputs, outputs)
        gelu = epilogue.gelu
        (residual, residualSlot) = (epilogue.residual?.value, epilogue.residual?.slot)
        (gamma, gammaSlot) = (epilogue.gamma?.value, epilogue.gamma?.slot)
        keep = epilogue.keep.map { LinearCall.spread($0, over: rows) }
        residualIsInput = epilogue.residual?.slot === x.slot
        precondition(!gelu || (residual == nil && gamma == nil && keep == nil), "linear: gelu stands alone")
        precondition(residual.map { $0.count == rows * outputs } ?? true, "linear: residual of another shape")
    }

    private static func spread(_ factors: Tensor, over rows: Int) -> Tensor {
        precondition(rows % factors.count == 0, "\(factors.count) samples in \(rows) rows")
        let result = Tensor(uninitialized: [rows])
        let each = rows / factors.count
        for row in 0..<rows { result.pointer[row] = factors.pointer[row / each] }
        return result
    }

    func forward(_ x: Tensor, _ weight: any EngineMatrix, _ bias: Tensor?, _ y: Tensor, saving product: Tensor?) {
        let epilogue = Epilogue(
            bias: bias, saved: product, activation: gelu ? .gelu : .none, gamma: gamma, keep: keep, residual: residual)
        weight.multiply(Product(rows: rows, inputs: inputs, outputs: outputs, epilogue: epilogue), x, into: y)
    }

    /// The gradient of the product (with bias) from the gradient of the result; hands the residual its share.
    func backwardThroughEpilogue(_ dy: Tensor, product: Tensor?) -> Tensor {
        if gelu, let product { return geluGradient(dy, product) }
        guard gamma == nil && keep == nil else { return scaledGradient(dy, product: product) }
        residualSlot?.add(residualIsInput ? dy.copy() : dy)
        return dy
    }

    private func geluGradient(_ dy: Tensor, _ product: Tensor) -> Tensor {
        let result = Tensor(uninitialized: dy.shape)
        let (x, d, r) = (product.pointer, dy.pointer, result.pointer)
        WorkerPool.current.run(dy.count, grain: Elementwise.grain) {
            beitseg_gelu_backward(x + $0.lowerBound, d + $0.lowerBound, r + $0.lowerBound, $0.count)
        }
        return result
    }

    private func scaledGradient(_ dy: Tensor, product: Tensor?) -> Tensor {
        let scaled = dy.copy()
        residualSlot?.add(dy)
        let (d, columns) = (scaled.pointer, outputs)
        let (gamma, keep) = (gamma?.pointer, keep?.pointer)
        if let keep {
            WorkerPool.current.run(rows, grain: 64) { range in
                for row in range { beitseg_axpby(keep[row], d + row * columns, 0, d + row * columns, columns) }
            }
        }
        guard let gamma, let product else { return scaled }
        gammaSlot?.accumulateIntoZeros([columns]) {
            RowSums.addDots(scaled, product, rows: rows, columns: columns, into: $0)
        }
        WorkerPool.current.run(rows, grain: 64) { range in
            for row in range { beitseg_multiply(d + row * columns, gamma, d + row * columns, columns) }
        }
        return scaled
    }
}

/// Sums over the rows of a matrix: partial sums of fixed slices of rows, added in order.
enum RowSums {
    static let slice = 128

    static func add(_ x: Tensor, rows: Int, columns: Int, into sums: Tensor) {
        let source = x.pointer
        reduce(rows: rows, columns: columns, into: sums) { range, partial in
            beitseg_add_column_sums(source + range.lowerBound * columns, columns, range.count, columns, partial)
        }
    }

    static func addDots(_ x: Tensor, _ y: Tensor, rows: Int, columns: Int, into sums: Tensor) {
        let (a, b) = (x.pointer, y.pointer)
        reduce(rows: rows, columns: columns, into: sums) { range, partial in
            let at = range.lowerBound * columns
            beitseg_add_column_dots(a + at, columns, b + at, columns, range.count, columns, partial)
        }
    }

    static func reduce(
        rows: Int, columns: Int, into sums: Tensor,
        _ body: (_ rows: Range<Int>, _ partial: UnsafeMutablePointer<Float>) -> Void
    ) {
        let count = (rows + slice - 1) / slice
        let partials = Tensor.zeros([count, columns])
        WorkerPool.current.run(rows, grain: slice) { body($0, partials.pointer + $0.lowerBound / slice * columns) }
        for index in 0..<count { beitseg_add_into(partials.pointer + index * columns, sums.pointer, columns) }
    }
}
