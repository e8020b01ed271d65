import BEiTOps
import BEiTProcesses
import BEiTTensorCore

/// How the gradients of several processes are added up.
package enum Reduction: String, CaseIterable, Sendable {
    /// In the order of the passes, so that a run has the same bits with any number of processes.
    case exact
    /// In an order of the library's own, while the way back still goes on.
    case fast
}

/// The gradients of all parameters, one after another in one buffer: one thing to add up, to send and to forget.
///
/// Each pass makes its gradient by itself, and the passes of an update are added in their order. A sum therefore does not
/// depend on which process took which pass (a matrix product that adds to what is there already rounds otherwise).
final class GradientBuffer {
    private let parameters: [Parameter]
    private let ranges: [Range<Int>]
    private let count: Int
    private let team: any Communicator
    private let reduction: Reduction
    /// The sum so far; with several processes that of an ``Reduction/exact`` update is each one's slice of it.
    private var total: Tensor?
    /// Of one pass, where there are several.
    private var part: Tensor?
    /// Which parameters have a gradient in the sum.
    private var isPresent: [Bool]
    /// Of a ``Reduction/fast`` update, from its last turn on.
    private var sums: BucketSums?
    private let numbers: [ObjectIdentifier: Int]

    init(_ parameters: [Parameter], _ team: any Communicator = SingleProcess(), _ reduction: Reduction = .exact) {
        (self.parameters, self.team, self.reduction) = (parameters, team, reduction)
        var (ranges, end) = ([Range<Int>](), 0)
        for parameter in parameters {
            let count = parameter.fullShape.elementCount
            ranges.append(end..<end + count)
            end += (count + 15) / 16 * 16  // a cache line
        }
        (self.ranges, count) = (ranges, end)
        numbers = Dictionary(
            parameters.enumerated().compactMap { number, parameter in
                parameter.slot.map { (ObjectIdentifier($0), number) }
            }, uniquingKeysWith: { first, _ in first })
        isPresent = [Bool](repeating: false, count: parameters.count)
    }

    /// Bytes of the buffers that updates of so many passes need, `turns` of them on this process.
    func byteCount(turns: Int) -> Int { count * MemoryLayout<Float>.stride * (isDirect(turns - 1) ? 1 : 2) }

    /// Whether what a process does in turn number `index` of an update is written where the sum is.
    private func isDirect(_ index: Int) -> Bool { index == 0 && !isSliced }

    /// Whether each process adds up its slice.
    private var isSliced: Bool { team.size > 1 && reduction == .exact }

    /// Forgets the gradients, before an update.
    func begin() {
        for index in parameters.indices {
            parameters[index].slot?.hold(nil)
            isPresent[index] = false
        }
    }

    /// Calls `body`, which plays a tape back, and adds the gradients that it makes to the sum, together with those of the
    /// other processes in this turn.
    ///
    /// - Parameters:
    ///   - turn: of the update, from 0.
    ///   - isLast: whether it is the update's last turn.
    ///   - givers: processes that have a pass in this turn.
    ///   - body: nil where this one has none. It tells which gradients are complete while it still makes others, if it is
    ///     given something to tell it to.
    func pass(
        _ turn: Int, isLast: Bool, givers: Int = 1, _ body: ((_ finished: ((GradientSlot) -> Void)?) -> Void)?
    ) throws {
        let target = isDirect(turn) ? reserve(&total) : reserve(&part)
        if body != nil { place(in: target) }
        if isSliced {
            body?(nil)
            if body != nil { note(clearing: target) }
            return try addSlices(turn, givers, body == nil ? nil : target)
        }
        let sums = isLast && team.size > 1 ? BucketSums(ranges, reserve(&total), team) : nil
        self.sums = sums
        body?(
            sums.map { sums in
                { [self] slot in
                    guard let number = numbers[ObjectIdentifier(slot)] else { return }
                    if turn > 0 { add(target, number) }
                    isPresent[number] = true
                    sums.take(number)
                }
            })
        for number in parameters.indices where sums?.has(number) != true {
            let found = body != nil && parameters[number].gradient != nil
            if found, turn > 0 { add(target, number) }
            if found { isPresent[number] = true }
            if !isPresent[number], let total, team.size > 1 {
                view(total, number).pointer.update(repeating: 0, count: ranges[number].count)
            }
        }
        try sums?.takeRest()
    }

    /// A pass that no update is made of: by it the memory of a run is found.
    func rehearse(_ body: () -> Void) {
        place(in: reserve(&total))
        body()
    }

    /// Hands each parameter its part of the sum, for the optimizer.
    func end() throws {
        guard let total else { return }
        if team.size > 1 {
            let present = try team.gather(isPresent.map { $0 ? 1 : 0 })
            for index in isPresent.indices { isPresent[index] = present.contains { $0[index] == 1 } }
            if isSliced { try team.spread(total) }
            try sums?.finish()
            sums = nil
        }
        for (index, parameter) in parameters.enumerated() {
            parameter.slot?.hold(isPresent[index] ? view(total, index) : nil)
        }
    }

    /// Hands the memory back.
    func release() {
        begin()
        for parameter in parameters { parameter.slot?.place = nil }
        (total, part) = (nil, nil)
    }

    /// The gaps between parameters stay zero.
    private func reserve(_ buffer: inout Tensor?) -> Tensor {
        let found = buffer ?? .zeros([count])
        buffer = found
        return found
    }

    private func view(_ buffer: Tensor, _ index: Int) -> Tensor {
        buffer.rows(ranges[index]).reshaped(parameters[index].fullShape)
    }

    private func place(in buffer: Tensor) {
        for (index, parameter) in parameters.enumerated() {
            parameter.slot?.hold(nil)
            parameter.slot?.place = view(buffer, index)
        }
    }

    /// A parameter that a pass did not touch has no part in it: what an earlier one left there goes.
    private func note(clearing part: Tensor) {
        for (index, parameter) in parameters.enumerated() {
            if parameter.gradient != nil {
                isPresent[index] = true
            } else {
                view(part, index).pointer.update(repeating: 0, count: ranges[index].count)
            }
        }
    }

    /// Adds a parameter's gradient of one pass to the sum.
    private func add(_ part: Tensor, _ index: Int) {
        guard let total else { return }
        let sum = view(total, index)
        // What no pass has touched before still holds another update's sum.
        if !isPresent[index] { sum.pointer.update(repeating: 0, count: sum.count) }
        Elementwise.add(view(part, index), into: sum)
    }

    /// Adds the parts of a turn to this process's slice, in the order of the ranks, which is that of the passes.
    private func addSlices(_ turn: Int, _ givers: Int, _ part: Tensor?) throws {
        let total = reserve(&total)
        try team.collect(part, count: count, givers: givers) { range, parts in
            // The first pass is kept as it is: 0 plus −0 would be 0.
            for (index, values) in parts.enumerated() {
                let (sum, isFirst) = (total.pointer + range.lowerBound, turn == 0 && index == 0)
                WorkerPool.current.run(range.count, grain: 1 << 15) { places in
                    if isFirst {
                        for i in places { sum[i] = values[i] }
                    } else {
                        for i in places { sum[i] += values[i] }
                    }
                }
            }
        }
    }
}

/// Sums over the processes that begin, bucket by bucket from the last parameter on, as soon as a bucket's gradients are
/// complete.
private final class BucketSums {
    /// Values of a bucket, at least: enough that starting it costs little.
    private static let least = 1 << 20

    private let ranges: [Range<Int>]
    private let total: Tensor
    private let team: any Communicator
    /// The parameters of each bucket, the last one first: the order in which all processes begin them.
    private let buckets: [Range<Int>]
    private var isTaken: [Bool]
    private var begun: [any SumUnderWay] = []
    private var failure: (any Error)?

    init(_ ranges: [Range<Int>], _ total: Tensor, _ team: any Communicator) {
        (self.ranges, self.total, self.team) = (ranges, total, team)
        isTaken = [Bool](repeating: false, count: ranges.count)
        var (buckets, end) = ([Range<Int>](), ranges.count)
        for index in ranges.indices.reversed() {
            let size = ranges[end - 1].upperBound - ranges[index].lowerBound
            guard size >= Self.least || index == 0 else { continue }
            buckets.append(index..<end)
            end = index
        }
        self.buckets = buckets
    }

    func has(_ number: Int) -> Bool { isTaken[number] }

    /// The gradient of parameter `number` is complete on this process.
    func take(_ number: Int) {
        isTaken[number] = true
        guard failure == nil else { return }
        do { try advance() } catch { failure = error }
    }

    /// All are complete.
    func takeRest() throws {
        if let failure { throw failure }
        isTaken = isTaken.map { _ in true }
        try advance()
    }

    private func advance() throws {
        for sum in begun { try sum.progress() }
        while begun.count < buckets.count, isTaken[buckets[begun.count]].allSatisfy(\.self) {
            let bucket = buckets[begun.count]
            let range = ranges[bucket.lowerBound].lowerBound..<ranges[bucket.upperBound - 1].upperBound
            begun.append(try team.startSum(total, range))
        }
    }

    func finish() throws { for sum in begun { try sum.finish() } }
}
