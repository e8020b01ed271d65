import BEiTCheckpoints
import BEiTImageIO
import BEiTLayers
import BEiTMetrics
import BEiTModels
import BEiTPrediction
import BEiTReports
import BEiTScoring
import BEiTTensorCore
import Foundation
import Testing

/// Commands that are interrupted, or killed at any moment, and go on.
@Suite struct InterruptionTests {
    /// Photos, masks and a small model: `photos/`, `data/`, `model.h5`.
    private func workshop(photos: Int, height: Int = 141) throws -> Scratch {
        let folder = try Scratch()
        try SmallModel.save(to: folder["model.h5"])
        for index in 0..<photos {
            try SmallModel.photo(
                150 + 7 * index, height, seed: UInt64(index), to: folder["photos/\(index % 3)/p\(index).png"])
        }
        return folder
    }

    private func predict(_ folder: Scratch, to output: String) -> [String] {
        [
            "predict", folder["photos"], "-m", folder["model.h5"], "-o", folder[output], "--resume", "--slide",
            "--flip", "-q",
        ]
    }

    private func records(_ folder: Scratch, _ output: String) throws -> [PredictionRecord] {
        let data = try Data(contentsOf: URL(fileURLWithPath: folder[output + "/predictions.json"]))
        return try JSONDecoder().decode(PredictionManifest.self, from: data).images.map {
            var record = $0
            record.seconds = nil
            return record
        }
    }

    private func lines(_ path: String) -> Int {
        FileManager.default.contents(atPath: path)?.count { $0 == UInt8(ascii: "\n") } ?? 0
    }

    /// Every file by its name, but for the manifest.
    private func contents(_ folder: Scratch, _ output: String) throws -> [String: Data] {
        let names = (FileManager.default.subpaths(atPath: folder[output]) ?? []).filter { $0 != "predictions.json" }
        return Dictionary(
            uniqueKeysWithValues: names.compactMap { name in
                FileManager.default.contents(atPath: folder[output + "/" + name]).map { (name, $0) }
            })
    }

    @Test func predictingGoesOnAfterBeingKilled() throws {
        let folder = try workshop(photos: 12)
        let whole = try Program(arguments: predict(folder, to: "whole"))
        #expect(whole.status == 0, "\(whole.errors)")
        try Program.killAtRandom(20, seed: 5, folder["killed"]) { predict(folder, to: "killed") }
        #expect(try Program(arguments: predict(folder, to: "killed")).status == 0)
        #expect(try contents(folder, "killed") == contents(folder, "whole"))
        #expect(try records(folder, "killed") == records(folder, "whole"))
    }

    @Test(arguments: [SIGINT, SIGTERM, SIGHUP]) func predictingEndsInOrderOnASignal(_ signal: Int32) throws {
        let folder = try workshop(photos: 40, height: 500)  // some seconds of work after the first photos
        let journal = folder["out/.predictions.json.journal"]
        let status = try Program.killed(
            signal, once: { lines(journal) > 1 }, predict(folder, to: "out"))
        #expect(status == 128 + signal)
        let done = try records(folder, "out")
        #expect(!done.isEmpty && done.count < 40)
        #expect(try contents(folder, "out").count == 2 * done.count + 1)
        #expect(try Program(arguments: predict(folder, to: "out")).status == 0)
        #expect(try records(folder, "out").count == 40)
    }

    @Test func onlyTheSameModelAndOptionsResume() throws {
        let folder = try workshop(photos: 1)
        let arguments = predict(folder, to: "out")
        #expect(try Program(arguments: arguments).status == 0)
        func refuses(_ arguments: [String]) throws {
            let run = try Program(arguments: arguments)
            #expect(run.status == 64 && run.errors.count == 1, "\(run.errors)")
            #expect(run.errors.first?.contains("model.h5 as it was then, with --slide --flip") == true, "\(run.errors)")
        }
        try refuses(arguments.filter { $0 != "--flip" })
        try FileManager.default.moveItem(atPath: folder["model.h5"], toPath: folder["moved.h5"])
        try SmallModel.save(to: folder["model.h5"], seed: 4)
        try refuses(arguments)
        try refuses(arguments + ["--shard", "1/2"])
        let moved = arguments.map { $0 == folder["model.h5"] ? folder["moved.h5"] : $0 }
        #expect(try Program(arguments: moved).status == 0)
        // Another division of the work takes over what is done, and a new run what it does itself.
        let shared = try Program(arguments: moved.filter { $0 != "-q" } + ["--shard", "1/1"])
        #expect(shared.status == 0 && shared.errors.last?.contains("1 were complete") == true, "\(shared.errors)")
        #expect(try Program(arguments: arguments.filter { $0 != "--resume" }).status == 0)
        #expect(!FileManager.default.fileExists(atPath: folder["out/predictions-1-of-1.json"]))
        try Data("{".utf8).write(to: URL(fileURLWithPath: folder["out/predictions.json"]))
        let broken = try Program(arguments: arguments)
        #expect(broken.status == 65 && broken.errors.first?.contains("predictions.json") == true, "\(broken.errors)")
    }

    private func finetune(_ folder: Scratch, _ run: String) -> [String] {
        [
            "finetune", "--task", "segmentation", "--data", folder["data"], "--init", "none", "--preset", "tiny",
            "--set",
            "backbone.width=24", "--set", "backbone.depth=2", "--set", "backbone.heads=3", "--set",
            "decoder.channels=8,8", "--set", "decoder.norm_groups=2", "--size", "64", "--batch", "2", "--steps", "60",
            "--eval-every", "10", "--checkpoint-every", "5", "--ema", "0.9", "-o", folder[run], "-q",
        ]
    }

    private func trainingSet() throws -> Scratch {
        let folder = try Scratch()
        for (split, count) in [("train", 8), ("val", 2)] {
            for index in 0..<count {
                try SmallModel.photo(90, 80, seed: UInt64(index), to: folder["data/images/\(split)/\(index).png"])
                let values = (0..<90 * 80).map { UInt16(($0 / 30 + index) % 2) }
                try writePNG(
                    IndexMask(width: 90, height: 80, values: values), to: folder["data/masks/\(split)/\(index).png"])
            }
        }
        try Data("ground 0 0 0\nthing 255 0 0\n".utf8).write(to: URL(fileURLWithPath: folder["data/classes.txt"]))
        return folder
    }

    @Test func trainingGoesOnAfterBeingKilled() throws {
        let folder = try trainingSet()
        try KilledTraining.expectSame(20, folder, ["finetune"]) { finetune(folder, $0) }
    }

    @Test(arguments: [SIGINT, SIGTERM]) func trainingWritesItsCheckpointOnASignal(_ signal: Int32) throws {
        let folder = try trainingSet()
        var arguments = finetune(folder, "run")
        arguments[arguments.firstIndex(of: "60") ?? 0] = "100000"
        let status = try Program.killed(signal, once: { lines(folder["run/log.jsonl"]) > 0 }, arguments)
        #expect(status == 128 + signal)
        #expect(try StoredTrainingState(folder["run/last.h5"]) != nil)
    }

    /// What a user meets who names no size, ends a run and takes it further.
    @Test func aSmallNetworkStartsAndGoesFurther() throws {
        let folder = try trainingSet()
        let sizes = ["--size", "32", "--batch", "2", "--set", "backbone.depth=2", "--set", "decoder.channels=8,8"]
        let run = folder["run"]
        let first = try Program(
            arguments: ["finetune", "--data", folder["data"], "--steps", "4", "-o", run] + sizes + [
                "--set", "decoder.norm_groups=2",
            ])
        #expect(first.status == 0, "\(first.errors)")
        #expect(first.errors.contains { $0.contains("a network of size tiny starts from scratch") }, "\(first.errors)")
        #expect(first.errors.last?.hasPrefix("done: the best model is \(run)/best.h5, val_miou") == true)
        #expect(try Checkpoint.describe(run + "/last.h5").configuration.backbone?.width == 192)
        func check(_ status: Int32, _ text: String, _ arguments: String...) throws {
            let result = try Program(arguments: ["finetune", "--resume", run] + arguments)
            #expect(result.status == status && result.errors.contains { $0.contains(text) }, "\(result.errors)")
        }
        try check(64, "cannot end after 3", "--steps", "3")
        try check(64, "leave out --lr", "--lr", "1")
        try check(64, "leave out --no-flip", "--no-flip")
        try check(0, "now has 6 steps in place of 4", "--steps", "6")
        try FileManager.default.moveItem(atPath: folder["data"], toPath: folder["moved"])
        try check(66, "data", "--steps", "8")
        try check(0, "now has 8 steps", "--steps", "8", "--data", folder["moved"])
    }

    /// Reported: a photo whose end is missing, among others.
    @Test func aDamagedPhotoDoesNotEndARun() throws {
        let folder = try trainingSet()
        let fixture = try #require(Bundle.module.resourceURL).appendingPathComponent("Fixtures/truncated.jpg")
        try FileManager.default.copyItem(atPath: fixture.path, toPath: folder["data/images/train/bad.jpg"])
        try writePNG(
            IndexMask(width: 256, height: 256, values: (0..<256 * 256).map { UInt16($0 % 2) }),
            to: folder["data/masks/train/bad.png"])
        var arguments = finetune(folder, "run")
        arguments[arguments.firstIndex(of: "60") ?? 0] = "8"
        let run = try Program(arguments: arguments)
        #expect(run.status == 0 && run.errors.contains { $0.contains("left out:") && $0.contains("bad.jpg") })
    }
}
