import BEiTCheckpoints
import BEiTImageIO
import BEiTLayers
import BEiTModels
import BEiTTensorCore
import Foundation
import Testing

/// `beit-seg pretrain` as its users meet it.
@Suite struct PretrainCommandTests {
    /// Photos in `photos/`, and `tokenizer.h5`, which makes 4×4 tokens of 32×32 pixels.
    private func workshop(photos: Int = 9) throws -> Scratch {
        let folder = try Scratch()
        for index in 0..<photos { try SmallModel.photo(60, 50, seed: UInt64(index), to: folder["photos/\(index).png"]) }
        var size = TokenizerConfiguration()
        (size.hidden, size.blocks, size.vocabulary, size.codeWidth) = (8, 1, 16, 8)
        let configuration = ModelConfiguration.tokenizer(size)
        let model = Model(configuration, Initializer(seed: 3, style: .pretraining))
        let description = ModelDescription(
            task: .tokenizer, configuration: configuration, classes: [], preprocessing: .tokenizer(size: [32, 32]),
            provenance: Provenance(command: "test"))
        try Checkpoint.save(model.module, description, as: .float32, to: folder["tokenizer.h5"])
        return folder
    }

    private let network = [
        "--set", "backbone.width=12", "--set", "backbone.depth=2", "--set", "backbone.heads=3", "--size", "64",
    ]

    @Test func whatCannotBeIsSaidInOneLine() throws {
        let folder = try workshop()
        try SmallModel.save(to: folder["other.h5"])
        let out = folder["out"]
        func check(_ status: Int32, _ text: String, _ arguments: [String]) throws {
            let run = try Program(arguments: ["pretrain", "-q"] + arguments)
            #expect(run.status == status && run.errors.count == 1, "\(arguments): \(run.status) \(run.errors)")
            #expect(run.errors.first?.contains(text) == true, "\(run.errors)")
        }
        let (data, to) = (["--data", folder["photos"]], ["-o", out])
        let tokenizer = ["--tokenizer", folder["tokenizer.h5"]]
        try check(66, "nowhere", ["--data", folder["nowhere"]] + tokenizer + to + network + ["--batch", "2"])
        try check(66, "nowhere.h5", data + ["--tokenizer", folder["nowhere.h5"]] + to)
        try check(65, "is a model for segmentation", data + ["--tokenizer", folder["other.h5"]] + to)
        try check(65, "is a model for", data + tokenizer + to + ["--init", folder["tokenizer.h5"], "--batch", "2"])
        try check(64, "give --token-size 112, or --size 64", data + tokenizer + to + ["--preset", "tiny"])
        try check(64, "--tokenizer is missing", data + to)
        try check(64, "--objective pixels takes no", data + tokenizer + to + ["--objective", "pixels"])
        try check(64, "--pixels belongs to", data + tokenizer + to + ["--pixels", "raw"])
        try check(64, "--crop-area", data + ["--tokens", folder["t.h5"], "--no-flip"] + to)
        try check(65, "this is no token cache", data + ["--tokens", folder["other.h5"]] + to)
        try check(64, "--mask-patches is 17", data + tokenizer + to + network + ["--mask-patches", "17"])
        try check(64, "--resume", ["--resume", out, "--masking", "random"])
        try check(66, "there is no training state to resume", ["--resume", out])
        #expect(!FileManager.default.fileExists(atPath: out))
        let finetuned = try Program(
            arguments: ["pretrain", "-q"] + data + tokenizer + network + ["--batch", "2", "--steps", "1", "-o", out])
        #expect(finetuned.status == 0, "\(finetuned.errors)")
        try check(64, "holds a training run", data + tokenizer + to + network + ["--batch", "2"])
        // What nobody chose is small, and that is said.
        let chosen = try Program(
            arguments: ["pretrain"] + data + tokenizer + network.suffix(2) + [
                "--set", "backbone.depth=1", "--batch", "2", "--steps", "1", "-o", folder["own"],
            ])
        #expect(try Checkpoint.describe(folder["own/last.h5"]).configuration.backbone?.width == 192)
        #expect(chosen.status == 0 && chosen.errors.contains { $0.contains("size tiny starts from scratch") })
        let other = try Program("finetune", "-q", "--task", "segmentation", "--resume", out)
        #expect(other.status == 65 && other.errors.count == 1, "\(other.errors)")
    }

    /// `tokenizer encode` and `pretrain --tokens` fit each other.
    @Test func photosBecomeTokensBecomeACheckpoint() throws {
        let folder = try workshop()
        let encode = try Program(
            "tokenizer", "encode", "-q", "-m", folder["tokenizer.h5"], folder["photos"], "-o", folder["tokens.h5"])
        #expect(encode.status == 0, "\(encode.errors)")
        let run = try Program(
            arguments: [
                "pretrain", "--data", folder["photos"], "--tokens", folder["tokens.h5"], "--tokenizer",
                folder["tokenizer.h5"], "--batch", "2", "--steps", "2", "-o", folder["run"],
            ] + network)
        #expect(run.status == 0, "\(run.errors)")
        #expect(run.errors.contains { $0.contains("hides 6 of 16 patches (blockwise)") }, "\(run.errors)")
        #expect(try decodeImage(folder["run/predictions.png"]).width == 3 * 64 + 2 * 4)
        let inspect = try Program("inspect", folder["run/best.h5"])
        #expect(inspect.status == 0 && inspect.output.contains("mim"), "\(inspect.output)")
    }

    private func train(_ folder: Scratch, _ run: String) -> [String] {
        [
            "pretrain", "-q", "--data", folder["photos"], "--tokenizer", folder["tokenizer.h5"], "--batch", "2",
            "--steps", "40", "--checkpoint-every", "3", "--ema", "0.9", "-o", folder[run],
        ] + network
    }

    @Test func trainingGoesOnAfterBeingKilled() throws {
        let folder = try workshop()
        try KilledTraining.expectSame(10, folder, ["pretrain"]) { train(folder, $0) }
    }
}
