import BEiTCheckpoints
import BEiTImageIO
import BEiTLayers
import BEiTModels
import BEiTOps
import BEiTTensorCore
import Foundation
import Testing

/// Small models of every kind, of uneven sizes.
enum Sample: String, CaseIterable, CustomTestStringConvertible {
    case segmenter, linearSegmenter, classifier, clsClassifier, mim, tokenizer

    var testDescription: String { rawValue }

    private func backbone(_ position: BackboneConfiguration.Position) -> BackboneConfiguration {
        var result = BackboneConfiguration()
        (result.width, result.depth, result.heads, result.mlpRatio) = (12, 2, 3, 2.5)
        (result.patchSize, result.imageSize, result.position) = (4, [8, 12], position)
        return result
    }

    var configuration: ModelConfiguration {
        var decoder = DecoderConfiguration(.deconvolution(.init(channels: [6, 4], normGroups: 2)), classes: 5)
        var classifier = ClassifierConfiguration()
        var mim = MIMConfiguration(), tokenizer = TokenizerConfiguration()
        classifier.classes = 7
        mim.vocabulary = 11
        (tokenizer.hidden, tokenizer.blocks, tokenizer.groups) = (4, 1, 2)
        (tokenizer.vocabulary, tokenizer.codeWidth) = (9, 3)
        switch self {
        case .segmenter: return .segmentation(backbone(.relative), decoder)
        case .linearSegmenter:
            decoder.kind = .linear(.init())
            var plain = backbone(.absolute)
            (plain.layerScale, plain.finalNorm) = (0, false)
            return .segmentation(plain, decoder)
        case .classifier: return .classification(backbone(.relative), classifier)
        case .clsClassifier:
            classifier.pooling = .cls
            return .classification(backbone(.absolute), classifier)
        case .mim: return .mim(backbone(.relativeShared), mim)
        case .tokenizer: return .tokenizer(tokenizer)
        }
    }

    /// Every parameter has values of its own, zeros and ones too.
    func model(seed: UInt64 = 5) -> Model {
        let model = Model(configuration, Initializer(seed: seed, style: .finetuning))
        var generator = Philox(seed: seed)
        for named in model.module.parameters {
            for index in 0..<named.parameter.value.count { named.parameter.value.pointer[index] = generator.normal() }
        }
        return model
    }

    var description: ModelDescription {
        let configuration = configuration
        let count = configuration.decoder?.classes ?? configuration.classifier?.classes ?? 0
        return ModelDescription(
            task: configuration.task ?? .tokenizer, configuration: configuration, classes: LabelClass.unnamed(count),
            preprocessing: Preprocessing(
                mean: [0.25, 0.5, 0.75], std: [0.5, 0.25, 1], size: configuration.backbone?.imageSize ?? [16, 24]),
            provenance: Provenance(
                command: "beit-seg finetune", seed: 18_446_744_073_709_551_615, data: ["a", "b/ä"],
                parentSHA256: "00ff", metrics: ["miou": 0.125]))
    }
}

/// A folder that goes away with the test.
final class Scratch {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "beit-seg-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    subscript(name: String) -> String { path + "/" + name }
}

func fixture(_ name: String) throws -> String {
    guard let folder = Bundle.module.resourceURL else { throw CocoaError(.fileNoSuchFile) }
    return folder.appendingPathComponent("Fixtures/" + name).path
}
