import BEiTFiles
import Foundation

/// Makes numbered items on threads of its own, a bounded number ahead of the one who takes them, in order.
///
/// Decoding and augmenting overlap with the network's arithmetic; an item is a function of its number alone, so neither
/// the number of threads nor their timing changes what is taken.
package final class Prefetcher<Item: Sendable>: Sendable {
    private let queue: Queue<Item>

    /// - Parameters:
    ///   - range: the numbers of the items.
    ///   - ahead: items that are made but not taken, at most.
    package init(
        _ range: Range<Int>, ahead: Int, threads: Int, make: @escaping @Sendable (Int) throws -> Item
    ) {
        let queue = Queue<Item>(range, ahead: max(1, ahead))
        self.queue = queue
        for index in 0..<max(1, threads) {
            let thread = Thread {
                while let number = queue.claim() { queue.deliver(number, Result { try make(number) }) }
            }
            thread.name = "beit-seg loader \(index + 1)"
            thread.stackSize = 4 << 20
            thread.start()
        }
    }

    deinit { queue.close() }

    /// The next item; nil after the last. Throws what its making threw, and ``Interruption/Stop`` where a signal is noted
    /// while it waits: reading from a disk that hangs may take for ever.
    package func next() throws -> Item? { try queue.take()?.get() }
}

private final class Queue<Item: Sendable>: @unchecked Sendable {
    private let condition = NSCondition()  // guards the rest
    private var made: [Int: Result<Item, any Error>] = [:]
    private var toClaim, toTake: Int
    private let end, ahead: Int
    private var closed = false

    init(_ range: Range<Int>, ahead: Int) {
        (toClaim, toTake, end, self.ahead) = (range.lowerBound, range.lowerBound, range.upperBound, ahead)
    }

    /// The number of an item to make; nil when there is nothing more to do.
    func claim() -> Int? {
        condition.lock()
        defer { condition.unlock() }
        while !closed, toClaim < end, toClaim >= toTake + ahead { condition.wait() }
        guard !closed, toClaim < end else { return nil }
        defer { toClaim += 1 }
        return toClaim
    }

    func deliver(_ number: Int, _ item: Result<Item, any Error>) {
        condition.lock()
        made[number] = item
        condition.broadcast()
        condition.unlock()
    }

    func take() throws -> Result<Item, any Error>? {
        condition.lock()
        defer { condition.unlock() }
        guard toTake < end else { return nil }
        while true {
            if let item = made.removeValue(forKey: toTake) {
                toTake += 1
                condition.broadcast()
                return item
            }
            if !condition.wait(until: Date(timeIntervalSinceNow: 0.2)) { try Interruption.check() }
        }
    }

    func close() {
        condition.lock()
        closed = true
        condition.broadcast()
        condition.unlock()
    }
}
