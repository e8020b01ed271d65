import Datasets
import Foundation
import Layers
import Ops
import TensorCore

/// How much memory a run will take, found by trying: one image through the network and back, and two. What two take more
/// than one is the price of an image.
struct MemoryForecast {
    /// Bytes of tensors beside those that were there, at their most: a first pass, and what passes with one and two images
    /// take beside gradients that are there already.
    private var first = 0
    private var besideGradients: [Int] = []
    private var gradients = 0
    private let keepsGradients: Bool
    /// Bytes of an image as a batch holds it.
    private var inputBytes = 0
    private let before: (resident: Int, held: Int)
    /// Memory that is not tensors': of the math libraries, and of files that were read.
    private var other = 0

    /// - Parameters:
    ///   - most: images of a batch.
    ///   - keepsGradients: whether the run's passes find gradients of earlier ones.
    ///   - makeBatch: a batch of so many images.
    ///   - pass: forward, loss and backward; its gradients stay.
    init<Batch>(
        most: Int, keepsGradients: Bool, makeBatch: (Int) throws -> Batch, pass: (Batch) -> Void, clear: () -> Void
    ) rethrows {
        let pool = StoragePool.shared
        before = (Machine.residentMemoryBytes, pool.heldBytes)
        self.keepsGradients = keepsGradients
        let used = pool.usedBytes
        func peak(_ count: Int) throws -> Int {
            let start = pool.usedBytes
            let batch = try makeBatch(count)
            inputBytes = (pool.usedBytes - start) / count
            pool.resetPeak()
            pass(batch)
            return pool.peakBytes - used
        }
        first = try peak(1)
        gradients = pool.usedBytes - used
        besideGradients = try [1, 2].filter { $0 <= most }.map { try peak($0) - gradients }
        clear()
        other = max(0, Machine.residentMemoryBytes - before.resident - (pool.heldBytes - before.held))
    }

    /// Bytes that a run will have taken at its most, with batches of `count` images, of which `waiting` are ready ahead.
    ///
    /// On the way back features go as gradients come, so that the most is at one end: all features, or all gradients.
    func bytes(batch count: Int, waiting: Int) -> Int {
        let single = besideGradients[0], more = (besideGradients.last ?? single) - single
        let features = single + more * (count - 1)
        let pass = keepsGradients ? gradients + features : max(first, features)
        return before.resident + other + StoragePool.shared.mostHeld(peak: pass + inputBytes * count * waiting)
    }
}
