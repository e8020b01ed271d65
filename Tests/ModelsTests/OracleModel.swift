import BEiTCheckpoints
import BEiTHDF5
import BEiTLayers
import BEiTModels
import BEiTOps
import BEiTTensorCore
import Foundation
import Testing

/// A model of the fixtures: weights, inputs, outputs and gradients that PyTorch or Hugging Face computed in float64.
struct OracleModel: CustomTestStringConvertible, Sendable {
    /// How the gradients are named.
    enum Names: Sendable { case native, official, huggingFace }

    var name: String
    var folder: String
    var weights: String
    var gradients: String
    var settings: [String] = []
    var names = Names.official
    /// Before the arrays of the pre-training models.
    var prefix = ""
    var logits = "logits"
    var tolerance: Float = 2e-4
    var testDescription: String { name }

    static let all = [
        OracleModel(
            name: "deconv-seg", folder: "deconv-seg", weights: "weights", gradients: "gradients",
            settings: ["decoder.norm_groups=4"], names: .native, tolerance: 3e-4),
        OracleModel(
            name: "hf-cls", folder: "hf-cls", weights: "official", gradients: "gradients",
            settings: ["backbone.norm_eps=1e-12"], names: .huggingFace),
        OracleModel(
            name: "hf-mim", folder: "hf-mim", weights: "official", gradients: "gradients",
            settings: ["backbone.norm_eps=1e-12"], names: .huggingFace),
        OracleModel(
            name: "unilm classifier", folder: "unilm-pth", weights: "classifier", gradients: "classifier-gradients"),
        OracleModel(
            name: "unilm pretrain", folder: "unilm-pth", weights: "pretrain", gradients: "pretrain-gradients",
            prefix: "pretrain_", logits: "logits_all"),
        OracleModel(
            name: "abs-pos classifier", folder: "abs-pos", weights: "classifier", gradients: "classifier-gradients",
            settings: ["backbone.heads=4"]),
        OracleModel(
            name: "abs-pos pretrain", folder: "abs-pos", weights: "pretrain", gradients: "pretrain-gradients",
            settings: ["backbone.heads=4"], prefix: "pretrain_", logits: "logits_all"),
    ]

    static func file(_ path: String) throws -> String {
        try #require(Bundle.module.resourceURL).appendingPathComponent("Fixtures/\(path).h5").path
    }

    func load() throws -> Model {
        try ForeignModel([OracleModel.file("\(folder)/\(weights)")])
            .load(ImportOptions(settings: settings)).model
    }

    func array(_ name: String) throws -> Tensor {
        let (shape, values) = try HDF5Reader(OracleModel.file("\(folder)/arrays")).readFloats("/\(prefix)\(name)")
        return Tensor(values, shape.isEmpty ? [1] : shape)
    }

    func integers(_ name: String) throws -> [Int32] {
        try HDF5Reader(OracleModel.file("\(folder)/arrays")).readInts("/\(prefix)\(name)").values.map(Int32.init)
    }

    func mask() throws -> [Bool] { try integers("bool_masked_pos").map { $0 != 0 } }

    /// Logits in the fixture's order of axes.
    func evaluate(_ model: Model, _ tape: Tape) throws -> Tensor {
        let pixels = Variable(try array("pixel_values"))
        switch model {
        case .segmentation(let model): return model(pixels, tape).value.transposed([0, 3, 1, 2])
        case .classification(let model): return model(pixels, tape).value
        case .mim(let model): return model(pixels, mask: try mask(), tape).value
        case .tokenizer: throw CocoaError(.featureUnsupported)
        }
    }

    func loss(_ model: Model, _ tape: Tape) throws -> Variable {
        let pixels = Variable(try array("pixel_values"))
        let labels = try integers("labels")
        switch model {
        case .segmentation(let model):
            return tape.softmaxCrossEntropy(model(pixels, tape), labels: labels, ignoreIndex: 255)
        case .classification(let model): return tape.softmaxCrossEntropy(model(pixels, tape), labels: labels)
        case .mim(let model):
            let mask = try mask()
            let positions = mask.indices.filter { mask[$0] }
            return tape.softmaxCrossEntropy(model(pixels, mask: mask, positions: positions, tape), labels: labels)
        case .tokenizer: throw CocoaError(.featureUnsupported)
        }
    }

    /// The expected gradient of the parameter at `path`.
    func gradient(_ path: String) throws -> [Float] {
        let file = try HDF5Reader(OracleModel.file("\(folder)/\(gradients)"))
        return try datasets(path).flatMap { try file.readFloats("/" + $0).values }
    }

    private func datasets(_ path: String) -> [String] {
        let dotted = path.replacingOccurrences(of: "/", with: ".")
        if names == .native { return [dotted] }
        let official = dotted.replacingOccurrences(of: "backbone.", with: "")
        return names == .official ? [official] : HuggingFaceNames.datasets(official)
    }
}

/// Hugging Face's names of the official parameters; its q, k and v weights stand apart.
enum HuggingFaceNames {
    static func datasets(_ official: String) -> [String] {
        if official.hasSuffix("attn.qkv.weight") {
            return ["query", "key", "value"].map {
                official.replacingOccurrences(of: "attn.qkv", with: "attention.attention.\($0)").inEncoder
            }
        }
        let table = [
            ("rel_pos_bias.", "beit.encoder.relative_position_bias."),
            ("patch_embed.proj", "beit.embeddings.patch_embeddings.projection"),
            ("cls_token", "beit.embeddings.cls_token"), ("mask_token", "beit.embeddings.mask_token"),
            ("fc_norm", "beit.pooler.layernorm"), ("lm_head", "lm_head"), ("head", "classifier"),
            (
                "attn.relative_position_bias_table",
                "attention.attention.relative_position_bias.relative_position_bias_table"
            ),
            ("attn.q_bias", "attention.attention.query.bias"), ("attn.v_bias", "attention.attention.value.bias"),
            ("attn.proj", "attention.output.dense"), ("mlp.fc1", "intermediate.dense"), ("mlp.fc2", "output.dense"),
            ("norm1", "layernorm_before"), ("norm2", "layernorm_after"), ("gamma_", "lambda_"), ("norm", "layernorm"),
        ]
        guard let (ours, theirs) = table.first(where: { official.contains($0.0) }) else { return [official] }
        return [official.replacingOccurrences(of: ours, with: theirs).inEncoder]
    }
}

extension String {
    fileprivate var inEncoder: String {
        hasPrefix("blocks.") ? "beit.encoder.layer." + dropFirst("blocks.".count) : self
    }
}

/// The largest |x − want|, scale-free: relative to 1 + |want|; infinite for another shape or where one is no number.
func largestError(_ x: [Float], _ want: [Float]) -> Float {
    guard x.count == want.count else { return .infinity }
    return zip(x, want).reduce(0) { worst, pair in
        let error = abs(pair.0 - pair.1) / (1 + abs(pair.1))
        return error.isNaN ? .infinity : max(worst, error)
    }
}
