import BEiTHDF5
import Foundation
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

    /// Examples stand on lines of their own that a shell takes as they are, and the program understands every option.
    @Test(
        arguments: [
            "", "predict", "eval", "classify", "inspect", "import", "export", "pretrain", "finetune", "tokenizer",
            "tokenizer train", "tokenizer encode", "tokenizer reconstruct", "elbo", "logits", "benchmark",
        ])
    func everyExampleIsACommandToCopy(_ name: String) throws {
        let run = try Program(arguments: name.split(separator: " ").map(String.init) + ["--help"])
        #expect(run.status == 0)
        let lines = run.output.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        // The parser does not break its line of all options.
        #expect(lines.allSatisfy { $0.count <= 80 || $0.hasPrefix("USAGE:") })
        let start = try #require(lines.firstIndex { $0 == "Example:" || $0 == "Examples:" })
        let examples = lines[(start + 1)...].prefix { !$0.isEmpty }.joined(separator: "\n")
            .replacingOccurrences(of: " \\\n", with: " ").split(separator: "\n")
        #expect(!examples.isEmpty)
        let folder = try Scratch()
        for example in examples {
            let words = example.split(separator: " ").map(String.init)
            #expect(words.starts(with: ["beit-seg"] + name.split(separator: " ").map(String.init)))
            guard name != "benchmark" else { continue }  // it would run
            // The files are not there; that is found after the options have been understood.
            let run = try Program(arguments: words.dropFirst().map { $0.contains("/") ? folder[$0] : $0 })
            #expect(run.status == 66, "\(example): \(run.errors)")
        }
    }

    /// One line with the remedy, before anything is read or written.
    @Test(
        arguments: [
            (["finetune", "--data", "/nowhere", "-o", "x", "--drop-path", "nan"], 64, "--drop-path"),
            (["finetune", "--data", "/nowhere", "-o", "x", "--epochs", "1e300"], 64, "--epochs"),
            (["finetune", "--data", "/nowhere", "-o", "x", "--epochs", "0"], 64, "above 0"),
            (["finetune", "--data", "/nowhere", "-o", "x", "--warmup-epochs", "1e300"], 64, "--warmup-epochs"),
            (
                ["finetune", "--data", "/nowhere", "-o", "x", "--steps", "1", "--batch", "9000000000000000000"], 64,
                "batch"
            ),
            (["finetune", "--data", "/nowhere", "-o", "x", "--lr", "-1"], 64, "--option=-1"),
            (["finetune", "--data", "/nowhere", "-o", "/dev/null"], 74, "/dev/null"),
            (["finetune", "--data", "/nowhere", "-o", "x", "--init", "/nowhere/m.h5"], 66, "m.h5"),
            (["tokenizer", "train", "--data", "/nowhere", "-o", "/dev/null"], 74, "/dev/null"),
            (["tokenizer", "train", "-o", "x"], 64, "tokenizer train --help"),
            (["predict", "x", "--format", "fo"], 64, "there are index, "),
            (["benchmark", "--seconds", "nan"], 64, "--seconds nan"),
            (["benchmark", "--pass", "training-step", "--precision", "int8"], 64, "--precision int8"),
            (["finetune", "--data", "/nowhere", "-o", "x", "--precision", "int8"], 64, "fp32 or bf16"),
            (["pretrain", "--data", "/nowhere", "-o", "x", "--precision", "int8"], 64, "fp32 or bf16"),
            (["finetune", "--resume", "/nowhere", "--precision", "fp32"], 64, "leave out --precision"),
            (["elbo", "x", "-m", "x", "--tokenizer", "x", "--report", "/tmp"], 64, "it is a folder"),
        ] as [([String], Int32, String)])
    func mistakesAreRefusedAtOnce(_ arguments: [String], _ status: Int32, _ word: String) throws {
        let run = try Program(arguments: arguments)
        #expect(run.status == status)
        #expect(run.errors.count == 1 && run.errors[0].contains(word), "\(run.errors)")
        #expect(run.output.isEmpty)
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
