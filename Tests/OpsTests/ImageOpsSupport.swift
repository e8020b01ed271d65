import Testing

@testable import BEiTOps
@testable import BEiTTensorCore

/// Normal numbers, the same in every run.
func randomTensor(_ shape: [Int], seed: UInt64) -> Tensor {
    var generator = Philox(seed: seed)
    return Tensor((0..<shape.elementCount).map { _ in generator.normal() }, shape)
}

/// An operation of some inputs; the inputs are parameters, so that it may be one of weights too.
typealias Operation = (Tape, [Parameter]) -> Variable

extension Tape {
    /// max(x, 0) as an operation of its own, in plain loops.
    func plainRelu(_ x: Variable) -> Variable {
        let value = x.value.copy(), slot = x.slot
        return record(Tensor(value.values.map { max($0, 0) }, value.shape), from: [x]) { dy in
            slot?.add(Tensor(zip(value.values, dy.values).map { $0 > 0 ? $1 : 0 }, value.shape))
        }
    }
}

/// The result of an operation and the gradients of its inputs under a random upstream gradient.
func resultAndGradients(_ inputs: [Tensor], _ operation: Operation) throws -> [Tensor] {
    let parameters = inputs.map { Parameter($0) }
    let tape = Tape(.training)
    let y = operation(tape, parameters)
    let value = y.value.copy()
    tape.backward(from: y, gradient: randomTensor(y.shape, seed: 99))
    return [value] + (try parameters.map { try #require($0.gradient) })
}

/// The largest |gradient − central difference| / (1 + |central difference|) over every element of every input; infinite
/// where something is not a number.
func gradientError(_ inputs: [Tensor], epsilon: Float = 1e-2, _ operation: Operation) throws -> Double {
    let gradients = try resultAndGradients(inputs, operation).dropFirst()
    func loss() -> Double {
        let y = operation(Tape(.inference), inputs.map { Parameter($0) }).value
        return zip(y.values, randomTensor(y.shape, seed: 99).values).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }
    var worst = 0.0
    for (input, gradient) in zip(inputs, gradients) {
        try #require(gradient.shape == input.shape)
        for i in 0..<input.count {
            let original = input.pointer[i]
            input.pointer[i] = original + epsilon
            let (above, high) = (loss(), input.pointer[i])
            input.pointer[i] = original - epsilon
            let (below, low) = (loss(), input.pointer[i])
            input.pointer[i] = original
            let numeric = (above - below) / (Double(high) - Double(low))
            let error = abs(numeric - Double(gradient.pointer[i])) / (1 + abs(numeric))
            worst = error.isNaN ? .infinity : max(worst, error)
        }
    }
    return worst
}

/// Whether 1, 2 and 5 threads give the same bytes for the result and every gradient.
func isSameForAnyThreads(_ inputs: [Tensor], _ operation: Operation) throws -> Bool {
    let runs = try [1, 2, 5].map { threads in
        try WorkerPool.$scoped.withValue(WorkerPool(threads: threads)) {
            try resultAndGradients(inputs, operation).map { $0.values.map(\.bitPattern) }
        }
    }
    return runs[0] == runs[1] && runs[0] == runs[2]
}

/// The largest |x − y| / (1 + |y|); infinite for another shape or where something is not a number.
func difference(_ x: Tensor, _ y: Tensor) -> Float {
    guard x.shape == y.shape else { return .infinity }
    return zip(x.values, y.values).reduce(0) { worst, pair in
        let error = abs(pair.0 - pair.1) / (1 + abs(pair.1))
        return error.isNaN ? .infinity : max(worst, error)
    }
}
