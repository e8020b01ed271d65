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

    init(_ parameters: [Parameter], _ team: any Communicator = SingleProcess(), _ reduction: Reduction = .exact) {
        (self.parameters, self.team, self.reduction) = (parameters, team, reduction)
        var (ranges, end) = ([Range<Int>](), 0)
        for parameter in parameters {
            let count = parameter.fullShape.elementCount
            ranges.append(end..<end + count)
            end += (count + 15) / 16 * 16  // a cache line
        }
        (self.ranges, count) = (ranges, end)
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
    ///   - givers: processes that have a pass in this turn.
    ///   - body: nil where this one has none.
    func pass(_ turn: Int, givers: Int = 1, _ body: (() -> Void)?) throws {
        if isDirect(turn) {
            let target = reserve(&total)
            place(in: target)
            body?()
            note(clearing: team.size > 1 ? target : nil)
        } else if let body {
            let target = reserve(&part)
            place(in: target)
            body()
            if isSliced { note(clearing: target) } else { add(target) }
        }
        if isSliced { try addSlices(turn, givers, body == nil ? nil : part) }
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
            if isSliced { try team.spread(total) } else { try team.startSum(total, 0..<count).finish() }
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
    private func note(clearing others: Tensor? = nil) {
        for (index, parameter) in parameters.enumerated() {
            let found = parameter.gradient != nil
            if !found, let others { view(others, index).pointer.update(repeating: 0, count: ranges[index].count) }
            if found && !isPresent[index] { isPresent[index] = true }
        }
    }

    private func add(_ part: Tensor) {
        guard let total else { return }
        // What only this pass has touched still holds another update's sum.
        for (index, parameter) in parameters.enumerated() where !isPresent[index] && parameter.gradient != nil {
            view(total, index).pointer.update(repeating: 0, count: ranges[index].count)
        }
        note(clearing: part)
        Elementwise.add(part, into: total)
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
