import BEiTFiles
import BEiTTensorCore
import Synchronization

/// The processes that share a run, called ranks: each has the whole model and takes its part of the work. What they must
/// agree on goes through here, and every rank makes the same calls in the same order.
///
/// A call that waits for others throws `Interruption.Stop` where a signal is noted and they do not come.
package protocol Communicator: AnyObject, Sendable {
    /// This process among `size`, from 0.
    var rank: Int { get }
    var size: Int { get }
    /// The ranks on this machine, this one among them: they share its memory.
    var neighbours: Int { get }

    /// What each rank gives, in their order, on all of them.
    func gather(_ bytes: [UInt8]) throws -> [[UInt8]]
    /// Hands `take` this rank's slice (``slice(of:)``) of the parts that the first `givers` ranks have, range by range, a
    /// pointer to the range's values for each giver.
    /// - Parameter part: this rank's, nil where it is no giver; `count` values.
    func collect(
        _ part: Tensor?, count: Int, givers: Int, _ take: (Range<Int>, [UnsafePointer<Float>]) -> Void) throws
    /// Each rank has its slice of `total`; then all have all of it.
    func spread(_ total: Tensor) throws
    /// Starts to add up what all ranks have in `range` of `total`, in place and in an order of the library's own. It goes on
    /// while other work is done, if ``SumUnderWay/progress()`` is called now and then.
    func startSum(_ total: Tensor, _ range: Range<Int>) throws -> any SumUnderWay
    /// A queue of the numbers that the first rank gives, from which all take.
    func queue(_ numbers: [Int]) throws -> any NumberQueue
}

/// Numbers that several ranks take one after another, each once, as they get round to it; from any thread.
package protocol NumberQueue: Sendable {
    /// The next number; nil where none is left.
    func next() throws -> Int?
    /// Leaves nothing to anybody: what has gone wrong here ends the run.
    func close() throws
    /// How many the other ranks have taken; the first one alone knows.
    var takenElsewhere: Int { get }
}

/// A sum over the ranks that is not there yet.
package protocol SumUnderWay {
    func progress() throws
    /// Waits for it.
    func finish() throws
}

/// A run of one process.
package final class SingleProcess: Communicator {
    package var rank: Int { 0 }
    package var size: Int { 1 }
    package var neighbours: Int { 1 }

    package init() {}

    package func gather(_ bytes: [UInt8]) -> [[UInt8]] { [bytes] }
    package func collect(
        _ part: Tensor?, count: Int, givers: Int, _ take: (Range<Int>, [UnsafePointer<Float>]) -> Void
    ) { if let part { take(0..<count, [UnsafePointer(part.pointer)]) } }
    package func spread(_ total: Tensor) {}
    package func startSum(_ total: Tensor, _ range: Range<Int>) -> any SumUnderWay { Done() }
    package func queue(_ numbers: [Int]) -> any NumberQueue { DealtNumbers(numbers) }

    private struct Done: SumUnderWay {
        func progress() {}
        func finish() {}
    }
}

/// Numbers that nobody else takes.
package final class DealtNumbers: NumberQueue {
    private let left: Mutex<ArraySlice<Int>>

    package init(_ numbers: [Int]) { left = Mutex(numbers[...]) }

    package func next() -> Int? { left.withLock { $0.popFirst() } }
    package func close() { left.withLock { $0 = [] } }
    package var takenElsewhere: Int { 0 }
}

extension Communicator {
    /// Whether this process writes the run's files and speaks for it.
    package var isFirst: Bool { rank == 0 }

    /// The part of `count` values that a rank adds up: cache lines, as many for each.
    package func slice(of count: Int, rank: Int? = nil) -> Range<Int> {
        let lines = (count + 15) / 16, each = (lines + size - 1) / size * 16
        let start = min(count, (rank ?? self.rank) * each)
        return start..<min(count, start + each)
    }

    /// What `body` gives on each rank, in their order.
    ///
    /// Where it fails on some, all throw: the first of them what it was, the others a ``RankError`` with that, or
    /// `Interruption.Stop` where it was a signal.
    package func exchange(_ body: () throws -> [UInt8]) throws -> [[UInt8]] {
        guard size > 1 else { return [try body()] }
        let mine = Result(catching: body)
        let answers = try gather(Answer(mine).bytes).map(Answer.init)
        guard let first = answers.firstIndex(where: \.isFailure) else { return answers.map(\.value) }
        if first == rank { _ = try mine.get() }
        throw answers[first].error(of: first)
    }

    /// Calls `body` on all ranks, and throws on all where it fails on one; see ``exchange(_:)``.
    package func agree<Value>(_ body: () throws -> Value) throws -> Value {
        guard size > 1 else { return try body() }
        let mine = Result(catching: body)
        _ = try exchange {
            _ = try mine.get()
            return []
        }
        return try mine.get()
    }

    /// Calls `body` on the first rank alone, and has all know whether it went well.
    package func first(_ body: () throws -> Void) throws { try agree { if isFirst { try body() } } }

    /// As ``exchange(_:)``, for values.
    package func exchangeValues<Value: Codable>(_ body: () throws -> Value) throws -> [Value] {
        guard size > 1 else { return [try body()] }
        // In a list: a text of JSON may not be a value alone.
        return try exchange { Array(try JSONText.line([try body()]).utf8) }.flatMap {
            try JSONText.decode([Value].self, from: $0, of: "what another process has sent")
        }
    }

    /// What `body` gives on the first rank, on all of them; see ``exchange(_:)``.
    package func fromFirst<Value: Codable>(_ body: () throws -> Value) throws -> Value {
        try exchangeValues { isFirst ? [try body()] : [] }[0][0]
    }

    /// A rank that has something else than the first one; nil where all have the same.
    package func firstDifference(_ value: String) throws -> Int? {
        let all = try gather(Array(value.utf8))
        return all.firstIndex { $0 != all[0] }
    }

    /// What `body` makes of each of `count` numbers, in their order, on all ranks; they take turns.
    package func deal<Value: Codable>(_ count: Int, _ body: ([Int]) throws -> [Value]) throws -> [Value] {
        let own = Array(stride(from: rank, to: count, by: size))
        let parts = try exchangeValues { try body(own) }
        return (0..<count).map { parts[$0 % size][$0 / size] }
    }
}

/// What a rank comes to an agreement with.
private struct Answer {
    private enum Kind: UInt8 { case value, failure, signal }
    private let kind: Kind
    /// The value, or the reason.
    let value: [UInt8]
    private let status: Int32

    var isFailure: Bool { kind != .value }

    init(_ result: Result<[UInt8], any Error>) {
        switch result {
        case .success(let bytes): (kind, value, status) = (.value, bytes, 0)
        case .failure(let stop as Interruption.Stop):
            (kind, value, status) = (.signal, Array((stop.progress ?? "").utf8), stop.signal)
        case .failure(let error):
            (kind, value) = (.failure, Array("\(error)".utf8))
            status = (error as? any ExitStatus)?.exitStatus ?? 74
        }
    }

    init(_ bytes: [UInt8]) {
        kind = bytes.first.flatMap(Kind.init) ?? .failure
        status = bytes.dropFirst().prefix(4).reversed().reduce(Int32(0)) { $0 << 8 | Int32($1) }
        value = Array(bytes.dropFirst(5))
    }

    var bytes: [UInt8] { [kind.rawValue] + (0..<4).map { UInt8(truncatingIfNeeded: status >> (8 * $0)) } + value }

    func error(of rank: Int) -> any Error {
        let text = String(decoding: value, as: UTF8.self)
        guard kind == .signal else { return RankError(rank: rank, reason: text, exitStatus: status) }
        return Interruption.Stop(signal: status, progress: text.isEmpty ? nil : text)
    }
}

/// What has failed on another rank.
package struct RankError: ExitStatus, Equatable {
    package let rank: Int
    package let reason: String
    package let exitStatus: Int32

    package init(rank: Int, reason: String, exitStatus: Int32) {
        (self.rank, self.reason, self.exitStatus) = (rank, reason, exitStatus)
    }

    package var description: String { "process \(rank): \(reason)" }
}
