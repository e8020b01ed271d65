import BEiTLayers
import BEiTOps
import BEiTTensorCore

/// A head that turns maps of patch features into class logits. Its members' names are those of the whole model.
package protocol SegmentationDecoder: Module {
    /// The last 1×1 convolution, from maps to class logits.
    var classifier: Conv2d { get }
    /// features `[B, Gh, Gw, D]`, those that its configuration wants → what the classifier takes, `[B, h, w, C]`.
    func map(_ features: [Variable], _ tape: Tape) -> Variable
    /// What learning adds to the loss: logits of further heads `[B, h, w, K]` with their weights.
    func auxiliaryLogits(_ features: [Variable], _ tape: Tape) -> [(logits: Variable, weight: Float)]
}

extension SegmentationDecoder {
    package func auxiliaryLogits(_ features: [Variable], _ tape: Tape) -> [(logits: Variable, weight: Float)] { [] }

    /// features → logits `[B, h, w, K]` at the decoder's own resolution.
    package func callAsFunction(_ features: [Variable], _ tape: Tape) -> Variable {
        classifier(map(features, tape), tape)
    }
}

/// Backbone and decoder: pixels to class logits.
package final class Segmenter: Module {
    package let backbone: Backbone
    package let decoder: any SegmentationDecoder
    private let wantedFeatures: [Int]?

    package init(_ configuration: BackboneConfiguration, _ head: DecoderConfiguration, _ initializer: Initializer) {
        backbone = Backbone(configuration, masked: false, initializer)
        decoder = head.makeDecoder(width: configuration.width, initializer)
        wantedFeatures = head.wantedFeatures
    }

    package var members: [Member] { [.module("backbone", backbone), .module("", decoder)] }

    /// pixels `[B, 3, H, W]`, normalised → logits `[B, h, w, K]`; `last` receives the backbone's last patch features
    /// `[B, N, D]`.
    package func callAsFunction(
        _ pixels: Variable, _ tape: Tape, features last: ((Variable) -> Void)? = nil
    ) -> Variable {
        decoder(features(pixels, tape, last: last), tape)
    }

    /// pixels `[B, 3, H, W]`, normalised → what the decoder's classifier takes, `[B, h, w, C]`.
    package func map(_ pixels: Variable, _ tape: Tape) -> Variable { decoder.map(features(pixels, tape), tape) }

    /// Cross-entropy of the labelled pixels, the mean over them, of the logits resized to the labels' size; and those of
    /// the decoder's further heads, each with its weight: `[1]`.
    /// - Parameters:
    ///   - pixels: `[B, 3, H, W]`, normalised.
    ///   - labels: B·size[0]·size[1] classes or groups (K + g), row-major; `ignoreIndex` for none.
    ///   - classWeights: a factor for each class; nil for all alike.
    ///   - groups: classes of which a pixel is one, whichever.
    package func loss(
        _ pixels: Variable, labels: [Int32], size: [Int], ignoreIndex: Int32?, classWeights: [Float]? = nil,
        groups: [ClassGroup] = [], _ tape: Tape
    ) -> Variable {
        func entropy(_ logits: Variable) -> Variable {
            guard Array(logits.shape[1...2]) != size else {
                return tape.softmaxCrossEntropy(
                    logits, labels: labels, ignoreIndex: ignoreIndex, classWeights: classWeights, groups: groups)
            }
            return tape.resizedCrossEntropy(
                logits, labels: labels, height: size[0], width: size[1], ignoreIndex: ignoreIndex,
                classWeights: classWeights, groups: groups)
        }
        let features = features(pixels, tape)
        let (map, classifier) = (decoder.map(features, tape), decoder.classifier)
        let main =
            tape.isTraining && Array(map.shape[1...2]) == size
            ? tape.projectedCrossEntropy(
                map, weight: classifier.weight, bias: classifier.bias, labels: labels, ignoreIndex: ignoreIndex,
                classWeights: classWeights, groups: groups) : entropy(classifier(map, tape))
        return decoder.auxiliaryLogits(features, tape).reduce(main) {
            tape.add($0, tape.scale(entropy($1.logits), $1.weight))
        }
    }

    /// What the decoder takes.
    private func features(_ pixels: Variable, _ tape: Tape, last: ((Variable) -> Void)? = nil) -> [Variable] {
        if let wantedFeatures { return backbone.features(pixels, at: wantedFeatures, tape, last: last) }
        let patches = tape.patchTokens(backbone(pixels, tape))
        last?(patches)
        return [backbone.grid(patches, tape)]
    }
}
