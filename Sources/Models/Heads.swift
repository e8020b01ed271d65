import BEiTLayers
import BEiTOps
import BEiTTensorCore

/// A head that turns a grid of patch features into class logits.
package protocol SegmentationDecoder: Module {
    /// grid `[B, Gh, Gw, D]` → logits `[B, h, w, K]` at the decoder's own resolution.
    func callAsFunction(_ grid: Variable, _ tape: Tape) -> Variable
}

/// Several transposed convolutions, each doubling the resolution (BEiT §2.5: "several deconvolution layers").
package final class DeconvolutionDecoder: SegmentationDecoder {
    private final class Stage: Module {
        let deconv: ConvTranspose2d
        let norm: GroupNorm

        init(_ inputs: Int, _ outputs: Int, groups: Int, _ initializer: Initializer) {
            deconv = ConvTranspose2d(inputs, outputs, kernel: 4, stride: 2, padding: 1, initializer)
            norm = GroupNorm(outputs, groups: groups, initializer)
        }

        var members: [Member] { [.module("deconv", deconv), .module("norm", norm)] }
    }

    private let stages: [Stage]
    private let head: Conv2d

    package init(_ configuration: DecoderConfiguration, width: Int, _ initializer: Initializer) {
        let channels = [width] + configuration.channels
        stages = zip(channels, channels.dropFirst()).map {
            Stage($0, $1, groups: configuration.normGroups, initializer)
        }
        head = Conv2d(channels.last ?? width, configuration.classes, kernel: 1, initializer)
    }

    package var members: [Member] { Member.list("blocks", stages) + [.module("head", head)] }

    package func callAsFunction(_ grid: Variable, _ tape: Tape) -> Variable {
        head(stages.reduce(grid) { $1.norm($1.deconv($0, tape), gelu: true, tape) }, tape)
    }
}

/// A 1×1 convolution on the patch grid.
package final class LinearDecoder: SegmentationDecoder {
    private let head: Conv2d

    package init(_ configuration: DecoderConfiguration, width: Int, _ initializer: Initializer) {
        head = Conv2d(width, configuration.classes, kernel: 1, initializer)
    }

    package var members: [Member] { [.module("head", head)] }

    package func callAsFunction(_ grid: Variable, _ tape: Tape) -> Variable { head(grid, tape) }
}

/// Backbone and decoder: pixels to class logits.
package final class Segmenter: Module {
    package let backbone: Backbone
    package let decoder: any SegmentationDecoder

    package init(_ configuration: BackboneConfiguration, _ head: DecoderConfiguration, _ initializer: Initializer) {
        backbone = Backbone(configuration, masked: false, initializer)
        switch head.kind {
        case .deconvolution: decoder = DeconvolutionDecoder(head, width: configuration.width, initializer)
        case .linear: decoder = LinearDecoder(head, width: configuration.width, initializer)
        }
    }

    package var members: [Member] { [.module("backbone", backbone), .module("decoder", decoder)] }

    /// pixels `[B, 3, H, W]`, normalised → logits `[B, h, w, K]`; `features` receives the patch features `[B, N, D]`.
    package func callAsFunction(
        _ pixels: Variable, _ tape: Tape, features: ((Variable) -> Void)? = nil
    ) -> Variable {
        let patches = tape.patchTokens(backbone(pixels, tape))
        features?(patches)
        let size = backbone.configuration
        return decoder(tape.reshape(patches, [pixels.shape[0], size.gridHeight, size.gridWidth, size.width]), tape)
    }
}

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
