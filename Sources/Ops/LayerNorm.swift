import BEiTTensorCore
import CBEiTKernels

extension Tape {
    /// Layer norm over the last axis, biased variance; x `[..., D]`, weight and bias `[D]`.
    /// - Parameter type: of the result; another than float32 in inference alone. Bytes are quantised row by row.
    package func layerNorm(
        _ x: Variable, weight: Parameter, bias: Parameter, eps: Float, as type: ElementType = .float32
    ) -> Variable {
        let columns = weight.shape[0]
        precondition(x.shape.last == columns, "layer norm of \(x.shape) with \(columns) weights")
        let rows = x.value.count / columns
        if type != .float32 {
            return Variable(reducedLayerNorm(x.value, rows: rows, weight.value, bias.value, eps: eps, as: type))
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
            // dw and db side by side, so that one reduction serves both.
            let sums = Tensor.zeros([2 * columns])
            func run(_ dx: UnsafeMutablePointer<Float>?, add: Bool) {
                RowSums.reduce(rows: rows, columns: 2 * columns, into: sums) { range, partial in
                    let at = range.lowerBound * columns
                    beitseg_layer_norm_backward(
                        input.pointer + at, dy.pointer + at, range.count, columns, w.pointer,
                        mean.pointer + range.lowerBound, rstd.pointer + range.lowerBound, add ? 1 : 0,
                        dx.map { $0 + at }, partial, partial + columns)
                }
            }
            if let xSlot {
                xSlot.accumulate(input.shape) { run($0.pointer, add: !$1) }
            } else {
                run(nil, add: false)
            }
            weightSlot?.accumulateIntoZeros([columns]) { beitseg_add_into(sums.pointer, $0.pointer, columns) }
            biasSlot?.accumulateIntoZeros([columns]) { beitseg_add_into(sums.pointer + columns, $0.pointer, columns) }
        }
    }

    private func reducedLayerNorm(
        _ x: Tensor, rows: Int, _ weight: Tensor, _ bias: Tensor, eps: Float, as type: ElementType
    ) -> Tensor {
        precondition(!isTraining, "\(type) in training")
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
