import BEiTLayers
import BEiTOps
import BEiTTensorCore

/// The BEiT vision transformer (Bao et al., arXiv:2106.08254 §2.1–2.2; the authors' `beit/modeling_finetune.py`).
package final class Backbone: Module {
    package let configuration: BackboneConfiguration
    /// `[1, 1, D]`
    let clsToken: Parameter
    /// `[1, 1, D]`, in models of masked image modeling.
    let maskToken: Parameter?
    /// `[1, N + 1, D]`
    let positions: Parameter?
    /// `[D, 3, P, P]`
    let projection: Linear
    /// `[(2·Gh−1)(2·Gw−1)+3, H]`
    let sharedTable: Parameter?
    let blocks: [Block]
    let norm: LayerNorm?
    /// Gradient checkpointing: keep only the blocks' inputs while training, and compute the rest twice.
    package var checkpointsBlocks = false

    /// - Precondition: the configuration has no problem.
    package init(_ configuration: BackboneConfiguration, masked: Bool, _ initializer: Initializer) {
        self.configuration = configuration
        let width = configuration.width
        let token = { Parameter(initializer.truncatedNormal([1, 1, width]), decays: $0) }
        clsToken = token(false)
        // The authors decay the mask token and the tables, but neither the cls token nor the positions.
        maskToken = masked ? token(true) : nil
        positions =
            configuration.position == .absolute
            ? Parameter(initializer.truncatedNormal([1, configuration.patchCount + 1, width]), decays: false) : nil
        projection = Linear(patchesOf: configuration, initializer)
        sharedTable =
            configuration.position == .relativeShared
            ? Parameter(initializer.zeros([configuration.tableRows, configuration.heads])) : nil
        blocks = (0..<configuration.depth).map { Block(configuration, block: $0, initializer) }
        norm = configuration.finalNorm ? LayerNorm(width, eps: configuration.normEps, initializer) : nil
    }

    package var members: [Member] {
        let embeddings: [(String, Parameter?)] = [
            ("cls_token", clsToken), ("mask_token", maskToken), ("pos_embed", positions),
        ]
        let first = embeddings.compactMap { name, parameter in parameter.map { Member.parameter(name, $0) } }
        return [.module("", Group(first), layer: 0), .module("patch_embed/proj", projection, layer: 0)]
            + (sharedTable.map { [.parameter("rel_pos_bias/relative_position_bias_table", $0)] } ?? [])
            + Member.list("blocks", blocks) { $0 + 1 } + (norm.map { [.module("norm", $0)] } ?? [])
    }

    /// - Parameters:
    ///   - pixels: normalised, `[B, 3, H, W]` of the configuration's size.
    ///   - mask: B·N flags, true where the mask token replaces the patch.
    ///   - trace: receives the tokens `[B, N + 1, D]` after the embedding (0) and after each block i (i + 1).
    /// - Returns: the tokens after the last block and the final norm, `[B, N + 1, D]`, cls token first.
    package func callAsFunction(
        _ pixels: Variable, mask: [Bool]? = nil, _ tape: Tape, trace: ((Int, Variable) -> Void)? = nil
    ) -> Variable {
        let x = blockOutput(pixels, mask: mask, through: blocks.count, tape, trace: trace)
        return norm?(x, tape) ?? x
    }

    /// What single blocks put out, without the final norm, as maps `[B, Gh, Gw, D]` in the order of `wanted`.
    /// - Parameters:
    ///   - wanted: blocks counted from 0; −1 for the embedding. Blocks behind the last of them are not computed.
    ///   - last: receives the patch features `[B, N, D]` of the last block, after the final norm where there is one; then
    ///     all are computed.
    package func features(
        _ pixels: Variable, at wanted: [Int], _ tape: Tape, last: ((Variable) -> Void)? = nil
    ) -> [Variable] {
        precondition(wanted.allSatisfy { -1..<blocks.count ~= $0 }, "features \(wanted) of \(blocks.count) blocks")
        let count = last == nil ? (wanted.max() ?? -1) + 1 : blocks.count
        var found: [Int: Variable] = [:]
        let x = blockOutput(pixels, mask: nil, through: count, tape) { [self] in
            if wanted.contains($0 - 1) { found[$0 - 1] = grid(tape.patchTokens($1), tape) }
        }
        last?(tape.patchTokens(norm?(x, tape) ?? x))
        return wanted.compactMap { found[$0] }
    }

    /// Patch features `[B, N, D]` as a map `[B, Gh, Gw, D]`.
    func grid(_ patches: Variable, _ tape: Tape) -> Variable {
        tape.reshape(
            patches, [patches.shape[0], configuration.gridHeight, configuration.gridWidth, configuration.width])
    }

    /// Embedding and the first `count` blocks: `[B, N + 1, D]`.
    private func blockOutput(
        _ pixels: Variable, mask: [Bool]?, through count: Int, _ tape: Tape, trace: ((Int, Variable) -> Void)?
    ) -> Variable {
        precondition(
            pixels.shape.count == 4 && Array(pixels.shape[1...]) == [3] + configuration.imageSize,
            "pixels \(pixels.shape), model \(configuration.imageSize)")
        let patches = projection(tape.patches(pixels, size: configuration.patchSize), tape)
        var x = tape.tokens(patches, cls: clsToken, maskToken: maskToken, mask: mask, positions: positions)
        trace?(0, x)
        for (index, block) in blocks.prefix(count).enumerated() {
            x = run(block, x, tape)
            trace?(index + 1, x)
        }
        return x
    }

    private func run(_ block: Block, _ x: Variable, _ tape: Tape) -> Variable {
        let grid = (configuration.gridHeight, configuration.gridWidth)
        guard checkpointsBlocks else { return block(x, sharedTable: sharedTable, grid: grid, tape) }
        return tape.checkpoint(x) { [sharedTable] in block($0, sharedTable: sharedTable, grid: grid, $1) }
    }
}

/// Members without a name of their own.
private final class Group: Module {
    let members: [Member]
    init(_ members: [Member]) { self.members = members }
}

extension Linear {
    /// The patch projection: a convolution whose stride is its kernel, `[D, 3, P, P]`.
    convenience init(patchesOf configuration: BackboneConfiguration, _ initializer: Initializer) {
        let (width, side) = (configuration.width, configuration.patchSize)
        let shape = [width, 3, side, side]
        let fanIn = 3 * side * side
        let pretraining = initializer.style == .pretraining
        self.init(
            weight: pretraining ? initializer.truncatedNormal(shape) : initializer.uniform(shape, fanIn: fanIn),
            bias: pretraining ? initializer.zeros([width]) : initializer.uniform([width], fanIn: fanIn))
    }
}
