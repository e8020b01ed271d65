import Testing

@testable import BEiTOps
@testable import BEiTTensorCore

/// Linear layers, layer norm, attention and token operations.
@Suite struct TransformerOpsTests {
    // MARK: Against PyTorch

    @Test(arguments: MatrixEngine.available) func linearMatchesTheOracle(_ engine: MatrixEngine) throws {
        try MatrixEngine.$current.withValue(engine) {
            for name in ["linear", "linear_nobias"] {
                let oracle = try OracleCase(name)
                let x = Parameter(try oracle.tensor("x")), w = Parameter(try oracle.tensor("w"))
                let b = name == "linear" ? Parameter(try oracle.tensor("b")) : nil
                let tape = Tape(.training)
                let y = tape.linear(x, weight: w, bias: b)
                #expect(oracle.agrees(y.value, try oracle.tensor("y")))
                tape.backward(from: y, gradient: try oracle.tensor("dy"))
                #expect(oracle.agrees(x.gradient, try oracle.tensor("d_x")))
                #expect(oracle.agrees(w.gradient, try oracle.tensor("d_w")))
                if let b { #expect(oracle.agrees(b.gradient, try oracle.tensor("d_b"))) }
            }
        }
    }

    @Test(arguments: [("layernorm_eps1e-6", Float(1e-6)), ("layernorm_eps1e-12", 1e-12)])
    func layerNormMatchesTheOracle(_ name: String, _ eps: Float) throws {
        let oracle = try OracleCase(name)
        let inputs = try ["x", "w", "b"].map { Parameter(try oracle.tensor($0)) }
        let tape = Tape(.training)
        let y = tape.layerNorm(inputs[0], weight: inputs[1], bias: inputs[2], eps: eps)
        #expect(oracle.agrees(y.value, try oracle.tensor("y")))
        tape.backward(from: y, gradient: try oracle.tensor("dy"))
        for (input, gradient) in zip(inputs, ["d_x", "d_w", "d_b"]) {
            #expect(oracle.agrees(input.gradient, try oracle.tensor(gradient)))
        }
    }

    @Test(arguments: MatrixEngine.available) func attentionMatchesTheOracle(_ engine: MatrixEngine) throws {
        try MatrixEngine.$current.withValue(engine) {
            let oracle = try OracleCase("attention_bias")
            func joined(_ names: [String]) throws -> Tensor {  // [B, H, N, d] each → [B, N, 3·D]
                let parts = try names.map { try oracle.tensor($0).transposed([0, 2, 1, 3]) }
                let (b, n) = (parts[0].shape[0], parts[0].shape[1]), width = parts[0].shape[2] * parts[0].shape[3]
                let rows = (0..<b * n).flatMap { row in
                    parts.flatMap { Array($0.values[row * width..<(row + 1) * width]) }
                }
                return Tensor(rows, [b, n, 3 * width])
            }
            let qkv = Parameter(try joined(["q", "k", "v"])), bias = Parameter(try oracle.tensor("bias"))
            let heads = bias.shape[0]
            let tape = Tape(.training)
            let y = tape.attention(qkv, heads: heads, bias: .dense(bias))
            let shape = [y.shape[0], y.shape[1], y.shape[2]]
            func merged(_ name: String) throws -> Tensor {
                try oracle.tensor(name).transposed([0, 2, 1, 3]).reshaped(shape)
            }
            #expect(oracle.agrees(y.value, try merged("y")))
            tape.backward(from: y, gradient: try merged("dy"))
            #expect(oracle.agrees(qkv.gradient, try joined(["d_q", "d_k", "d_v"])))
            #expect(oracle.agrees(bias.gradient, try oracle.tensor("d_bias")))
        }
    }

    // MARK: Finite differences and threads

    struct Case: CustomTestStringConvertible, Sendable {
        var name: String
        var shapes: [[Int]]
        var operation: @Sendable (Tape, [Parameter]) -> Variable
        var testDescription: String { name }
    }

    static let cases = [
        Case(name: "linear with GELU", shapes: [[2, 3, 5], [7, 5], [7]]) {
            $0.linear($1[0], weight: $1[1], bias: $1[2], epilogue: LinearEpilogue(gelu: true))
        },
        Case(name: "linear into the residual", shapes: [[3, 2, 5], [7, 5], [7], [3, 2, 7], [7]]) {
            $0.linear(
                $1[0], weight: $1[1], bias: $1[2],
                epilogue: LinearEpilogue(residual: $1[3], gamma: $1[4], keep: Tensor([2, 0, 1.25], [3])))
        },
        Case(name: "linear into the residual, no layer scale", shapes: [[3, 2, 5], [7, 5], [7], [3, 2, 7]]) {
            $0.linear($1[0], weight: $1[1], bias: $1[2], epilogue: LinearEpilogue(residual: $1[3]))
        },
        Case(name: "linear into its own input", shapes: [[3, 2, 5], [5, 5], [5]]) {
            $0.linear($1[0], weight: $1[1], bias: $1[2], epilogue: LinearEpilogue(residual: $1[0]))
        },
        Case(name: "layer norm", shapes: [[2, 3, 7], [7], [7]]) {
            $0.layerNorm($1[0], weight: $1[1], bias: $1[2], eps: 1e-6)
        },
        Case(name: "attention without bias", shapes: [[2, 5, 18]]) {
            $0.attention($1[0], heads: 2, bias: .none)
        },
        Case(name: "attention with relative positions", shapes: [[2, 7, 18], [18, 2]]) {
            $0.attention($1[0], heads: 2, bias: .relative($1[1], gridHeight: 2, gridWidth: 3))
        },
        Case(name: "bias of q, k and v", shapes: [[5], [5]]) { $0.qkvBias(q: $1[0], v: $1[1]) },
        Case(name: "tokens with mask and positions", shapes: [[2, 3, 5], [1, 1, 5], [1, 1, 5], [1, 4, 5]]) {
            $0.tokens(
                $1[0], cls: $1[1], maskToken: $1[2], mask: [true, false, false, false, true, true], positions: $1[3])
        },
        Case(name: "patch tokens", shapes: [[2, 4, 5]]) { $0.patchTokens($1[0]) },
        Case(name: "cls token", shapes: [[2, 4, 5]]) { $0.clsToken($1[0]) },
        Case(name: "mean over tokens", shapes: [[2, 3, 5]]) { $0.meanOverTokens($1[0]) },
        Case(name: "selected rows", shapes: [[2, 3, 5]]) { $0.selectRows($1[0], [4, 0, 3]) },
        Case(name: "checkpointed segment", shapes: [[2, 3, 5], [5, 5], [5]]) { tape, inputs in
            tape.checkpoint(inputs[0]) { $1.linear($0, weight: inputs[1], bias: inputs[2]) }
        },
    ]

    private func inputs(_ c: Case) -> [Tensor] {
        c.shapes.enumerated().map { randomTensor($0.element, seed: UInt64($0.offset + 1)) }
    }

    @Test(arguments: cases) func gradientsMatchFiniteDifferences(_ c: Case) throws {
        #expect(try gradientError(inputs(c), c.operation) < 3e-3)
    }

    @Test(arguments: cases) func threadsDoNotChangeABit(_ c: Case) throws {
        #expect(try isSameForAnyThreads(inputs(c), c.operation))
    }

    // MARK: Large enough for several tiles

    @Test(arguments: MatrixEngine.available) func packedWeightsGiveTheSameProduct(_ engine: MatrixEngine) {
        MatrixEngine.$current.withValue(engine) {
            let x = Variable(randomTensor([3, 67, 45], seed: 1)), weight = Parameter(randomTensor([801, 45], seed: 2))
            let bias = Parameter(randomTensor([801], seed: 3))
            let plain = Tape(.inference).linear(x, weight: weight, bias: bias).value
            weight.freezePacked(.fp32)
            #expect(weight.isPacked)
            #expect(difference(Tape(.inference).linear(x, weight: weight, bias: bias).value, plain) < 1e-4)
        }
    }

    @Test(arguments: MatrixEngine.available) func tiledAttentionMatchesThePlainOne(_ engine: MatrixEngine) throws {
        try MatrixEngine.$current.withValue(engine) {
            let (height, width, heads, d) = (11, 27, 2, 3)
            let tokens = height * width + 1
            let qkv = Parameter(randomTensor([1, tokens, 3 * heads * d], seed: 4))
            let rows = (2 * height - 1) * (2 * width - 1) + 3
            let table = Parameter(randomTensor([rows, heads], seed: 5))
            let dense = Parameter(denseBias(table.value, height, width))
            func run(_ bias: AttentionBias) throws -> [Tensor] {
                let tape = Tape(.training)
                let y = tape.attention(qkv, heads: heads, bias: bias)
                let value = y.value.copy()
                tape.backward(from: y, gradient: randomTensor(y.shape, seed: 6))
                defer { qkv.slot?.clear() }
                return [value, try #require(qkv.gradient).copy()]
            }
            let relative = try run(.relative(table, gridHeight: height, gridWidth: width)),
                plain = try run(.dense(dense))
            #expect(difference(relative[0], plain[0]) < 1e-5)
            #expect(difference(relative[1], plain[1]) < 1e-5)
            #expect(difference(relative[0], plainAttention(qkv.value, dense.value, heads, d)) < 1e-4)
        }
    }

    /// The table gathered as the authors' index says: cls→patch, patch→cls and cls→cls are its last three rows.
    private func denseBias(_ table: Tensor, _ height: Int, _ width: Int) -> Tensor {
        let (rows, heads) = (table.shape[0], table.shape[1]), tokens = height * width + 1
        let result = Tensor.zeros([heads, tokens, tokens])
        for query in 0..<tokens {
            for key in 0..<tokens {
                let (q, k) = (query - 1, key - 1)
                let row =
                    query == 0 && key == 0
                    ? rows - 1
                    : query == 0
                        ? rows - 3
                        : key == 0
                            ? rows - 2
                            : (q / width - k / width + height - 1) * (2 * width - 1) + q % width - k % width + width - 1
                for head in 0..<heads {
                    result.pointer[(head * tokens + query) * tokens + key] = table.pointer[row * heads + head]
                }
            }
        }
        return result
    }

    private func plainAttention(_ qkv: Tensor, _ bias: Tensor, _ heads: Int, _ d: Int) -> Tensor {
        let (tokens, width) = (qkv.shape[1], heads * d)
        let result = Tensor.zeros([1, tokens, width])
        for head in 0..<heads {
            for query in 0..<tokens {
                func at(_ row: Int, _ part: Int, _ c: Int) -> Double {
                    Double(qkv.pointer[row * 3 * width + part * width + head * d + c])
                }
                let weights = (0..<tokens).map { key in
                    let score = (0..<d).reduce(0) { $0 + at(query, 0, $1) * at(key, 1, $1) } / Double(d).squareRoot()
                    return exponential(score + Double(bias.pointer[(head * tokens + query) * tokens + key]))
                }
                let sum = weights.reduce(0, +)
                for c in 0..<d {
                    let value = (0..<tokens).reduce(0) { $0 + weights[$1] * at($1, 2, c) } / sum
                    result.pointer[query * width + head * d + c] = Float(value)
                }
            }
        }
        return result
    }

    @Test func patchesStandInTheKernelsOrder() {
        let pixels = Variable(Tensor((0..<2 * 3 * 4 * 6).map(Float.init), [2, 3, 4, 6]))
        let patches = Tape(.inference).patches(pixels, size: 2).value
        #expect(patches.shape == [2, 6, 12])
        for image in 0..<2 {
            for (row, column) in [(0, 0), (1, 2), (0, 1)] {
                for (channel, y, x) in [(0, 0, 0), (2, 1, 0), (1, 0, 1)] {
                    let want = ((image * 3 + channel) * 4 + 2 * row + y) * 6 + 2 * column + x
                    let found = patches.pointer[(image * 6 + row * 3 + column) * 12 + channel * 4 + y * 2 + x]
                    #expect(found == Float(want))
                }
            }
        }
    }
}
