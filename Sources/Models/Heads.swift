import BEiTLayers
import BEiTOps
import BEiTTensorCore

/// Backbone and classification head.
package final class Classifier: Module {
    package let backbone: Backbone
    private let pooling: ClassifierConfiguration.Pooling
    private let norm: LayerNorm?
    private let head: Linear

    package init(_ configuration: BackboneConfiguration, _ head: ClassifierConfiguration, _ initializer: Initializer) {
        backbone = Backbone(configuration, masked: false, initializer)
        pooling = head.pooling
        norm =
            head.pooling == .mean
            ? LayerNorm(configuration.width, eps: configuration.normEps, initializer) : nil
        // `init_scale` 0.001 of the authors' recipe: the first predictions are nearly uniform.
        self.head = Linear(configuration.width, head.classes, scale: 0.001, initializer)
    }

    package var members: [Member] {
        [.module("backbone", backbone)] + (norm.map { [.module("fc_norm", $0)] } ?? []) + [.module("head", head)]
    }

    /// pixels `[B, 3, H, W]` → logits `[B, K]`; `features` receives the patch features `[B, N, D]`.
    package func callAsFunction(
        _ pixels: Variable, _ tape: Tape, features: ((Variable) -> Void)? = nil
    ) -> Variable {
        let tokens = backbone(pixels, tape)
        if let features { features(tape.patchTokens(tokens)) }
        guard let norm else { return head(tape.clsToken(tokens), tape) }
        return head(norm(tape.meanOverTokens(tape.patchTokens(tokens)), tape), tape)
    }
}

/// Backbone and the head that predicts visual tokens.
package final class MaskedImageModel: Module {
    package let backbone: Backbone
    private let norm: LayerNorm?
    private let head: Linear

    package init(_ configuration: BackboneConfiguration, _ head: MIMConfiguration, _ initializer: Initializer) {
        backbone = Backbone(configuration, masked: true, initializer)
        norm = head.norm == true ? LayerNorm(configuration.width, eps: configuration.normEps, initializer) : nil
        self.head = Linear(configuration.width, head.vocabulary, initializer)
    }

    package var members: [Member] {
        [.module("backbone", backbone)] + (norm.map { [.module("lm_norm", $0)] } ?? []) + [.module("lm_head", head)]
    }

    /// - Parameters:
    ///   - mask: B·N flags; masked patches are replaced by the mask token.
    ///   - positions: patches (row-major over image and patch) whose logits are wanted; nil for all of them.
    /// - Returns: `[positions, V]`, or `[B, N, V]` for all; `features` receives the patch features `[B, N, D]`.
    package func callAsFunction(
        _ pixels: Variable, mask: [Bool], positions: [Int]? = nil, _ tape: Tape,
        features: ((Variable) -> Void)? = nil
    ) -> Variable {
        let patches = tape.patchTokens(backbone(pixels, mask: mask, tape))
        features?(patches)
        let wanted = positions.map { tape.selectRows(patches, $0) } ?? patches
        return head(norm?(wanted, tape) ?? wanted, tape)
    }
}
