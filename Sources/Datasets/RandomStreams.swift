import BEiTTensorCore
import Synchronization

/// The random streams of a training run, all from one seed: a draw depends on what it is for and on its place in the
/// run, never on threads or on what was drawn before. A run that is resumed therefore needs no generator's state.
package enum RandomStream: UInt64, Sendable {
    case order = 1
    case augmentation, network
    /// Which images of a batch are mixed, and how.
    case mixing = 16

    /// The generator of item `index`: an epoch, an image's place in the run, a step.
    package func generator(seed: UInt64, _ index: Int) -> Philox {
        // The initial weights are drawn from the streams below 1 << 56.
        Philox(seed: seed, stream: rawValue << 56 | UInt64(index))
    }
}

/// The order in which the images of a data set are shown: epoch after epoch, each in an order of its own, without gaps
/// between them. Workers take turns batch by batch.
package struct Sampler: Sendable {
    package let seed: UInt64
    /// Images in an epoch.
    package let count: Int
    /// Images in a batch.
    package let batch: Int
    /// This worker among `workers`.
    package let rank, workers: Int
    private let orders: EpochOrders

    package init(seed: UInt64, count: Int, batch: Int, rank: Int = 0, of workers: Int = 1) {
        precondition(count > 0 && batch > 0 && (0..<workers).contains(rank), "no images, or no batch")
        (self.seed, self.count, self.batch, self.rank, self.workers) = (seed, count, batch, rank, workers)
        orders = EpochOrders(seed: seed, count: count)
    }

    /// The images of this worker's batch number `index`, and their places in the run.
    package func batch(_ index: Int) -> [(image: Int, place: Int)] {
        let first = (index * workers + rank) * batch
        var (epoch, order) = (-1, [Int]())
        return (first..<first + batch).map { place in
            if place / count != epoch {
                epoch = place / count
                order = orders[epoch]
            }
            return (order[place % count], place)
        }
    }
}

/// The orders of the epochs that batches are made of at present: making one takes longer than a batch does where the set
/// is large.
private final class EpochOrders: Sendable {
    private let seed: UInt64
    private let count: Int
    private let known = Mutex<[(epoch: Int, order: [Int])]>([])
    /// Batches that are made at a time lie in two epochs, or in more where these are small.
    private static let most = 2

    init(seed: UInt64, count: Int) { (self.seed, self.count) = (seed, count) }

    subscript(epoch: Int) -> [Int] {
        known.withLock { known in
            if let found = known.first(where: { $0.epoch == epoch }) { return found.order }
            var generator = RandomStream.order.generator(seed: seed, epoch)
            let order = generator.permutation(count)
            known = known.suffix(Self.most - 1) + [(epoch, order)]
            return order
        }
    }
}
