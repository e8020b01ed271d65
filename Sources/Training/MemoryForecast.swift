import BEiTDatasets
import BEiTLayers
import BEiTOps
import BEiTTensorCore
import Foundation

/// How much memory a run will take, found by trying: one image through the network and back, and two. What two take more
/// than one is the price of an image.
struct MemoryForecast {
    /// Bytes of tensors beside those that were there, at their most, in passes with one and two images; without the
    /// gradients.
    private var features: [Int] = []
    /// Bytes of the gradients in a run.
    private let gradients: Int
    /// Bytes of an image as a batch holds it.
    private var inputBytes = 0
    /// What was resident without the pool's unused memory, and what the pool held.
    private let before: (resident: Int, held: Int)
    /// Memory that is not tensors': of the math libraries, and of files that were read.
    private var other = 0

    /// - Parameters:
    ///   - most: images of a batch.
    ///   - gradients: bytes that these take in a run.
    ///   - makeBatch: a batch of so many images.
    ///   - pass: forward, loss and backward; its gradients stay.
    ///   - clear: gives the gradients' memory back.
    init<Batch>(
        most: Int, gradients: Int, makeBatch: (Int) throws -> Batch, pass: (Batch) -> Void, clear: () -> Void
    ) rethrows {
        let pool = StoragePool.shared
        let resident = Machine.residentMemoryBytes
        before = (resident - (pool.heldBytes - pool.usedBytes), pool.heldBytes)
        self.gradients = gradients
        clear()
        for count in [1, 2] where count <= most {
            let start = pool.usedBytes
            let batch = try makeBatch(count)
            inputBytes = (pool.usedBytes - start) / count
            pool.resetPeak()
            pass(batch)
            // What stays are the gradients of one pass.
            let kept = pool.usedBytes - start - inputBytes * count
            features.append(pool.peakBytes - start - kept)
            clear()
        }
        other = max(0, Machine.residentMemoryBytes - resident - (pool.heldBytes - before.held))
    }

    /// Bytes that a run will have taken at its most, with batches of `count` images, of which `waiting` are ready ahead.
    func bytes(batch count: Int, waiting: Int) -> Int {
        let most = features[0] + (features[features.count - 1] - features[0]) * (count - 1)
        let peak = gradients + most + inputBytes * count * waiting
        return before.resident + other + StoragePool.shared.mostHeld(peak: peak)
    }
}
