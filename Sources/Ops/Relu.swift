import BEiTTensorCore
import CBEiTKernels

extension Tape {
    /// y = max(x, 0) of floats.
    /// - Parameter type: of y, float32 or bfloat16; its gradient is of floats.
    package func relu(_ x: Variable, as type: ElementType = .float32) -> Variable {
        let (input, y) = (x.value, Tensor(uninitialized: x.shape, type))
        WorkerPool.current.run(y.count, grain: Elementwise.grain) {
            if type == .bfloat16 {
                beitseg_relu_bf16(input.pointer + $0.lowerBound, y.bfloats + $0.lowerBound, $0.count)
            } else {
                beitseg_relu(input.pointer + $0.lowerBound, y.pointer + $0.lowerBound, $0.count)
            }
        }
        let slot = x.slot
        return record(y, from: [x]) { dy in
            guard let slot else { return }
            if let sum = slot.tensor { return addReluBackward(y, dy, into: sum) }
            reluBackward(y, dy)
            slot.add(dy)
        }
    }
}

/// Turns the gradient of y = max(x, 0) into that of x, in place.
func reluBackward(_ y: Tensor, _ dy: Tensor) {
    WorkerPool.current.run(y.count, grain: Elementwise.grain) {
        let d = dy.pointer + $0.lowerBound
        if y.elementType == .bfloat16 {
            beitseg_relu_backward_bf16(y.bfloats + $0.lowerBound, d, 0, d, $0.count)
        } else {
            beitseg_relu_backward(y.pointer + $0.lowerBound, d, $0.count)
        }
    }
}

private func addReluBackward(_ y: Tensor, _ dy: Tensor, into dx: Tensor) {
    WorkerPool.current.run(y.count, grain: Elementwise.grain) {
        let (d, sum) = (dy.pointer + $0.lowerBound, dx.pointer + $0.lowerBound)
        if y.elementType == .bfloat16 {
            beitseg_relu_backward_bf16(y.bfloats + $0.lowerBound, d, 1, sum, $0.count)
        } else {
            beitseg_add_relu_backward(y.pointer + $0.lowerBound, d, sum, $0.count)
        }
    }
}
