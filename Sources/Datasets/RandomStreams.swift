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
/// between them; with several parts (``SetProportions``) each part so by itself.
package struct Sampler: Sendable {
    package let seed: UInt64
    /// What is shown, and how often.
    package let proportions: SetProportions
    /// Images in a batch.
    package let batch: Int
    /// Of each part.
    private let orders: [EpochOrders]

    /// - Parameter buffer: nil to draw the images of an epoch from anywhere.
    package init(seed: UInt64, _ proportions: SetProportions, batch: Int, buffer: ShuffleBuffer? = nil) {
        precondition(proportions.count > 0 && batch > 0, "no images, or no batch")
        (self.seed, self.proportions, self.batch) = (seed, proportions, batch)
        orders = proportions.parts.map { EpochOrders(seed: seed, part: $0.set, $0.photos, buffer) }
    }

    /// The images of batch number `index`, and their places in the run.
    package func batch(_ index: Int) -> [(image: Int, place: Int)] {
        let places = index * batch..<(index + 1) * batch
        return zip(proportions.draws(places), places).map { drawn, place in
            (proportions.parts[drawn.part].photos.lowerBound + orders[drawn.part].image(drawn.draw), place)
        }
    }
}

/// The orders of the epochs that batches are made of at present: making one takes longer than a batch does where the set
/// is large.
private final class EpochOrders: Sendable {
    private let seed: UInt64
    private let part: Int
    private let photos: Range<Int>
    private let buffer: ShuffleBuffer?
    private let known = Mutex<[(epoch: Int, order: [Int])]>([])
    /// Batches that are made at a time lie in two epochs, or in more where these are small.
    private static let most = 2

    init(seed: UInt64, part: Int, _ photos: Range<Int>, _ buffer: ShuffleBuffer?) {
        (self.seed, self.part, self.photos, self.buffer) = (seed, part, photos, buffer)
    }

    /// The image that is shown `number` images after the first.
    func image(_ number: Int) -> Int {
        let (epoch, place) = number.quotientAndRemainder(dividingBy: photos.count)
        return known.withLock { known in
            if let found = known.first(where: { $0.epoch == epoch }) { return found.order[place] }
            // No part has 2⁴⁰ epochs, nor a run 2¹⁶ parts.
            var generator = RandomStream.order.generator(seed: seed, part << 40 | epoch)
            let order = buffer?.order(of: photos, &generator) ?? generator.permutation(photos.count)
            known = known.suffix(Self.most - 1) + [(epoch, order)]
            return order[place]
        }
    }
}
