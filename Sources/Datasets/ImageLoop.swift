import BEiTFiles
import BEiTImageIO

/// The one way in which something runs over many images: threads read and prepare them ahead of the network, and they come
/// in order, one by one or some together.
///
/// What waits is bounded by bytes (``Prefetcher``). An image that cannot be read is told and left out; what would meet all
/// others as well (a failing disk, too many open files, a label outside the classes) ends the loop, and so does a signal
/// where signals are noted (``Interruption``).
package struct ImageLoop<Item: Sendable> {
    private let count, batch: Int
    private let items: Prefetcher<Item>

    /// Starts to read.
    ///
    /// - Parameters:
    ///   - count: images.
    ///   - batch: images that are taken together.
    ///   - cost: the bytes that an image takes while it is prepared, known beforehand (see `decodedBytes`).
    ///   - size: the bytes of one that is prepared; nil where these are its cost.
    ///   - prepare: reads an image by its number, on any thread.
    package init(
        _ count: Int, batch: Int = 1, threads: Int = 1, cost: @escaping @Sendable (Int) -> Int,
        size: (@Sendable (Item) -> Int)? = nil, prepare: @escaping @Sendable (Int) throws -> Item
    ) {
        (self.count, self.batch) = (count, batch)
        items = Prefetcher(
            0..<count, ahead: max(3, 2 * batch), cost: cost, size: size, threads: threads, make: prepare)
    }

    /// Hands on the images, some together. To be called once.
    ///
    /// - Parameters:
    ///   - progress: hears how many are done or have failed, from 0 to all.
    ///   - failed: hears of each image that cannot be read.
    ///   - body: takes a batch of the others, by their numbers.
    /// - Throws: `Interruption.Stop`, what `failed` and `body` throw, and what would meet all images.
    package func run(
        progress: (_ done: Int) -> Void = { _ in }, failed: (_ index: Int, any Error) throws -> Void,
        batches body: ([(index: Int, item: Item)]) throws -> Void
    ) throws {
        for start in stride(from: 0, to: count, by: batch) {
            progress(start)
            do {
                try Interruption.check()
                let ready = try take(start..<min(count, start + batch), failed)
                if !ready.isEmpty { try body(ready) }
            } catch let stop as Interruption.Stop {
                throw Interruption.Stop(signal: stop.signal, progress: "after \(start) of \(count) images")
            }
        }
        progress(count)
    }

    /// As ``run(progress:failed:batches:)``, one by one.
    package func run(
        progress: (_ done: Int) -> Void = { _ in }, failed: (_ index: Int, any Error) throws -> Void,
        _ body: (_ index: Int, Item) throws -> Void
    ) throws {
        precondition(batch == 1, "batches of \(batch)")
        try run(progress: progress, failed: failed, batches: { try body($0[0].index, $0[0].item) })
    }

    private func take(
        _ range: Range<Int>, _ failed: (Int, any Error) throws -> Void
    ) throws -> [(index: Int, item: Item)] {
        var ready: [(index: Int, item: Item)] = []
        for index in range {
            let item: Item
            do {
                guard let next = try items.next() else { preconditionFailure("the loop has run before") }
                item = next
            } catch  where isOfOneImage(error) {
                try failed(index, error)
                continue
            }
            ready.append((index, item))
        }
        return ready
    }
}

/// Whether an error of reading lies in the image, its mask or how both fit, and not in what all others meet as well.
private func isOfOneImage(_ error: any Error) -> Bool {
    switch error {
    case is ImageError, is DatasetError: true
    case let error as FileError: !error.isOfTheSystem
    default: false
    }
}
