import Datasets
import Foundation
import Layers
import Ops
import TensorCore

/// How much memory a run will take, found by trying: one image through the network and back, and two. What two take more
/// than one is the price of an image.
struct MemoryForecast {
    /// Bytes of tensors beside those that were there, at their most.
    private var peaks: [Int] = []
    /// Bytes of an image as a batch holds it.
    private var inputBytes = 0
    private let before: (resident: Int, held: Int)
    /// Memory that is not tensors': of the math libraries, and of files that were read.
    private var other = 0

    /// - Parameters:
    ///   - makeBatch: a batch of so many images.
    ///   - pass: forward, loss and backward; its gradients stay where `keepsGradients`.
    init<Batch>(
        most: Int, keepsGradients: Bool, makeBatch: (Int) throws -> Batch, pass: (Batch) -> Void, clear: () -> Void
    ) rethrows {
        let pool = StoragePool.shared
        before = (Machine.residentMemoryBytes, pool.heldBytes)
        let used = pool.usedBytes
        // The first pass plans the kernels and, where they are kept, leaves gradients.
        for count in [1, 1, 2] where count <= most {
            let start = pool.usedBytes
            let batch = try makeBatch(count)
            inputBytes = (pool.usedBytes - start) / count
            pool.resetPeak()
            pass(batch)
            peaks.append(pool.peakBytes - used)
            if !keepsGradients { clear() }
        }
        clear()
        other = max(0, Machine.residentMemoryBytes - before.resident - (pool.heldBytes - before.held))
    }

    /// Bytes that a run will have taken at its most, with batches of `count` images, of which `waiting` are ready ahead.
    func bytes(batch count: Int, waiting: Int) -> Int {
        let single = peaks.dropFirst().first ?? peaks[0]
        let more = peaks.count > 2 ? peaks[2] - single : 0
        let tensors = single + more * (count - 1) + inputBytes * count * waiting
        return before.resident + other + StoragePool.shared.mostHeld(peak: tensors)
    }
}
