import BEiTFiles
import Foundation

/// Makes numbered items on threads of its own, a bounded number and a bounded weight ahead of the one who takes them, in
/// order.
///
/// Decoding and augmenting overlap with the network's arithmetic; an item is a function of its number alone, so neither
/// the number of threads nor their timing changes what is taken.
package final class Prefetcher<Item: Sendable>: Sendable {
    private let queue: Queue<Item>

    /// How long ``next()`` has waited for items so far.
    package var waited: Duration { queue.waited }

    /// - Parameters:
    ///   - range: the numbers of the items.
    ///   - ahead: items that are made but not taken, at most.
    ///   - budget: bytes of items that are being made, wait, or are in the hands of the one who took them: one counts
    ///     until the next is taken. Where nothing else counts an item of any size is made.
    ///   - cost: the bytes that an item will take while it is made, known beforehand (see `decodedBytes`); asked on the
    ///     threads that make.
    ///   - size: the bytes of a finished item, where these are not its cost.
    package init(
        _ range: Range<Int>, ahead: Int, budget: Int = photoBudget, cost: (@Sendable (Int) -> Int)? = nil,
        size: (@Sendable (Item) -> Int)? = nil, threads: Int, make: @escaping @Sendable (Int) throws -> Item
    ) {
        let queue = Queue<Item>(range, ahead: max(1, ahead), budget: budget)
        self.queue = queue
        for index in 0..<max(1, threads) {
            let thread = Thread {
                while let number = queue.claim() {
                    let bytes = cost?(number) ?? 0
                    guard queue.admit(number, bytes) else { return }
                    let item = Result { try make(number) }
                    let kept = (try? item.get()).map { size?($0) ?? bytes } ?? 0
                    queue.deliver(number, item, bytes: kept, insteadOf: bytes)
                }
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

/// Bytes of decoded photos that may wait between two stages of a run; one alone may be larger.
package let photoBudget = 512 << 20

private final class Queue<Item: Sendable>: @unchecked Sendable {
    private let condition = NSCondition()  // guards the rest
    private var made: [Int: (item: Result<Item, any Error>, bytes: Int)] = [:]
    private var toClaim, toAdmit, toTake: Int
    private let end, ahead: Int
    /// Bytes of the items that are being made or wait, and of the one that was taken last.
    private var used = 0, taken = 0
    private let budget: Int
    private var closed = false
    private var waiting = Duration.zero

    var waited: Duration { condition.withLock { waiting } }

    init(_ range: Range<Int>, ahead: Int, budget: Int) {
        (toClaim, toAdmit, toTake) = (range.lowerBound, range.lowerBound, range.lowerBound)
        (end, self.ahead, self.budget) = (range.upperBound, ahead, budget)
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

    /// Waits for room. Items are admitted in order, so that the one that is wanted next never waits for a later one.
    /// False where nobody wants it any more.
    func admit(_ number: Int, _ bytes: Int) -> Bool {
        condition.lock()
        defer { condition.unlock() }
        while !closed, number != toAdmit || (used > 0 && used + bytes > budget) { condition.wait() }
        guard !closed else { return false }
        (toAdmit, used) = (toAdmit + 1, used + bytes)
        condition.broadcast()
        return true
    }

    func deliver(_ number: Int, _ item: Result<Item, any Error>, bytes: Int, insteadOf cost: Int) {
        condition.lock()
        made[number] = (item, bytes)
        used += bytes - cost
        condition.broadcast()
        condition.unlock()
    }

    func take() throws -> Result<Item, any Error>? {
        condition.lock()
        defer { condition.unlock() }
        used -= taken
        taken = 0
        condition.broadcast()
        guard toTake < end else { return nil }
        let start = ContinuousClock.now
        defer { waiting += .now - start }
        while true {
            if let (item, bytes) = made.removeValue(forKey: toTake) {
                toTake += 1
                taken = bytes
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
