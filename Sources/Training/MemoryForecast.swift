import BEiTReports
import BEiTMetrics
import BEiTDatasets
import Foundation
import BEiTLayers
import BEiTOps
import BEiTTensorCore

/// How much memory a run will take, found by trying: one image through the network and back, and two. What two take more
/// than one is the price of an image.
struct MemoryForecast {
    /// Bytes of tensors beside those that were there, at their most, in passes with one and two images: in those that make
    /// the gradients, and in those that find them (there without the gradients).
    private var fresh: [Int] = []
    private var features: [Int] = []
    private var gradients = 0
    private let keepsGradients: Bool
    /// Bytes of an image as a batch holds it.
    private var inputBytes = 0
    /// What was resident without the pool's unused memory, and what the pool held.
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
        let resident = Machine.residentMemoryBytes
        before = (resident - (pool.heldBytes - pool.usedBytes), pool.heldBytes)
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
        let counts = [1, 2].filter { $0 <= most }
        for count in counts {
            clear()
            fresh.append(try peak(count))
        }
        gradients = pool.usedBytes - used
        features = try counts.map { try peak($0) - gradients }
        clear()
        other = max(0, Machine.residentMemoryBytes - resident - (pool.heldBytes - before.held))
    }

    /// Bytes that a run will have taken at its most, with batches of `count` images, of which `waiting` are ready ahead.
    ///
    /// On the way back features go as gradients come, so that the most is near one end: all features, or all gradients.
    func bytes(batch count: Int, waiting: Int) -> Int {
        func most(_ peaks: [Int]) -> Int { peaks[0] + (peaks[peaks.count - 1] - peaks[0]) * (count - 1) }
        let pass = keepsGradients ? gradients + most(features) : max(most(fresh), most(features))
        return before.resident + other + StoragePool.shared.mostHeld(peak: pass + inputBytes * count * waiting)
    }
}
