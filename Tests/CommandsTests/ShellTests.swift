import Foundation
import HDF5
import Testing

/// Exit statuses, and errors of one line.
@Suite struct ShellTests {
    @Test(
        arguments: [
            (["nonsense"], 64, "nonsense"),
            (["inspect"], 64, "--default-model"),
            (["logits", "-i", "x"], 64, "--output"),
            (["inspect", "nowhere.h5", "--threads", "0"], 64, "--threads 0"),
            (["inspect", "nowhere.h5", "-v", "-q"], 64, "--quiet"),
            (["inspect", "nowhere.h5"], 66, "nowhere.h5"),
            (["export", "nowhere.h5", "-o", "x.h5"], 66, "nowhere.h5"),
            (["logits", "-m", "nowhere.h5", "-i", "x", "-o", "y"], 66, "nowhere.h5"),
        ] as [([String], Int32, String)])
    func statusAndOneLine(_ arguments: [String], _ status: Int32, _ word: String) throws {
        let run = try Program(arguments: arguments)
        #expect(run.status == status)
        #expect(run.errors.count == 1)
        #expect(run.errors.first?.contains(word) == true, "\(run.errors)")
        #expect(run.errors.first?.hasPrefix("beit-seg: ") == true)
        #expect(run.output.isEmpty)
    }

    @Test func versionNamesInstructionsAndLibraries() throws {
        let run = try Program("--version")
        #expect(run.status == 0)
        #expect(run.output.hasPrefix("beit-seg 0.1.0\n"))
        #expect(run.output.contains("instruction set: ") && run.output.contains("OpenBLAS"))
    }

    @Test(arguments: ["inspect", "import", "export", "logits"]) func everyCommandHasAnExample(_ name: String) throws {
        let run = try Program(name, "--help")
        #expect(run.status == 0)
        #expect(run.output.contains("Example: beit-seg \(name) "))
    }

    @Test func theEnvironmentNamesTheDefaultModel() throws {
        let folder = try Scratch()
        let missing = try Program("inspect", "--default-model", environment: ["BEIT_SEG_MODEL": folder["no.h5"]])
        #expect(missing.status == 66)
        #expect(missing.errors.first?.contains("BEIT_SEG_MODEL") == true)

        let model = folder["model.h5"]
        _ = try Program("import", Oracle.path("unilm-pth/classifier.h5"), "-o", model)
        let found = try Program("inspect", "--default-model", "--json", environment: ["BEIT_SEG_MODEL": model])
        let json = try JSONSerialization.jsonObject(with: Data(found.output.utf8)) as? [String: Any]
        #expect(json?["task"] as? String == "classification")
        #expect(json?["parameter_count"] as? Int == 27_034)
    }

    @Test func aFullReportOfForeignWeights() throws {
        let run = try Program("inspect", Oracle.path("deconv-seg/weights.h5"))
        #expect(run.status == 0)
        #expect(run.output.contains("a segmentation model") && run.output.contains("beit-seg import"))
    }

    /// An official classifier with one weight that cannot be used.
    @Test(arguments: [("nan", "NaN"), ("absent", "missing"), ("half", "of which the file holds 0")])
    func damagedForeignWeightsAreNoGoodOnes(_ flaw: String, _ word: String) throws {
        let folder = try Scratch(), damaged = "/blocks.0.attn.qkv.weight"
        let reader = try HDF5Reader(Oracle.path("unilm-pth/classifier.h5")), writer = try HDF5Writer(folder["w.h5"])
        for info in reader.datasets where info.elementType.isFloat {
            var (shape, values) = try reader.readFloats(info.path)
            if info.path == damaged {
                if flaw == "half" { try writer.create(info.path, shape: shape, as: .float32) }
                if flaw != "nan" { continue }
                values[7] = .nan
            }
            try writer.write(info.path, shape: shape, floats: values)
        }
        try writer.commit()
        let run = try Program("inspect", folder["w.h5"])
        #expect(run.status == 65 && run.output.isEmpty && run.errors.count == 1)
        let line = run.errors.first ?? ""
        #expect(line.contains("w.h5: ") && line.contains("qkv") && line.contains(word), "\(line)")
    }
}

/// Inputs that do not fit.
@Suite struct LogitsInputTests {
    @Test(
        arguments: [
            ("shape", 65, "[2, 3, 24, 25]"), ("type", 65, "int64"), ("absent", 65, "pixel_values"),
            ("nan", 65, "finite"), ("mask", 65, "bool_masked_pos"),
        ] as [(String, Int32, String)])
    func oneClearLine(_ flaw: String, _ status: Int32, _ word: String) throws {
        let folder = try Scratch()
        let needsMask = flaw == "mask"
        _ = try Program(
            "import", Oracle.path(needsMask ? "unilm-pth/pretrain.h5" : "unilm-pth/classifier.h5"), "-o",
            folder["model.h5"])
        let writer = try HDF5Writer(folder["in.h5"])
        let side = needsMask ? 32 : 24
        var pixels = [Float](repeating: 0.25, count: 2 * 3 * side * side)
        switch flaw {
        case "shape": try writer.write("/pixel_values", shape: [2, 3, 24, 25], floats: pixels + pixels[..<144])
        case "type": try writer.write("/pixel_values", shape: [2, 3, 24, 24], ints: pixels.map { _ in Int64(1) })
        case "absent": try writer.write("/pixels", shape: [2, 3, 24, 24], floats: pixels)
        default:
            if flaw == "nan" { pixels[77] = .nan }
            try writer.write("/pixel_values", shape: [2, 3, side, side], floats: pixels)
        }
        try writer.commit()
        let run = try Program("logits", "-m", folder["model.h5"], "-i", folder["in.h5"], "-o", folder["out.h5"])
        #expect(run.status == status)
        #expect(run.errors.count == 1 && run.errors[0].contains(word), "\(run.errors)")
        #expect(!FileManager.default.fileExists(atPath: folder["out.h5"]))
    }
}
