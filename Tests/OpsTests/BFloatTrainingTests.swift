import Testing

@testable import BEiTOps
@testable import BEiTTensorCore

/// Steps of training whose products are of bfloat16, against those of float32: results and gradients of everything.
@Suite struct BFloatTrainingTests {
    typealias Case = TransformerOpsTests.Case

    static let cases = [
        Case(name: "linear of floats", shapes: [[3, 67, 45], [801, 45], [801]]) {
            $0.linear($1[0], weight: $1[1], bias: $1[2])
        },
        Case(name: "one weight twice, without bias", shapes: [[2, 5, 13], [13, 13]]) {
            $0.linear($0.linear($1[0], weight: $1[1]), weight: $1[1])
        },
        Case(
            name: "MLP into the residual",
            shapes: [[3, 43, 20], [20], [20], [77, 20], [77], [20, 77], [20], [3, 43, 20], [20]]
        ) { tape, inputs in
            let type = tape.inputType(of: inputs[3])
            let normed = tape.layerNorm(inputs[0], weight: inputs[1], bias: inputs[2], eps: 1e-6, as: type)
            let hidden = tape.linear(
                normed, weight: inputs[3], bias: inputs[4], epilogue: LinearEpilogue(gelu: true, outputType: type))
            return tape.linear(
                hidden, weight: inputs[5], bias: inputs[6],
                epilogue: LinearEpilogue(residual: inputs[7], gamma: inputs[8], keep: Tensor([2, 0, 1.25], [3])))
        },
        Case(name: "linear into the residual, no layer scale", shapes: [[3, 2, 5], [7, 5], [7], [3, 2, 7]]) {
            $0.linear($1[0], weight: $1[1], bias: $1[2], epilogue: LinearEpilogue(residual: $1[3]))
        },
        Case(name: "attention with relative positions", shapes: [[2, 298, 9], [36, 9], [36], [5, 12], [1116, 2]]) {
            attention($0, $1, .relative($1[4], gridHeight: 11, gridWidth: 27))
        },
        Case(name: "attention without bias", shapes: [[3, 7, 9], [36, 9], [36], [5, 12]]) {
            attention($0, $1, .none)
        },
        Case(name: "convolution", shapes: [[2, 9, 7, 5], [13, 5, 3, 3], [13]]) {
            $0.conv2d($1[0], weight: $1[1], bias: $1[2], stride: 2, padding: 1)
        },
        Case(name: "convolution into the residual", shapes: [[2, 6, 7, 13], [13, 13, 1, 1], [13]]) {
            $0.conv2d($1[0], weight: $1[1], bias: $1[2], residual: $1[0], gain: 0.5)
        },
        Case(
            name: "convolutions with ReLU and residual",
            shapes: [[2, 6, 7, 24], [6, 24, 3, 3], [6], [10, 6, 3, 3], [10], [24, 10, 1, 1], [24]]
        ) { tape, inputs in
            let type = tape.inputType(of: inputs[1])
            let x = tape.scale(inputs[0], 1)  // whose gradient has two shares
            let first = tape.conv2d(
                x, weight: inputs[1], bias: inputs[2], padding: 1, rectifies: true, activation: .relu, as: type)
            let second = tape.conv2d(first, weight: inputs[3], bias: inputs[4], padding: 1, activation: .relu, as: type)
            return tape.conv2d(second, weight: inputs[5], bias: inputs[6], residual: x, gain: 0.5)
        },
        Case(name: "convolutions with ReLU to floats", shapes: [[2, 6, 7, 5], [6, 5, 3, 3], [6], [4, 6, 1, 1]]) {
            let first = $0.conv2d($1[0], weight: $1[1], bias: $1[2], padding: 1, activation: .relu)
            return $0.conv2d(first, weight: $1[3], activation: .relu)
        },
        Case(
            name: "readers of what a ReLU has left",
            shapes: [[2, 6, 7, 5], [6, 5, 3, 3], [6], [4, 6, 1, 1], [4, 6, 3, 3], [4, 6]]
        ) { tape, inputs in
            let first = tape.conv2d(
                inputs[0], weight: inputs[1], bias: inputs[2], padding: 1, activation: .relu, as: .bfloat16)
            let both = tape.add(
                tape.conv2d(first, weight: inputs[3]), tape.conv2d(first, weight: inputs[4], padding: 1))
            return tape.add(both, tape.linear(first, weight: inputs[5]))
        },
        Case(name: "a linear layer behind a ReLU", shapes: [[2, 6, 7, 5], [6, 5, 3, 3], [6], [4, 6]]) {
            let first = $0.conv2d(
                $1[0], weight: $1[1], bias: $1[2], padding: 1, activation: .relu, as: $0.inputType(of: $1[3]))
            return $0.linear(first, weight: $1[3])
        },
        Case(name: "a ReLU before steps of two pixels", shapes: [[2, 6, 7, 5], [6, 5, 3, 3], [6], [4, 6, 3, 3]]) {
            let first = $0.conv2d(
                $1[0], weight: $1[1], bias: $1[2], padding: 1, activation: .relu, as: .bfloat16)
            return $0.conv2d(first, weight: $1[3], stride: 2, padding: 1)
        },
        Case(name: "transposed convolutions", shapes: [[2, 5, 6, 20], [20, 16, 4, 4], [16], [16], [16, 3, 4, 4]]) {
            let norm = $0.groupNorm(
                $0.convTranspose2d($1[0], weight: $1[1], stride: 2, padding: 1), groups: 4, weight: $1[2],
                bias: $1[3], eps: 1e-5, gelu: true, as: $0.inputType(of: $1[4]))
            return $0.convTranspose2d(norm, weight: $1[4], stride: 2, padding: 1)
        },
        Case(name: "checkpointed segment", shapes: [[2, 3, 5], [5, 5], [5]]) { tape, inputs in
            tape.checkpoint(inputs[0]) { $1.linear($0, weight: inputs[1], bias: inputs[2]) }
        },
    ]

    /// Projections to q, k and v and back.
    private static func attention(_ tape: Tape, _ inputs: [Parameter], _ bias: AttentionBias) -> Variable {
        let qkv = tape.linear(
            inputs[0], weight: inputs[1], bias: inputs[2],
            epilogue: LinearEpilogue(outputType: tape.attentionType(of: inputs[1])))
        return tape.linear(tape.attention(qkv, heads: 2, bias: bias), weight: inputs[3])
    }

    /// The result and all gradients.
    private func run(_ c: Case, _ precision: Precision) throws -> [Tensor] {
        let inputs = c.shapes.enumerated().map { index, shape in
            let x = randomTensor(shape, seed: UInt64(index + 1))
            // Weights as they are: products of the size of their inputs.
            let isMatrix = index > 0 && shape.count > 1 && shape.count != 3
            let inputs = Float(shape.dropFirst().reduce(1, *))
            return Parameter(isMatrix ? Elementwise.scaled(x, 1 / inputs.squareRoot()) : x)
        }
        let tape = Tape(.training, precision: precision)
        let y = c.operation(tape, inputs)
        let value = y.value.copy()
        tape.backward(from: y, gradient: randomTensor(y.shape, seed: 99))
        return [value] + (try inputs.map { try #require($0.gradient) })
    }

    /// |x − y| over |y|, as norms.
    private func distance(_ x: Tensor, _ y: Tensor) -> Double {
        guard x.shape == y.shape else { return .infinity }
        let differences = zip(x.values, y.values).map { Double($0) - Double($1) }
        let distance = (differences.reduce(0) { $0 + $1 * $1 } / y.values.reduce(0) { $0 + Double($1) * Double($1) })
        return distance.isNaN ? .infinity : distance.squareRoot()
    }

    @Test(arguments: cases) func resultsAndGradientsAreThoseOfFloat32(_ c: Case) throws {
        let (found, wanted) = (try run(c, .bf16), try run(c, .fp32))
        for (index, (x, y)) in zip(found, wanted).enumerated() {
            let distance = distance(x, y)
            #expect(distance < 0.01, "\(index == 0 ? "result" : "gradient \(index - 1)"): \(distance)")
        }
        #expect(found[0].values != wanted[0].values, "products are of float32")
    }

    @Test(arguments: cases) func threadsDoNotChangeABit(_ c: Case) throws {
        let runs = try [1, 2, 5].map { threads in
            try WorkerPool.$scoped.withValue(WorkerPool(threads: threads)) {
                try run(c, .bf16).map { $0.values.map(\.bitPattern) }
            }
        }
        #expect(runs[0] == runs[1] && runs[0] == runs[2])
    }
}
