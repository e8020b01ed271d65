import BEiTOps
import BEiTTensorCore

/// The gradients of all parameters, one after another in one buffer: one thing to add up, to send and to forget.
///
/// Each pass makes its gradient by itself, and the passes of an update are added in their order. A sum therefore does not
/// depend on which process took which pass (a matrix product that adds to what is there already rounds otherwise).
final class GradientBuffer {
    private let parameters: [Parameter]
    private let ranges: [Range<Int>]
    private let count: Int
    private let communicator: any Communicator
    /// The sum so far.
    private var total: Tensor?
    /// Of one pass, where there are several.
    private var part: Tensor?
    /// Which parameters have a gradient in the sum.
    private var isPresent: [Bool]

    init(_ parameters: [Parameter], _ communicator: any Communicator = SingleProcess()) {
        (self.parameters, self.communicator) = (parameters, communicator)
        var (ranges, end) = ([Range<Int>](), 0)
        for parameter in parameters {
            let count = parameter.fullShape.elementCount
            ranges.append(end..<end + count)
            end += (count + 15) / 16 * 16  // a cache line
        }
        (self.ranges, count) = (ranges, end)
        isPresent = [Bool](repeating: false, count: parameters.count)
    }

    /// Bytes of the buffers that updates of so many passes need.
    func byteCount(passes: Int) -> Int { count * MemoryLayout<Float>.stride * (isDirect(passes - 1) ? 1 : 2) }

    /// Whether pass number `index` of an update is written where the sum is.
    private func isDirect(_ index: Int) -> Bool { index == 0 && communicator.size == 1 }

    /// Forgets the gradients, before an update.
    func begin() {
        for index in parameters.indices {
            parameters[index].slot?.hold(nil)
            isPresent[index] = false
        }
    }

    /// Calls `body`, which plays a tape back, and adds the gradients that it makes to the sum.
    func pass(_ index: Int, _ body: () -> Void) {
        let target: Tensor
        if isDirect(index) {
            target = total ?? zeros()
            total = target
        } else {
            target = part ?? zeros()
            part = target
            if total == nil { total = zeros() }
            if index == 0, let total { total.pointer.update(repeating: 0, count: count) }
        }
        place(in: target)
        body()
        if isDirect(index) { note() } else { add(target) }
    }

    /// Hands each parameter its part of the sum, for the optimizer.
    func end() {
        guard let total else { return }
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
    private func zeros() -> Tensor { .zeros([count]) }

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
        communicator.add(part, to: total)
    }
}
