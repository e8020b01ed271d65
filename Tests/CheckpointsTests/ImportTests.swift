import BEiTCheckpoints
import BEiTHDF5
import BEiTLayers
import BEiTModels
import Foundation
import Testing

@Suite struct ImportTests {
    /// The tensors of a sample under official names, as `rename` changes them.
    private func writeFlat(
        _ path: String, _ sample: Sample, rename: (String) -> String? = { $0 }, more: [String: [Int]] = [:]
    ) throws {
        let flat = path + ".flat"
        _ = try Export(sample.model(), sample.description, for: .flat).write(to: flat)
        let reader = try HDF5Reader(flat), writer = try HDF5Writer(path)
        for info in reader.datasets {
            guard let name = rename(String(info.path.dropFirst())) else { continue }
            let (shape, values) = try reader.readFloats(info.path)
            try writer.write("/" + name, shape: shape, floats: values)
        }
        for (name, shape) in more {
            try writer.write("/" + name, shape: shape, floats: [Float](repeating: 1, count: shape.reduce(1, *)))
        }
        try writer.commit()
    }

    private let settings = ["backbone.image_size=8x12", "backbone.heads=3", "backbone.layer_scale=0.1"]

    @Test(arguments: Sample.allCases) func everyKindOfModel(_ sample: Sample) throws {
        let folder = try Scratch()
        try writeFlat(folder["flat.h5"], sample)
        var settings = sample == .tokenizer ? [] : self.settings
        if sample == .segmenter { settings.append("decoder.norm_groups=2") }
        if sample == .linearSegmenter { settings.append("backbone.layer_scale=0") }
        let (model, description, report) = try ForeignModel([folder["flat.h5"]]).load(ImportOptions(settings: settings))
        #expect(description.task == sample.description.task)
        #expect(report.leftOut == [] && report.converted == [])
        let original = sample.model().module.parameters
        #expect(report.used == original.map(\.path).sorted())
        for (wanted, found) in zip(original, model.module.parameters) {
            #expect(wanted.parameter.value.values == found.parameter.value.values)
        }
    }

    @Test func wrappersGroupsAndBuffers() throws {
        let folder = try Scratch()
        try writeFlat(
            folder["flat.h5"], .classifier, rename: { "module.model." + $0.replacing(".", with: "/") },
            more: ["module.model.blocks.0.attn.relative_position_index": [7, 7], "epoch": [1]])
        let (_, _, report) = try ForeignModel([folder["flat.h5"]]).load(ImportOptions(settings: settings))
        #expect(report.used.count == Sample.classifier.model().module.parameters.count)
        #expect(report.leftOut.count == 2)
    }

    @Test func whatIsNotSaidIsAskedFor() throws {
        let folder = try Scratch()
        let path = folder["flat.h5"]
        try writeFlat(path, .segmenter)
        #expect(
            throws: ImportError.undetermined(
                file: path, ["`set` backbone.image_size=HxW", "`set` decoder.norm_groups=N"])
        ) { try ForeignModel([path]).load() }

        try writeFlat(path, .tokenizer, rename: { $0.hasPrefix("decoder.") ? $0 : nil })
        #expect(throws: ImportError.undetermined(file: path, ["the file of the encoder"])) {
            try ForeignModel([path]).load()
        }
    }

    /// FLAVA's codebook is DALL-E's encoder under other names.
    @Test func theCodebookOfFLAVA() throws {
        let folder = try Scratch()
        try writeFlat(
            folder["flava.h5"], .tokenizer,
            rename: { name in
                guard name.hasPrefix("encoder.") else { return nil }
                let parts = name.dropFirst("encoder.".count).replacing("res_path.", with: "res_path.path.")
                    .replacing(/(group_\d+)\./) { "\($0.1).group." }
                return "image_codebook." + parts.dropLast() + (parts.hasSuffix("w") ? "weight" : "bias")
            })
        let (model, _, report) = try ForeignModel([folder["flava.h5"]]).load()
        #expect(report.layout == "FLAVA image codebook" && report.leftOut.isEmpty)
        let original = Sample.tokenizer.model().module.parameters.filter { $0.path.hasPrefix("encoder/") }
        #expect(model.module.parameters.map(\.path) == original.map(\.path))
        for (one, other) in zip(model.module.parameters, original) {
            #expect(one.parameter.value.values == other.parameter.value.values, "\(one.path)")
        }
    }

    /// Makes tokens, and says so where pictures are asked for.
    @Test func anEncoderByItselfIsATokenizer() throws {
        let folder = try Scratch()
        try writeFlat(folder["flat.h5"], .tokenizer, rename: { $0.hasPrefix("encoder.") ? $0 : nil })
        let (model, description, _) = try ForeignModel([folder["flat.h5"]]).load()
        #expect(description.configuration.tokenizer?.hasDecoder == false)
        #expect(model.module.parameters.allSatisfy { $0.path.hasPrefix("encoder/") })
        try Checkpoint.save(model.module, description, to: folder["encoder.h5"])
        #expect(
            try Checkpoint.load(folder["encoder.h5"], task: .tokenizer).description.configuration
                == description.configuration)
    }

    @Test(arguments: [
        (["backbone.head=3"], "known are"), (["backbone.heads"], "name=value"), (["backbone.heads="], "name=value"),
        (["tokenizer.hidden=4"], "without tokenizer"), (["backbone.heads=5"], "heads"),
        (["backbone.image_size=8x16"], "relative_position_bias_table"), (["backbone.heads=lots"], "heads"),
    ])
    func settingsThatDoNotFit(_ more: [String], _ word: String) throws {
        let folder = try Scratch()
        try writeFlat(folder["flat.h5"], .classifier)
        do {
            _ = try ForeignModel([folder["flat.h5"]]).load(ImportOptions(settings: settings + more))
            Issue.record("it was imported")
        } catch let error as ImportError {
            #expect(error.description.contains(word) && !error.description.contains("\n"), "\(error)")
        }
    }

    @Test func missingWeightsAreNamed() throws {
        let folder = try Scratch()
        let path = folder["flat.h5"]
        try writeFlat(path, .classifier, rename: { $0 == "blocks.1.norm2.bias" ? nil : $0 })
        #expect(throws: ImportError.parameters(file: path, [.missing("blocks.1.norm2.bias")])) {
            try ForeignModel([path]).load(ImportOptions(settings: settings))
        }
    }

    /// A state dict with a link to another file in the place of a weight.
    @Test func whatIsRefusedIsNamedWithItsReason() throws {
        let path = try fixture("flat-link.h5")
        let issue = ParameterIssue.refused(
            "backbone/blocks/0/attn/qkv/weight",
            reason: "it is a soft or external link; copy what it points to in its place")
        #expect(throws: ImportError.parameters(file: path, [issue])) {
            try ForeignModel([path]).load()
        }
    }

    @Test func filesOfOthers() throws {
        let folder = try Scratch(), path = folder["other.h5"], writer = try HDF5Writer(path)
        for name in ["conv1.weight", "bn1.weight", "fc.weight", "fc.bias"] {
            try writer.write("/" + name, shape: [1], floats: [1])
        }
        try writer.commit()
        do {
            _ = try ForeignModel([path])
            Issue.record("it was taken for BEiT's")
        } catch ImportError.unknownNames(let file, let examples) {
            #expect(file == path && examples.count == 3)
        }
    }

    /// A `config.json` of Hugging Face tells heads, size, epsilon and class names.
    @Test func theConfigurationBeside() throws {
        let folder = try Scratch()
        try FileManager.default.copyItem(atPath: fixture("hf-config.json"), toPath: folder["config.json"])
        let weights = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("ModelsTests/Fixtures/hf-cls/official.h5").path
        try FileManager.default.copyItem(atPath: weights, toPath: folder["official.h5"])
        func description(_ settings: [String]) throws -> ModelDescription {
            try ForeignModel([folder["official.h5"]]).load(ImportOptions(settings: settings))
                .description
        }
        let found = try description([])
        #expect(found.configuration.backbone?.normEps == 1e-12)
        #expect(found.configuration.backbone?.heads == 4)
        #expect(found.configuration.backbone?.imageSize == [32, 32])
        #expect(found.classes.map(\.name) == (0..<7).map { "LABEL_\($0)" })
        #expect(try description(["backbone.norm_eps=1e-5"]).configuration.backbone?.normEps == 1e-5)

        try Data("{\"model_type\": \"beit\", \"image_size\": \"large\"}".utf8).write(
            to: URL(fileURLWithPath: folder["config.json"]))
        #expect(throws: ImportError.self) { try description([]) }
    }
}
