import BEiTLayers
import BEiTOps

/// A model of any task, made from its configuration.
package enum Model {
    case segmentation(Segmenter)
    case classification(Classifier)
    case mim(MaskedImageModel)
    case tokenizer(DiscreteVAE)

    /// - Precondition: the configuration has no problem.
    package init(_ configuration: ModelConfiguration, _ initializer: Initializer) {
        precondition(configuration.problem == nil, configuration.problem ?? "")
        let backbone = configuration.backbone ?? BackboneConfiguration()
        if let decoder = configuration.decoder {
            self = .segmentation(Segmenter(backbone, decoder, initializer))
        } else if let head = configuration.classifier {
            self = .classification(Classifier(backbone, head, initializer))
        } else if let head = configuration.mim {
            self = .mim(MaskedImageModel(backbone, head, initializer))
        } else {
            self = .tokenizer(DiscreteVAE(configuration.tokenizer ?? TokenizerConfiguration(), initializer))
        }
    }

    package var module: any Module {
        switch self {
        case .segmentation(let model): model
        case .classification(let model): model
        case .mim(let model): model
        case .tokenizer(let model): model
        }
    }
}
