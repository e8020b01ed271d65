import BEiTProcesses
import BEiTTensorCore
import Foundation
import Synchronization

/// Processes that are threads of this one, for tests of what they share.
package final class ThreadTeam: @unchecked Sendable {
    /// A member that does not come, where others wait.
    package struct Absent: Error {}

    package let size: Int
    private let condition = NSCondition()  // guards the rest
    private var waiting = 0, round = 0
    private var bytes: [[UInt8]]
    private var tensors: [Tensor?]
    private var numbers = DealtNumbers([])

    package init(_ size: Int) {
        self.size = size
        (bytes, tensors) = (Array(repeating: [], count: size), Array(repeating: nil, count: size))
    }

    /// What `body` gives for each member, each on a thread of its own, with a pool of its own.
    package func run<Value>(_ body: @escaping (any Communicator) throws -> Value) -> [Result<Value, any Error>] {
        nonisolated(unsafe) var results = [Result<Value, any Error>?](repeating: nil, count: size)
        nonisolated(unsafe) let body = body
        let done = DispatchGroup()
        for rank in 0..<size {
            done.enter()
            let thread = Thread { [self] in
                let result = WorkerPool.$scoped.withValue(WorkerPool(threads: 1)) {
                    Result { try body(Member(team: self, rank: rank)) }
                }
                condition.withLock { results[rank] = result }
                done.leave()
            }
            thread.stackSize = 8 << 20
            thread.start()
        }
        done.wait()
        return results.compactMap(\.self)
    }

    /// Returns once all are here.
    fileprivate func meet() throws {
        condition.lock()
        defer { condition.unlock() }
        let own = round
        waiting += 1
        if waiting == size {
            (waiting, round) = (0, round + 1)
            condition.broadcast()
        }
        while round == own { guard condition.wait(until: .now + 60) else { throw Absent() } }
    }

    /// What each has, once all have come; `body` may use it until all have left.
    fileprivate func share<Value>(_ rank: Int, _ tensor: Tensor?, _ body: ([Tensor?]) -> Value) throws -> Value {
        condition.withLock { tensors[rank] = tensor }
        try meet()
        let value = body(condition.withLock { tensors })
        try meet()
        return value
    }

    fileprivate func share(_ rank: Int, _ bytes: [UInt8]) throws -> [[UInt8]] {
        condition.withLock { self.bytes[rank] = bytes }
        try meet()
        let all = condition.withLock { self.bytes }
        try meet()
        return all
    }

    private final class Member: Communicator {
        let team: ThreadTeam, rank: Int
        var size: Int { team.size }
        var neighbours: Int { 1 }  // of the tests' memory there is enough

        init(team: ThreadTeam, rank: Int) { (self.team, self.rank) = (team, rank) }

        func gather(_ bytes: [UInt8]) throws -> [[UInt8]] { try team.share(rank, bytes) }

        func collect(
            _ part: Tensor?, count: Int, givers: Int, _ take: (Range<Int>, [UnsafePointer<Float>]) -> Void
        ) throws {
            let slice = slice(of: count)
            try team.share(rank, part) { parts in
                let pointers = parts.prefix(givers).compactMap { $0 }.map {
                    UnsafePointer($0.pointer + slice.lowerBound)
                }
                precondition(pointers.count == givers, "a giver without a part")
                take(slice, pointers)
            }
        }

        func spread(_ total: Tensor) throws {
            try team.share(rank, total) { totals in
                for (other, values) in totals.enumerated() where other != rank {
                    guard let values else { continue }
                    let slice = slice(of: total.count, rank: other)
                    (total.pointer + slice.lowerBound).update(
                        from: values.pointer + slice.lowerBound, count: slice.count)
                }
            }
        }

        func queue(_ numbers: [Int]) throws -> any NumberQueue {
            if isFirst { team.condition.withLock { team.numbers = DealtNumbers(numbers) } }
            try team.meet()
            defer { try? team.meet() }  // nobody takes before all have it
            return Turns(team)
        }

        func startSum(_ total: Tensor, _ range: Range<Int>) throws -> any SumUnderWay {
            let sum = try team.share(rank, total) { totals in
                range.map { place in totals.reversed().reduce(Float(0)) { $0 + ($1?.pointer[place] ?? 0) } }
            }
            for (place, value) in zip(range, sum) { total.pointer[place] = value }
            return Done()
        }

        private struct Done: SumUnderWay {
            func progress() {}
            func finish() {}
        }
    }

    /// What all members have taken.
    fileprivate let taken = Atomic(0)

    /// A queue as one of them has it.
    private final class Turns: NumberQueue {
        private let left: DealtNumbers
        private let own = Atomic(0), before: Int
        private let team: ThreadTeam

        init(_ team: ThreadTeam) {
            (self.team, left, before) = (team, team.numbers, team.taken.load(ordering: .relaxed))
        }

        var takenElsewhere: Int { team.taken.load(ordering: .relaxed) - before - own.load(ordering: .relaxed) }
        func close() { left.close() }

        func next() -> Int? {
            guard let number = left.next() else { return nil }
            team.taken.add(1, ordering: .relaxed)
            own.add(1, ordering: .relaxed)
            return number
        }
    }
}
