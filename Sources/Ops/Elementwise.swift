import CKernels
import TensorCore

/// Elementwise arithmetic on whole tensors.
public enum Elementwise {
    /// Elements of one task.
    static let grain = 1 << 15

    /// y += x.
    public static func add(_ x: Tensor, into y: Tensor) {
        precondition(x.count == y.count, "\(x.shape) into \(y.shape)")
        let (x, y, count) = (x.pointer, y.pointer, y.count)
        WorkerPool.current.run(count, grain: grain) {
            beitseg_add_into(x + $0.lowerBound, y + $0.lowerBound, $0.count)
        }
    }
}
