import BEiTFiles
import BEiTImageIO

/// The one way in which something runs over many images: threads read and prepare them ahead of the network, and they come
/// in order, one by one or some together.
///
/// What waits is bounded by bytes (``Prefetcher``). An image that cannot be read is told and left out; what would meet all
/// others as well (a failing disk, too many open files, a label outside the classes) ends the loop, and so does a signal
/// where signals are noted (``Interruption``).
package struct ImageLoop<Item: Sendable> {
    private let share: ImageShare, batch: Int
    private let items: Prefetcher<Ready?>

    /// An image that has been read, or why it has not.
    private struct Ready: Sendable {
        var image: Int
        var item: Result<Item, any Error>
    }

    /// Starts to read.
    ///
    /// - Parameters:
    ///   - share: the images.
    ///   - batch: images that are taken together.
    ///   - cost: the bytes that an image takes while it is prepared, known beforehand (see `decodedBytes`).
    ///   - size: the bytes of one that is prepared; nil where these are its cost.
    ///   - prepare: reads an image by its number, on any thread.
    package init(
        _ share: ImageShare, batch: Int = 1, threads: Int = 1, cost: @escaping @Sendable (Int) -> Int,
        size: (@Sendable (Item) -> Int)? = nil, prepare: @escaping @Sendable (Int) throws -> Item
    ) {
        (self.share, self.batch) = (share, batch)
        let draws = share.draws()
        let costOf = { @Sendable (number: Int) -> Int in
            guard let image = try? draws.image(number) else { return 0 }
            return cost(image)
        }
        let sizeOf = size.map { size in
            { @Sendable (ready: Ready?) -> Int in
                guard let item = try? ready?.item.get() else { return 0 }
                return size(item)
            }
        }
        items = Prefetcher(
            0..<share.count, ahead: max(3, 2 * batch), cost: costOf, size: sizeOf, threads: threads
        ) { number in
            defer { draws.forget(number) }
            guard let image = try draws.image(number) else { return nil }
            return Ready(image: image, item: Result { try prepare(image) })
        }
    }

    /// As ``init(_:batch:threads:cost:size:prepare:)``, of all of `count` images.
    package init(
        _ count: Int, batch: Int = 1, threads: Int = 1, cost: @escaping @Sendable (Int) -> Int,
        size: (@Sendable (Item) -> Int)? = nil, prepare: @escaping @Sendable (Int) throws -> Item
    ) { self.init(ImageShare(count), batch: batch, threads: threads, cost: cost, size: size, prepare: prepare) }

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
        var (own, isOver) = (0, share.count == 0)
        while !isOver {
            let start = own
            progress(share.done(start))
            do {
                try Interruption.check()
                var ready: [(index: Int, item: Item)] = []
                while own < start + batch, !isOver {
                    guard let next = try next() else {
                        isOver = true
                        break
                    }
                    own += 1
                    isOver = own == share.count
                    do { ready.append((next.image, try next.item.get())) } catch  where isOfOneImage(error) {
                        try failed(next.image, error)
                    }
                }
                if !ready.isEmpty { try body(ready) }
            } catch let stop as Interruption.Stop {
                throw Interruption.Stop(
                    signal: stop.signal, progress: "after \(share.done(start)) of \(share.total) images")
            }
        }
        progress(share.done(own))
    }

    private func next() throws -> Ready? {
        guard let next = try items.next() else { preconditionFailure("the loop has run before") }
        return next
    }

    /// As ``run(progress:failed:batches:)``, one by one.
    package func run(
        progress: (_ done: Int) -> Void = { _ in }, failed: (_ index: Int, any Error) throws -> Void,
        _ body: (_ index: Int, Item) throws -> Void
    ) throws {
        precondition(batch == 1, "batches of \(batch)")
        try run(progress: progress, failed: failed, batches: { try body($0[0].index, $0[0].item) })
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
