import BEiTTensorCore
import CBEiTKernels

extension Tape {
    /// Layer norm over the last axis, biased variance; x `[..., D]`, weight and bias `[D]`.
    /// - Parameter type: of the result; bytes, which are quantised row by row, in inference alone.
    package func layerNorm(
        _ x: Variable, weight: Parameter, bias: Parameter, eps: Float, as type: ElementType = .float32
    ) -> Variable {
        let columns = weight.shape[0]
        precondition(x.shape.last == columns, "layer norm of \(x.shape) with \(columns) weights")
        let rows = x.value.count / columns
        if type != .float32 {
            let y = reducedLayerNorm(x.value, rows: rows, weight.value, bias.value, eps: eps, as: type)
            return isTraining ? recordBFloatNorm(y, x, weight, bias, eps: eps) : Variable(y)
        }
        let (y, input) = (Tensor(uninitialized: x.shape), x.value)
        let mean = Tensor(uninitialized: [rows])
        let rstd = Tensor(uninitialized: [rows])
        let (w, b) = (weight.value, bias.value)
        WorkerPool.current.run(rows, grain: 32) {
            let at = $0.lowerBound * columns
            beitseg_layer_norm(
                input.pointer + at, $0.count, columns, w.pointer, b.pointer, eps, y.pointer + at,
                mean.pointer + $0.lowerBound, rstd.pointer + $0.lowerBound)
        }
        let (xSlot, weightSlot, biasSlot) = (x.slot, weight.slot, bias.slot)
        return record(y, from: [x, weight, bias]) { dy in
            normBackward(input.shape, xSlot, weightSlot, biasSlot) { rows, dx, add, dw, db in
                let at = rows.lowerBound * columns
                beitseg_layer_norm_backward(
                    input.pointer + at, dy.pointer + at, rows.count, columns, w.pointer,
                    mean.pointer + rows.lowerBound, rstd.pointer + rows.lowerBound, add ? 1 : 0, dx.map { $0 + at },
                    dw, db)
            }
        }
    }

    /// `y` of bfloat16, whose gradient is of bfloat16.
    private func recordBFloatNorm(
        _ y: Tensor, _ x: Variable, _ weight: Parameter, _ bias: Parameter, eps: Float
    ) -> Variable {
        let (input, w, columns) = (x.value, weight.value, weight.value.count)
        let (xSlot, weightSlot, biasSlot) = (x.slot, weight.slot, bias.slot)
        return record(y, from: [x, weight, bias]) { dy in
            normBackward(input.shape, xSlot, weightSlot, biasSlot) { rows, dx, add, dw, db in
                let at = rows.lowerBound * columns
                beitseg_layer_norm_backward_bf16(
                    input.pointer + at, dy.bfloats + at, rows.count, columns, w.pointer, eps, add ? 1 : 0,
                    dx.map { $0 + at }, dw, db)
            }
        }
    }

    private func reducedLayerNorm(
        _ x: Tensor, rows: Int, _ weight: Tensor, _ bias: Tensor, eps: Float, as type: ElementType
    ) -> Tensor {
        precondition(!isTraining || type == .bfloat16, "\(type) in training")
        let columns = weight.count
        let y = type == .uint8 ? Tensor(quantized: x.shape) : Tensor(uninitialized: x.shape, type)
        WorkerPool.current.run(rows, grain: 32) {
            let (row, at) = ($0.lowerBound, $0.lowerBound * columns)
            if let quantization = y.quantization {
                beitseg_layer_norm_quantized(
                    x.pointer + at, $0.count, columns, weight.pointer, bias.pointer, eps, y.bytes + at, columns,
                    quantization.scales + row, quantization.zeros + row)
            } else {
                beitseg_layer_norm_bf16(
                    x.pointer + at, $0.count, columns, weight.pointer, bias.pointer, eps, y.bfloats + at)
            }
        }
        return y
    }
}

/// Calls `kernel` with slices of rows, the gradient of x and whether it is added to, and where that of weight and bias adds
/// up.
private func normBackward(
    _ shape: [Int], _ xSlot: GradientSlot?, _ weightSlot: GradientSlot?, _ biasSlot: GradientSlot?,
    _ kernel:
        (
            _ rows: Range<Int>, _ dx: UnsafeMutablePointer<Float>?, _ add: Bool, _ dw: UnsafeMutablePointer<Float>,
            _ db: UnsafeMutablePointer<Float>
        ) -> Void
) {
    let columns = shape.last ?? 1
    // dw and db side by side, so that one reduction serves both.
    let sums = Tensor.zeros([2 * columns])
    func run(_ dx: UnsafeMutablePointer<Float>?, add: Bool) {
        RowSums.reduce(rows: shape.elementCount / max(1, columns), columns: 2 * columns, into: sums) {
            kernel($0, dx, add, $1, $1 + columns)
        }
    }
    if let xSlot { xSlot.accumulate(shape) { run($0.pointer, add: !$1) } } else { run(nil, add: false) }
    weightSlot?.accumulateIntoZeros([columns]) { beitseg_add_into(sums.pointer, $0.pointer, columns) }
    biasSlot?.accumulateIntoZeros([columns]) { beitseg_add_into(sums.pointer + columns, $0.pointer, columns) }
}
