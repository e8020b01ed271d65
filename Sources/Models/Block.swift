import BEiTLayers
import BEiTOps
import BEiTTensorCore

/// Multi-head self-attention with q and v biases, none for k, and an optional table of relative positions.
package final class Attention: Module {
    /// `qkv`: `[3·D, D]`, rows in the order q, k, v; `q_bias`, `v_bias`: `[D]`.
    let qkv, qBias, vBias: Parameter
    let proj: Linear
    /// `[(2·Gh−1)(2·Gw−1)+3, H]`
    let table: Parameter?
    private let heads: Int

    init(_ configuration: BackboneConfiguration, block: Int, _ initializer: Initializer) {
        let width = configuration.width
        heads = configuration.heads
        qkv = Parameter(initializer.truncatedNormal([3 * width, width]), outputAxis: 0)
        qBias = Parameter(initializer.zeros([width]), decays: false)
        vBias = Parameter(initializer.zeros([width]), decays: false)
        proj = Linear(width, width, scale: residualScale(block), initializer)
        table =
            configuration.position == .relative
            ? Parameter(initializer.zeros([configuration.tableRows, heads])) : nil
    }

    package var members: [Member] {
        [.parameter("q_bias", qBias), .parameter("v_bias", vBias)]
            + (table.map { [.parameter("relative_position_bias_table", $0)] } ?? [])
            + [.parameter("qkv/weight", qkv), .module("proj", proj)]
    }

    package func freeze(_ precision: Precision) {
        qkv.freezePacked(precision)
        [qBias, vBias, table].forEach { $0?.freeze() }
        proj.freeze(precision)
    }

    /// x `[B, N+1, D]`, normed; adds its result to the epilogue's residual.
    func callAsFunction(
        _ x: Variable, sharedTable: Parameter?, grid: (Int, Int), _ tape: Tape, _ epilogue: LinearEpilogue
    ) -> Variable {
        let products = tape.linear(
            x, weight: qkv, bias: tape.qkvBias(q: qBias, v: vBias),
            epilogue: LinearEpilogue(outputType: tape.attentionType(of: qkv)))
        let bias = (table ?? sharedTable).map {
            AttentionBias.relative($0, gridHeight: grid.0, gridWidth: grid.1)
        }
        return proj(tape.attention(products, heads: heads, bias: bias ?? .none), tape, epilogue)
    }
}

/// The feed-forward half of a block: D → hidden → D with exact GELU.
package final class MLP: Module {
    let fc1, fc2: Linear

    init(_ configuration: BackboneConfiguration, block: Int, _ initializer: Initializer) {
        fc1 = Linear(configuration.width, configuration.hiddenWidth, initializer)
        fc2 = Linear(configuration.hiddenWidth, configuration.width, scale: residualScale(block), initializer)
    }

    package var members: [Member] { [.module("fc1", fc1), .module("fc2", fc2)] }

    func callAsFunction(_ x: Variable, _ tape: Tape, _ epilogue: LinearEpilogue) -> Variable {
        fc2(fc1(x, tape, LinearEpilogue(gelu: true, outputType: tape.producerType(of: fc2.weight))), tape, epilogue)
    }
}

/// One pre-norm block: x += γ₁ ⊙ attention(norm(x)); x += γ₂ ⊙ MLP(norm(x)); each with stochastic depth.
package final class Block: Module {
    let norm1, norm2: LayerNorm
    let attention: Attention
    let mlp: MLP
    /// Layer scale, `[D]`.
    let gamma1, gamma2: Parameter?
    private let dropPath: Float

    /// - Parameter block: counted from 0.
    init(_ configuration: BackboneConfiguration, block: Int, _ initializer: Initializer) {
        let (width, eps) = (configuration.width, configuration.normEps)
        norm1 = LayerNorm(width, eps: eps, initializer)
        attention = Attention(configuration, block: block, initializer)
        norm2 = LayerNorm(width, eps: eps, initializer)
        mlp = MLP(configuration, block: block, initializer)
        let gamma = {
            configuration.layerScale > 0
                ? Parameter(initializer.constant(configuration.layerScale, [width]), decays: false) : nil
        }
        (gamma1, gamma2) = (gamma(), gamma())
        dropPath = configuration.dropPathRates[block]
    }

    package var members: [Member] {
        let scales = [("gamma_1", gamma1), ("gamma_2", gamma2)].compactMap { name, gamma in
            gamma.map { Member.parameter(name, $0) }
        }
        return scales + [
            .module("norm1", norm1), .module("attn", attention), .module("norm2", norm2), .module("mlp", mlp),
        ]
    }

    func callAsFunction(_ x: Variable, sharedTable: Parameter?, grid: (Int, Int), _ tape: Tape) -> Variable {
        func epilogue(_ stream: Variable, _ gamma: Parameter?) -> LinearEpilogue {
            let keep = tape.dropPathFactors(batch: stream.shape[0], rate: dropPath)
            return LinearEpilogue(residual: stream, gamma: gamma, keep: keep)
        }
        let normed = norm1(x, tape, as: tape.inputType(of: attention.qkv))
        let middle = attention(normed, sharedTable: sharedTable, grid: grid, tape, epilogue(x, gamma1))
        return mlp(norm2(middle, tape, as: tape.inputType(of: mlp.fc1.weight)), tape, epilogue(middle, gamma2))
    }
}

/// Weights that end in the residual stream start smaller the deeper they stand: 1/√(2l), l counted from 1.
private func residualScale(_ block: Int) -> Float { 1 / Float(2 * (block + 1)).squareRoot() }
