import BEiTCheckpoints
import BEiTHDF5
import BEiTLayers
import BEiTModels
import BEiTOps
import BEiTTensorCore
import BEiTWeightFiles
import Foundation
import Testing

/// Files as their programs publish them, imported and run: the same logits as PyTorch, Hugging Face and Keras.
@Suite struct ForeignFormatTests {
    /// Where a fixture lies, and what it must give.
    struct Published: CustomTestStringConvertible, Sendable {
        /// Files or a folder; those of PyTorch lie beside the tests of their readers.
        var sources: [String]
        var folder: String
        var settings: [String] = []
        var prefix = "", logits = "logits", pixels = "pixel_values"
        var tolerance: Float = 2e-4
        var layout: String
        var testDescription: String { sources.joined(separator: " ") }
    }

    static let published: [Published] =
        ["classifier", "classifier-legacy", "classifier-training"].map {
            Published(sources: ["torch/unilm-pth/\($0).pth"], folder: "unilm-pth", layout: "official")
        } + [
            Published(
                sources: ["torch/unilm-pth/classifier-bare-float16.pth"], folder: "unilm-pth",
                logits: "logits_float16_weights", layout: "official"),
            Published(
                sources: ["torch/unilm-pth/pretrain.pth"], folder: "unilm-pth", prefix: "pretrain_",
                logits: "logits_all", layout: "official"),
            Published(sources: ["hf-cls"], folder: "hf-cls", layout: "Hugging Face"),
            Published(sources: ["hf-mim"], folder: "hf-mim", layout: "Hugging Face"),
            Published(sources: ["hf-seg"], folder: "hf-seg", layout: "Hugging Face"),
            Published(sources: ["kecam-h5/weights.h5"], folder: "kecam-h5", tolerance: 5e-4, layout: "Keras"),
            Published(sources: ["kecam-h5/full_model.h5"], folder: "kecam-h5", tolerance: 5e-4, layout: "Keras"),
        ]
        + ["official", "mmseg1"].map {
            Published(
                sources: ["torch/upernet/\($0).pth"], folder: "upernet",
                settings: ["decoder.features=0,1,2,3", "backbone.norm_eps=1e-12"],
                layout: $0 == "official" ? "official segmentation" : "mmsegmentation")
        }
        + [["encoder"], ["encoder-legacy"], ["encoder", "decoder"]].map { halves in
            Published(
                sources: halves.map { "torch/dvae/\($0).pkl" }, folder: "dvae", logits: "encoder_logits",
                pixels: "encoder_input", layout: halves.map { "DALL-E, " + $0.prefix(7) }.joined(separator: ", "))
        }

    static func path(_ source: String) throws -> String {
        if source.hasPrefix("torch/") {
            let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            return tests.appendingPathComponent("WeightFilesTests/Fixtures/\(source)").path
        }
        return try #require(Bundle.module.resourceURL).appendingPathComponent("Fixtures/\(source)").path
    }

    static func load(_ published: Published) throws -> (
        model: Model, description: ModelDescription, report: ImportReport
    ) {
        try ForeignModel(published.sources.map(path)).load(ImportOptions(settings: published.settings))
    }

    private func evaluate(_ model: Model, _ published: Published) throws -> Tensor {
        var oracle = OracleModel(name: "", folder: published.folder, weights: "", gradients: "")
        oracle.prefix = published.prefix
        guard case .tokenizer(let tokenizer) = model else { return try oracle.evaluate(model, Tape(.inference)) }
        let pixels = try oracle.array(published.pixels).transposed([0, 2, 3, 1])
        return tokenizer.encoder(Variable(pixels), Tape(.inference)).value.transposed([0, 3, 1, 2])
    }

    @Test(arguments: published, MatrixEngine.available)
    func logitsAreThoseOfTheirProgram(_ published: Published, _ engine: MatrixEngine) throws {
        try MatrixEngine.$current.withValue(engine) {
            let (model, _, report) = try Self.load(published)
            #expect(report.layout == published.layout)
            let oracle = OracleModel(name: "", folder: published.folder, weights: "", gradients: "")
            let name = published.prefix + published.logits
            let wanted = try oracle.array(name)
            let found = try evaluate(model, published)
            try #require(found.shape == wanted.shape)
            #expect(largestError(found.values, wanted.values) < published.tolerance)
        }
    }

    /// Out in every layout that has a place for the model, and in again: the same weights to the last bit.
    @Test(arguments: published, ExportLayout.allCases)
    func roundTrips(_ published: Published, _ layout: ExportLayout) throws {
        guard layout != .native else { return }
        let (model, description, _) = try Self.load(published)
        let folder = NSTemporaryDirectory() + "beit-seg-trip-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let export: Export
        do { export = try Export(model, description, for: layout) } catch { return }
        let files = try export.write(to: folder + "/out")
        var settings = published.settings
        if let backbone = description.configuration.backbone {
            settings += ["backbone.norm_eps=\(backbone.normEps)", "backbone.heads=\(backbone.heads)"]
        }
        if layout != .huggingface, let upernet = description.configuration.decoder?.upernet {
            settings.append("decoder.features=" + upernet.features.map(String.init).joined(separator: ","))
        }
        let again = try ForeignModel([files[0]]).load(ImportOptions(settings: settings)).model
        let (old, new) = (model.module, again.module)
        #expect(old.parameters.map(\.path) == new.parameters.map(\.path))
        for (one, other) in zip(old.parameters, new.parameters) {
            #expect(one.parameter.value.values == other.parameter.value.values, "\(one.path)")
        }
        for (one, other) in zip(old.buffers, new.buffers) {
            #expect(one.tensor.values == other.tensor.values, "\(one.path)")
        }
    }

    /// Hugging Face's models without mean pooling have a norm behind the blocks and one before the head.
    @Test func twoFinalNormsKeepTheirPlaces() throws {
        var backbone = BackboneConfiguration(), head = MIMConfiguration()
        (backbone.width, backbone.depth, backbone.heads, backbone.imageSize) = (12, 1, 3, [32, 32])
        (backbone.position, head.vocabulary, head.norm) = (.relativeShared, 7, true)
        let configuration = ModelConfiguration.mim(backbone, head)
        let model = Model(configuration, Initializer(seed: 5, style: .pretraining))
        for (index, named) in model.module.parameters.enumerated() { named.parameter.value.pointer[0] = Float(index) }
        let description = ModelDescription(
            task: .mim, configuration: configuration, classes: [], preprocessing: Preprocessing(size: [32, 32]),
            provenance: Provenance(command: ""))
        let folder = NSTemporaryDirectory() + "beit-seg-norms-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let file = try Export(model, description, for: .huggingface).write(to: folder)[0]
        let names = try TensorFile.open(file).tensors.map(\.name)
        #expect(names.contains("beit.layernorm.weight") && names.contains("layernorm.weight"))
        let again = try ForeignModel([folder]).load().model
        for (one, other) in zip(model.module.parameters, again.module.parameters) {
            #expect(one.path == other.path && one.parameter.value.values == other.parameter.value.values, "\(one.path)")
        }
    }

    /// What transformers takes for `out_indices`, and what the release takes, are told apart.
    @Test func blocksOfUperNetAreSaid() throws {
        let (_, description, report) = try Self.load(
            Self.published.first { $0.folder == "hf-seg" } ?? Self.published[0])
        guard let upernet = description.configuration.decoder?.upernet else {
            Issue.record("no UperNet")
            return
        }
        #expect(upernet.features == [-1, 0, 1, 2])
        #expect(report.assumed.contains { $0.contains("`set` decoder.features=1,2,3,4") })
        #expect(throws: ImportError.self) { try ForeignModel([Self.path("torch/upernet/official.pth")]).load() }
    }

    /// mmsegmentation's `meta` names and colours the classes.
    @Test func classesComeFromTheFile() throws {
        let (_, description, report) = try Self.load(
            Self.published.first { $0.sources[0].hasSuffix("official.pth") } ?? Self.published[0])
        #expect(description.classes.map(\.name) == (0..<6).map { "thing \($0)" })
        #expect(description.classes[1].color.red == 37 && description.classes[1].color.blue == 171)
        #expect(
            report.leftOut.allSatisfy { $0.reason == "nothing depends on it" || $0.reason == "it is computed anew" })
    }
}
