import BEiTTensorCore
import CBEiTKernels

/// y = max(x, 0) of floats.
/// - Parameter type: of y, float32 or bfloat16.
func relu(_ x: Tensor, as type: ElementType) -> Tensor {
    let y = Tensor(uninitialized: x.shape, type)
    WorkerPool.current.run(y.count, grain: Elementwise.grain) {
        if type == .bfloat16 {
            beitseg_relu_bf16(x.pointer + $0.lowerBound, y.bfloats + $0.lowerBound, $0.count)
        } else {
            beitseg_relu(x.pointer + $0.lowerBound, y.pointer + $0.lowerBound, $0.count)
        }
    }
    return y
}

/// Turns the gradient of y = max(x, 0), of floats, into that of x, in place.
func reluBackward(_ y: Tensor, _ dy: Tensor) {
    WorkerPool.current.run(y.count, grain: Elementwise.grain) {
        let d = dy.pointer + $0.lowerBound
        if y.elementType == .bfloat16 {
            beitseg_relu_backward_bf16(y.bfloats + $0.lowerBound, d, $0.count)
        } else {
            beitseg_relu_backward(y.pointer + $0.lowerBound, d, $0.count)
        }
    }
}
