import BEiTTensorCore
import CBEiTKernels

extension Tape {
    /// y = max(x, 0).
    package func relu(_ x: Variable) -> Variable {
        let (input, y) = (x.value, Tensor(uninitialized: x.shape))
        WorkerPool.current.run(y.count, grain: Elementwise.grain) {
            beitseg_relu(input.pointer + $0.lowerBound, y.pointer + $0.lowerBound, $0.count)
        }
        let slot = x.slot
        return record(y, from: [x]) { dy in
            reluBackward(y, dy)
            slot?.add(dy)
        }
    }
}

/// Turns the gradient of y = max(x, 0) into that of x, in place.
func reluBackward(_ y: Tensor, _ dy: Tensor) {
    WorkerPool.current.run(y.count, grain: Elementwise.grain) {
        beitseg_relu_backward(y.pointer + $0.lowerBound, dy.pointer + $0.lowerBound, $0.count)
    }
}
