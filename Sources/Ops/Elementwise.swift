import BEiTTensorCore
import CBEiTKernels
import Synchronization

/// Elementwise arithmetic on whole tensors.
package enum Elementwise {
    /// Elements of one task.
    static let grain = 1 << 15

    /// y += x.
    package static func add(_ x: Tensor, into y: Tensor) {
        precondition(x.count == y.count, "\(x.shape) into \(y.shape)")
        let (x, y, count) = (x.pointer, y.pointer, y.count)
        WorkerPool.current.run(count, grain: grain) {
            beitseg_add_into(x + $0.lowerBound, y + $0.lowerBound, $0.count)
        }
    }

    /// y += x, `count` elements on the calling thread.
    static func addRow(_ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, count: Int) {
        beitseg_add_into(x, y, count)
    }

    /// y += factor·x, `count` elements on the calling thread.
    package static func addScaled(
        _ factor: Float, _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, count: Int
    ) {
        beitseg_axpby(factor, x, 1, y, count)
    }

    /// Whether every element is a number: neither NaN nor infinite.
    package static func isFinite(_ x: Tensor) -> Bool {
        let (x, count) = (x.pointer, x.count)
        let isFinite = Atomic(true)
        WorkerPool.current.run(count, grain: grain) {
            // A sum of squares is fast, and infinite already for finite values of 1e19: then each is looked at.
            guard !beitseg_sum_of_squares(x + $0.lowerBound, $0.count).isFinite else { return }
            if !UnsafeBufferPointer(start: x + $0.lowerBound, count: $0.count).allSatisfy(\.isFinite) {
                isFinite.store(false, ordering: .relaxed)
            }
        }
        return isFinite.load(ordering: .relaxed)
    }

    /// Turns `rows` rows of `count` elements upside down, in place.
    package static func reverseRows(_ values: UnsafeMutablePointer<Float>, _ rows: Int, _ count: Int) {
        for row in 0..<rows / 2 {
            let (one, other) = (values + row * count, values + (rows - 1 - row) * count)
            for index in 0..<count { swap(&one[index], &other[index]) }
        }
    }

    /// y ·= factor, `count` elements on the calling thread.
    static func scaleRow(_ factor: Float, _ y: UnsafeMutablePointer<Float>, count: Int) {
        beitseg_axpby(factor, y, 0, y, count)
    }
}
