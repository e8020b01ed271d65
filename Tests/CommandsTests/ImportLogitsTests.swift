import BEiTHDF5
import Foundation
import Testing

/// Foreign weights become a model, and the model computes what the other program computes.
@Suite struct ImportLogitsTests {
    struct Case: CustomTestStringConvertible {
        var name: String
        var weights: [String]
        var arrays: String
        var settings: [String] = []
        var pixels = "pixel_values"
        var mask: String?
        var logits = "logits"
        var tolerance: Float = 2e-4
        var testDescription: String { name }
    }

    static let cases = [
        Case(
            name: "segmentation", weights: ["deconv-seg/weights"], arrays: "deconv-seg",
            settings: ["decoder.norm_groups=4"], tolerance: 3e-4),
        Case(
            name: "classifier of Hugging Face", weights: ["hf-cls/official"], arrays: "hf-cls",
            settings: ["backbone.norm_eps=1e-12"]),
        Case(
            name: "masked image model of Hugging Face", weights: ["hf-mim/official"], arrays: "hf-mim",
            settings: ["backbone.norm_eps=1e-12"], mask: "bool_masked_pos"),
        Case(name: "official classifier", weights: ["unilm-pth/classifier"], arrays: "unilm-pth"),
        Case(
            name: "official pre-training model", weights: ["unilm-pth/pretrain"], arrays: "unilm-pth",
            pixels: "pretrain_pixel_values", mask: "pretrain_bool_masked_pos", logits: "pretrain_logits_all"),
        Case(
            name: "classifier with absolute positions", weights: ["abs-pos/classifier"], arrays: "abs-pos",
            settings: ["backbone.heads=4"]),
        Case(
            name: "pre-training model with absolute positions", weights: ["abs-pos/pretrain"], arrays: "abs-pos",
            settings: ["backbone.heads=4"], pixels: "pretrain_pixel_values", mask: "pretrain_bool_masked_pos",
            logits: "pretrain_logits_all"),
        Case(
            name: "tokenizer", weights: ["dvae/decoder_state", "dvae/encoder_state"], arrays: "dvae",
            pixels: "encoder_input", logits: "encoder_logits"),
    ]

    @Test(arguments: cases) func logitsMatchTheOracle(_ c: Case) throws {
        let folder = try Scratch()
        let sources = c.weights.map { Oracle.path($0 + ".h5") }
        let model = folder["model.h5"], arrays = Oracle.path(c.arrays + "/arrays.h5")
        try importModel(sources, to: model, c.settings)
        try writeInput(c, arrays, to: folder["in.h5"])

        let run = try Program("logits", "-m", model, "-i", folder["in.h5"], "-o", folder["out.h5"])
        try #require(run.status == 0, "\(run.errors)")
        try expectClose(folder["out.h5"], "logits", arrays, c.logits, c.tolerance, c.tolerance)
    }

    /// What `export --layout flat` writes can be imported again, and is the same model.
    @Test(arguments: cases) func flatExportComesBack(_ c: Case) throws {
        let folder = try Scratch()
        let (first, second) = (folder["first.h5"], folder["second.h5"])
        try importModel(c.weights.map { Oracle.path($0 + ".h5") }, to: first, c.settings)
        #expect(try Program("export", first, "-o", folder["flat.h5"], "--layout", "flat").status == 0)
        try importModel([folder["flat.h5"]], to: second, c.settings)

        let (wanted, found) = (try HDF5Reader(first), try HDF5Reader(second))
        try #require(wanted.datasets == found.datasets)
        for info in wanted.datasets {
            #expect(try wanted.readFloats(info.path).values == found.readFloats(info.path).values, "\(info.path)")
        }
    }

    @Test func tokensAreTheOracles() throws {
        let folder = try Scratch()
        let arrays = Oracle.path("dvae/arrays.h5")
        let c = try #require(Self.cases.last)
        try importModel(c.weights.map { Oracle.path($0 + ".h5") }, to: folder["model.h5"], [])
        try writeInput(c, arrays, to: folder["in.h5"])
        _ = try Program("logits", "-m", folder["model.h5"], "-i", folder["in.h5"], "-o", folder["out.h5"])
        let result = try HDF5Reader(folder["out.h5"])
        #expect(try result.info("/tokens").elementType == .int32)
        let (found, wanted) = (try result.readInts("/tokens"), try HDF5Reader(arrays).readInts("/tokens"))
        #expect(found.shape == wanted.shape)
        #expect(found.values == wanted.values)  // the smallest margin of the oracle is 2e-3
    }

    @Test func featuresAreTheLastHiddenState() throws {
        // Without a final norm the backbone's patch features are the last hidden state without its cls token.
        let folder = try Scratch()
        let arrays = Oracle.path("unilm-pth/arrays.h5")
        try importModel([Oracle.path("unilm-pth/classifier.h5")], to: folder["model.h5"], [])
        _ = try Program("logits", "-m", folder["model.h5"], "-i", arrays, "-o", folder["out.h5"])
        let state = try HDF5Reader(arrays).readFloats("/hidden_state_3")
        let (tokens, width) = (state.shape[1], state.shape[2])
        let features = try HDF5Reader(folder["out.h5"]).readFloats("/features")
        try #require(features.shape == [state.shape[0], tokens - 1, width])
        for (index, value) in features.values.enumerated() {
            let image = index / ((tokens - 1) * width)
            let wanted = state.values[index + (image + 1) * width]
            #expect(abs(value - wanted) <= 2e-4 + 2e-4 * abs(wanted))
        }
    }

    /// More images than are evaluated at once.
    @Test func batchesDoNotChangeTheResult() throws {
        let folder = try Scratch()
        try importModel([Oracle.path("unilm-pth/classifier.h5")], to: folder["model.h5"], [])
        let (shape, values) = try HDF5Reader(Oracle.path("unilm-pth/arrays.h5")).readFloats("/pixel_values")
        let writer = try HDF5Writer(folder["in.h5"])
        let repeats = 6
        try writer.write(
            "/pixel_values", shape: [repeats * shape[0]] + shape.dropFirst(),
            floats: (0..<repeats).flatMap { _ in values })
        try writer.commit()
        _ = try Program("logits", "-m", folder["model.h5"], "-i", folder["in.h5"], "-o", folder["out.h5"])
        let logits = try HDF5Reader(folder["out.h5"]).readFloats("/logits")
        let wanted = try HDF5Reader(Oracle.path("unilm-pth/arrays.h5")).readFloats("/logits").values
        try #require(logits.shape == [repeats * shape[0], 10])
        for (index, value) in logits.values.enumerated() {
            #expect(abs(value - wanted[index % wanted.count]) <= 4e-4)
        }
    }

    private func importModel(_ sources: [String], to model: String, _ settings: [String]) throws {
        let given = settings.flatMap { ["--set", $0] }
        let run = try Program(arguments: ["import"] + sources + ["-o", model] + given)
        try #require(run.status == 0, "\(run.errors)")
    }

    private func writeInput(_ c: Case, _ arrays: String, to file: String) throws {
        let reader = try HDF5Reader(arrays), writer = try HDF5Writer(file)
        let (shape, values) = try reader.readFloats("/" + c.pixels)
        try writer.write("/pixel_values", shape: shape, floats: values)
        if let mask = c.mask {
            let (shape, values) = try reader.readBytes("/" + mask)
            try writer.write("/bool_masked_pos", shape: shape, bytes: values)
        }
        try writer.commit()
    }
}
