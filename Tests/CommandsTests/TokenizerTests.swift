import BEiTCheckpoints
import BEiTHDF5
import BEiTImageIO
import BEiTLayers
import BEiTModels
import BEiTTensorCore
import Foundation
import Testing

/// `beit-seg tokenizer` as its users meet it.
@Suite struct TokenizerCommandTests {
    /// The tokenizer of the fixtures, imported to `dvae.h5`, and its pictures in `photos/`.
    private func workshop() throws -> Scratch {
        let folder = try Scratch()
        let halves = ["encoder_state", "decoder_state"].map { Oracle.path("dvae/\($0).h5") }
        let run = try Program(arguments: ["import"] + halves + ["-o", folder["dvae.h5"]])
        try #require(run.status == 0, "\(run.errors)")
        let (shape, values) = try HDF5Reader(Oracle.path("dvae/arrays.h5")).readFloats("/raw_pixels")
        let raw = Tensor(values, shape)
        for index in 0..<shape[0] {
            let planes = raw.rows(index..<index + 1).values
            let pixels = (0..<32 * 32).flatMap { pixel in
                (0..<3).map { UInt8((255 * planes[$0 * 1024 + pixel]).rounded()) }
            }
            try writePNG(
                RGBImage(width: 32, height: 32, pixels: pixels), to: folder["photos/\(index)/image.png"])
        }
        return folder
    }

    @Test func tokensAreThoseOfTheOracle() throws {
        let folder = try workshop()
        let run = try Program(
            "tokenizer", "encode", "-m", folder["dvae.h5"], folder["photos"], "--size", "32", "-o", folder["t.h5"],
            "--json")
        #expect(run.status == 0, "\(run.errors)")
        let cache = try TokenCache.Reader(folder["t.h5"])
        #expect(
            try cache.tokens(0..<2)
                == HDF5Reader(Oracle.path("dvae/arrays.h5")).readInts("/tokens").values.map(Int32.init))
        #expect(cache.paths == [folder["photos/0/image.png"], folder["photos/1/image.png"]])
        #expect(cache.description.tokenizerSHA256 == (try sha256(folder["dvae.h5"])))
        #expect(try Checkpoint.describe(folder["dvae.h5"]).preprocessing == .tokenizer(size: [112, 112]))
        #expect(cache.description.size == [32, 32] && cache.description.resize == "lanczos")
        let report = try JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [String: Any]
        #expect(report?["images"] as? Int == 2 && report?["vocabulary"] as? Int == 64)
    }

    /// The tokenizer of the fixtures with weights as large as numbers can be at the end of its encoder.
    @Test func outputThatIsNotFiniteIsNoToken() throws {
        let folder = try workshop()
        let (model, description) = try Checkpoint.load(folder["dvae.h5"], for: .learning)
        for named in model.module.parameters where named.path.hasSuffix("encoder/blocks/output/conv/w") {
            named.parameter.value.pointer.update(repeating: 3e38, count: named.parameter.value.count)
        }
        try Checkpoint.save(model.module, description, as: .float32, to: folder["huge.h5"])
        for command in [["encode", "-o", folder["t.h5"]], ["reconstruct", "-o", folder["pairs"]]] {
            let run = try Program(
                arguments: ["tokenizer"] + command + ["-m", folder["huge.h5"], folder["photos"], "--size", "32"])
            #expect(run.status == 65 && run.errors.count { $0.contains("not finite") } == 3, "\(run.errors)")
            #expect(run.errors.last?.contains("huge.h5: its output is not finite") == true, "\(run.errors)")
        }
        #expect(!folder.names.contains("t.h5") && !folder.names.contains("pairs"))
    }

    private func sha256(_ path: String) throws -> String {
        let process = Process(), output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["sha256sum", path]
        process.standardOutput = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        return String(text.prefix { $0 != " " })
    }

    @Test func reconstructionsAreThoseOfTheOracle() throws {
        let folder = try workshop()
        let run = try Program(
            "tokenizer", "reconstruct", "-m", folder["dvae.h5"], folder["photos"], "--size", "32", "-o",
            folder["pairs"], "--sheet", folder["sheet.png"])
        #expect(run.status == 0, "\(run.errors)")
        let (shape, wanted) = try HDF5Reader(Oracle.path("dvae/arrays.h5")).readFloats("/decoded_image")
        for index in 0..<2 {
            let pair = try decodeImage(folder["pairs/\(index)/image.png"])
            try #require(pair.width == 66 && pair.height == 32)
            #expect(
                try pair.cropped(x: 0, y: 0, width: 32, height: 32) == decodeImage(folder["photos/\(index)/image.png"]))
            let planes = Tensor(wanted, shape).rows(index..<index + 1).values
            let picture = pair.cropped(x: 34, y: 0, width: 32, height: 32).pixels
            for (place, value) in picture.enumerated() {
                let want = 255 * planes[place % 3 * 1024 + place / 3]
                if !(abs(Float(value) - want) <= 0.6) { Issue.record("\(place): \(value) instead of \(want)") }
            }
        }
        let sheet = try decodeImage(folder["sheet.png"])
        #expect(sheet.width == 4 * 34 - 2 && sheet.height == 32)
    }

    @Test func aBadPhotoIsNamedAndTheRestGoesOn() throws {
        let folder = try workshop()
        try Data("no picture".utf8).write(to: URL(fileURLWithPath: folder["photos/0/bad.png"]))
        let encode = try Program(
            "tokenizer", "encode", "-m", folder["dvae.h5"], folder["photos"], "-o", folder["t.h5"])
        #expect(encode.status == 1 && encode.errors.contains { $0.contains("photos/0/bad.png: ") }, "\(encode.errors)")
        #expect(try TokenCache.Reader(folder["t.h5"]).paths.count == 2)
        #expect(try TokenCache.Reader(folder["t.h5"]).grid == [14, 14])
        let pairs = try Program(
            "tokenizer", "reconstruct", "-m", folder["dvae.h5"], folder["photos"], "-o", folder["pairs"])
        #expect(pairs.status == 1 && pairs.errors.contains { $0.contains("photos/0/bad.png: ") })
        #expect(FileManager.default.fileExists(atPath: folder["pairs/1/image.png"]))
        #expect(!FileManager.default.fileExists(atPath: folder["pairs/0/bad.png"]))
        let none = try Program(
            "tokenizer", "encode", "-m", folder["dvae.h5"], folder["photos/0/bad.png"], "-o", folder["none.h5"])
        #expect(none.status == 1 && !FileManager.default.fileExists(atPath: folder["none.h5"]))
    }

    @Test func whatCannotBeIsSaidInOneLine() throws {
        let folder = try workshop()
        try SmallModel.save(to: folder["other.h5"])
        func check(_ status: Int32, _ text: String, _ arguments: String...) throws {
            let run = try Program(arguments: ["tokenizer"] + arguments)
            #expect(run.status == status && run.errors.count == 1, "\(run.status) \(run.errors)")
            #expect(run.errors.first?.contains(text) == true, "\(run.errors)")
        }
        let (photos, out) = (folder["photos"], folder["out"])
        try check(65, "is a model for segmentation", "encode", "-m", folder["other.h5"], photos, "-o", out)
        try check(65, "is a model for segmentation", "reconstruct", "-m", folder["other.h5"], photos, "-o", out)
        try check(64, "8×8 pixels", "encode", "-m", folder["dvae.h5"], photos, "-o", out, "--size", "30")
        try check(66, "nowhere", "encode", "-m", folder["dvae.h5"], folder["nowhere"], "-o", out)
        try check(66, "nowhere", "train", "--data", folder["nowhere"], "-o", out, "-q")
        try check(64, "--min-lr", "train", "--data", photos, "-o", out, "--lr", "1e-9", "--min-lr", "1", "-q")
        try check(64, "--resume", "train", "--resume", out, "--lr", "1", "-q")
        #expect(!FileManager.default.fileExists(atPath: out))
    }

    private func train(_ folder: Scratch, _ run: String, steps: Int) -> [String] {
        [
            "tokenizer", "train", "--data", folder["data"], "--set", "tokenizer.hidden=8", "--set",
            "tokenizer.vocabulary=16", "--set", "tokenizer.code_width=8", "--set", "tokenizer.blocks=1", "--size",
            "32", "--batch", "2", "--steps", "\(steps)", "--checkpoint-every", "5", "--lr", "0.003", "-o", folder[run],
            "-q",
        ]
    }

    @Test func trainingGoesOnAfterBeingKilled() throws {
        let folder = try Scratch()
        for index in 0..<9 { try SmallModel.photo(60, 50, seed: UInt64(index), to: folder["data/\(index).png"]) }
        try KilledTraining.expectSame(10, folder, ["tokenizer", "train"]) { train(folder, $0, steps: 40) }
    }

    @Test func trainingWritesItsCheckpointOnASignal() throws {
        let folder = try Scratch()
        for index in 0..<9 { try SmallModel.photo(60, 50, seed: UInt64(index), to: folder["data/\(index).png"]) }
        let log = folder["run/log.jsonl"]
        let status = try Program.killed(
            SIGTERM, once: { FileManager.default.contents(atPath: log)?.isEmpty == false },
            train(folder, "run", steps: 1_000_000))
        #expect(status == 128 + SIGTERM)
        #expect(try StoredTrainingState(folder["run/last.h5"]) != nil)
    }
}
