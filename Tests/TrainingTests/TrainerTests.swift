import BEiTCheckpoints
import BEiTDatasets
import BEiTFiles
import BEiTHDF5
import BEiTImageIO
import BEiTModels
import BEiTOps
import BEiTTensorCore
import Foundation
import Testing

@testable import BEiTTraining

/// A few coloured discs on grey, in a folder that goes away with the test.
private final class DiscSet {
    let path = NSTemporaryDirectory() + "beit-seg-" + UUID().uuidString

    init() throws {
        try AtomicFile.write("ground 0 0 0\ndisc 255 0 0\n", to: path + "/classes.txt")
        for (split, count) in [("train", 5), ("val", 2)] {
            for index in 0..<count {
                var mask = IndexMask(width: 21, height: 17, values: [UInt16](repeating: 0, count: 21 * 17))
                for i in mask.values.indices {
                    let (x, y) = (i % 21 - 6 - 2 * index, i / 21 - 5 - index)
                    if x * x + y * y < 24 { mask.values[i] = 1 }
                }
                mask.values[0] = 255
                let pixels = mask.values.flatMap {
                    $0 == 1 ? [200, 40, 30] : [90, 100, UInt8(90 + 10 * index)] as [UInt8]
                }
                try writePNG(mask, to: path + "/masks/\(split)/\(index).png")
                try writePNG(
                    RGBImage(width: 21, height: 17, pixels: pixels), to: path + "/images/\(split)/\(index).png")
            }
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func plan(_ precision: Precision) -> SegmentationPlan {
        var result = plan
        result.recipe.precision = precision
        return result
    }

    var plan: SegmentationPlan {
        var backbone = BackboneConfiguration()
        (backbone.width, backbone.depth, backbone.heads, backbone.patchSize) = (8, 2, 2, 4)
        (backbone.imageSize, backbone.dropPath) = ([16, 12], 0.2)
        var plan = SegmentationPlan(
            data: DatasetOptions([path]), initial: .random(backbone), command: "beit-seg finetune")
        plan.decoder = DecoderConfiguration(.deconvolution(.init(channels: [8, 4], normGroups: 2)))
        (plan.recipe.batch, plan.recipe.accumulate, plan.recipe.steps) = (3, 2, 6)
        (plan.recipe.learningRate, plan.recipe.warmupEpochs, plan.recipe.seed) = (5e-3, 2, 7)
        (plan.recipe.averageDecay, plan.recipe.clipGradient, plan.recipe.layerDecay) = (0.9, 1, 0.8)
        return plan
    }

    func run(_ plan: SegmentationPlan, in name: String) throws -> RunFolder {
        let folder = RunFolder(path + "/" + name)
        try Trainer(plan, folder: folder) { _ in }.run { _ in }
        return folder
    }
}

/// Weights and training state of a checkpoint by path, as bits.
private func bits(_ path: String) throws -> [String: [UInt32]] {
    let model = try Checkpoint.load(path, for: .learning).model.module
    let state = try trainingTensors(path)
    let all = model.parameters.map { ($0.path, $0.parameter.value.values) } + state
    return Dictionary(uniqueKeysWithValues: all.map { ($0.0, $0.1.map(\.bitPattern)) })
}

/// The lines of the log without what the clock says.
func logLines(_ folder: RunFolder) throws -> [[String: NSObject]] {
    try String(contentsOfFile: folder.log, encoding: .utf8).split(separator: "\n").map { line in
        let values = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: NSObject]
        return try #require(values).filter { !["images_per_s", "data_wait", "seconds_left"].contains($0.key) }
    }
}

/// The steps of the lines that have this key.
private func steps(_ lines: [[String: NSObject]], with key: String) -> [Int?] {
    lines.filter { $0[key] != nil }.map { ($0["step"] as? NSNumber)?.intValue }
}

@Suite struct TrainerTests {
    /// Those that this machine learns with.
    static let precisions = Precision.allCases.filter { $0.trainingProblem == nil }

    @Test(arguments: precisions) func theLossFalls(_ precision: Precision) throws {
        let set = try DiscSet()
        var plan = set.plan(precision)
        (plan.recipe.steps, plan.recipe.averageDecay) = (60, nil)
        let folder = try set.run(plan, in: "run")
        let log = try String(contentsOfFile: folder.log, encoding: .utf8)
        let losses = try log.split(separator: "\n").compactMap { line in
            (try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])?["loss"] as? Double
        }
        // Means over ten steps each, recorded; other instruction sets round differently.
        let recorded = [0.64693, 0.49317, 0.44047, 0.42294, 0.40050, 0.38978]
        #expect(losses.count == recorded.count)
        let tolerance = precision == .fp32 ? 5e-3 : 0.02
        for (loss, value) in zip(losses, recorded) { #expect(abs(loss - value) < tolerance * value, "\(losses)") }
        let best = try Checkpoint.describe(folder.best)
        #expect(best.classes.map(\.name) == ["ground", "disc"])
        #expect(try #require(best.provenance.metrics?["val_miou"]) > 0.6)
    }

    @Test(arguments: precisions, [2, 5]) func threadsDoNotMatter(_ precision: Precision, _ threads: Int) throws {
        let set = try DiscSet()
        let plan = set.plan(precision)
        let one = try WorkerPool.$scoped.withValue(WorkerPool(threads: 1)) { try set.run(plan, in: "one") }
        let many = try WorkerPool.$scoped.withValue(WorkerPool(threads: threads)) { try set.run(plan, in: "many") }
        #expect(try bits(one.last) == bits(many.last))
    }

    @Test(arguments: precisions) func resumingEqualsNeverHavingStopped(_ precision: Precision) throws {
        let set = try DiscSet()
        let plan = set.plan(precision)
        let whole = try set.run(plan, in: "whole")
        var trainer: Trainer? = try Trainer(plan, folder: RunFolder(set.path + "/parts")) { _ in }
        for step in [2, 3, 6] {
            try trainer?.run(until: step) { _ in }
            try trainer?.save()
            trainer = step < 6 ? try Trainer(resuming: RunFolder(set.path + "/parts")) : nil
        }
        let (expected, found) = try (bits(whole.last), bits(set.path + "/parts/last.h5"))
        #expect(expected.count > 100)
        #expect(Set(expected.keys) == Set(found.keys))
        for (path, value) in expected { #expect(found[path] == value, "\(path)") }
        #expect(try bits(whole.last) == bits(set.path + "/parts/last.h5"))
    }

    /// Shards packed in the photos' order give the folder's bits; read from beginning to end, a run goes on as it began.
    @Test func shardsTrainAsTheirFolderDoes() throws {
        let set = try DiscSet()
        let (source, shards) = (try ShardSource(DatasetOptions([set.path])), set.path + "/shards")
        var size = ShardSize()
        size.samples = 2
        let writer = try ShardWriter(source, to: shards, size: size, seed: nil, sources: [set.path])
        _ = try writer.run(threads: 1, progress: { _ in }) { Issue.record("\($0): \($1)") }
        var plan = set.plan
        let files = try set.run(plan, in: "files")
        plan.data.folders = [shards]
        #expect(try bits(files.last) == bits(set.run(plan, in: "members").last))
        plan.recipe.shuffleBuffer = 2
        let whole = try set.run(plan, in: "whole")
        #expect(try bits(files.last) != bits(whole.last))
        let parts = RunFolder(set.path + "/parts")
        try Trainer(plan, folder: parts) { _ in }.run(until: 3) { _ in }
        try Trainer<SegmentationObjective>(resuming: parts).run { _ in }
        #expect(try bits(whole.last) == bits(parts.last))
    }

    /// A frozen backbone keeps its bits, and the decoder takes the step that it takes where all learn.
    @Test(arguments: precisions) func aFrozenBackboneStays(_ precision: Precision) throws {
        let set = try DiscSet()
        var plan = set.plan(precision)
        (plan.recipe.clipGradient, plan.recipe.averageDecay) = (nil, nil)
        let start = try set.run(plan, in: "start").last
        (plan.initial, plan.dropPath, plan.recipe.steps, plan.recipe.warmupEpochs) = (.checkpoint(start), 0, 1, 0)
        let free = try set.run(plan, in: "free")
        plan.freezesBackbone = true
        let frozen = try set.run(plan, in: "frozen")
        let (before, all, some) = try (bits(start), bits(free.last), bits(frozen.last))
        #expect(some.keys.filter { $0.hasPrefix("moments/first/") }.allSatisfy { $0.contains("/decoder/") })
        for (path, value) in some {
            #expect(value == (path.hasPrefix("backbone/") ? before : all)[path], "\(path)")
            if path.hasPrefix("backbone/blocks/0/mlp/fc1/weight") { #expect(value != all[path]) }
        }
    }

    @Test func aFrozenRunGoesOnBitForBit() throws {
        let set = try DiscSet()
        var plan = set.plan
        (plan.initial, plan.freezesBackbone) = (.checkpoint(try set.run(plan, in: "start").last), true)
        let whole = try set.run(plan, in: "whole")
        let part = RunFolder(set.path + "/part")
        try Trainer(plan, folder: part) { _ in }.run(until: 3) { _ in }
        try Trainer<SegmentationObjective>(resuming: part).run { _ in }
        #expect(try bits(whole.last) == bits(part.last))
    }

    /// The precision is a part of the run: it is in `config.json` and in the state, and the result is another.
    @Test(.enabled(if: precisions.contains(.bf16))) func thePrecisionIsTheRuns() throws {
        let set = try DiscSet()
        let folder = try set.run(set.plan(.bf16), in: "halves"), other = try set.run(set.plan, in: "floats")
        #expect(try bits(folder.last) != bits(other.last))
        let text = try String(contentsOfFile: folder.path + "/config.json", encoding: .utf8)
        #expect(text.contains(#""precision""#) && text.contains(#""bf16""#))
        #expect(try Trainer<SegmentationObjective>(resuming: folder).recipe.precision == .bf16)
        let bytes = #expect(throws: PlanError.self) { try set.run(set.plan(.int8), in: "bytes") }
        #expect(bytes?.description.contains("fp32 or bf16") == true)
    }

    /// Also where it stopped between two lines of the log, or just before one.
    @Test func theLogOfAResumedRunIsWhole() throws {
        let set = try DiscSet()
        var plan = set.plan
        plan.recipe.steps = 33
        let whole = try set.run(plan, in: "whole")
        var trainer: Trainer? = try Trainer(plan, folder: RunFolder(set.path + "/parts")) { _ in }
        for step in [4, 7, 9, 18, 33] {
            try trainer?.run(until: step) { _ in }
            try trainer?.save()
            trainer = step < 33 ? try Trainer(resuming: RunFolder(set.path + "/parts")) : nil
        }
        let (expected, found) = try (logLines(whole), logLines(RunFolder(set.path + "/parts")))
        #expect(steps(expected, with: "lr") == [10, 20, 30, 33])
        #expect(found == expected)
    }

    /// What a kill before the first checkpoint leaves.
    @Test func aRunIsTakenUpFromItsBeginning() throws {
        let set = try DiscSet()
        var plan = set.plan
        plan.recipe.evaluateEvery = 100
        let whole = try set.run(plan, in: "whole"), parts = RunFolder(set.path + "/parts")
        try Trainer(plan, folder: parts) { _ in }.run(until: 1) { _ in }
        try Trainer<SegmentationObjective>(resuming: parts).run { _ in }
        #expect(try bits(whole.last) == bits(parts.last))
    }

    /// In a process of its own, which receives the signal.
    @Test func aValidationThatASignalPreventedIsMadeUpFor() async {
        await #expect(processExitsWith: .success) {
            let set = try DiscSet(), folder = RunFolder(set.path + "/run")
            var plan = set.plan
            (plan.recipe.steps, plan.recipe.evaluateEvery) = (10, 6)
            let trainer = try Trainer(plan, folder: folder) { _ in }
            #expect(throws: TrainingError.interrupted(signal: SIGTERM, step: 10, folder: folder.path)) {
                try trainer.run {
                    guard case .step = $0 else { return }
                    kill(getpid(), SIGTERM)
                    while Interruption.signal == nil { usleep(1000) }
                }
            }
            #expect(try steps(logLines(folder), with: "metrics") == [5])
            try Trainer<SegmentationObjective>(resuming: folder).run { _ in }
            #expect(try steps(logLines(folder), with: "metrics") == [5, 10])
        }
    }

    @Test func oneProcessAtATimeTrainsInAFolder() throws {
        let set = try DiscSet(), path = set.path + "/run"
        var errors: [TrainingError?] = []
        try Trainer(set.plan, folder: RunFolder(path)) { _ in }.run {
            guard case .estimate = $0 else { return }
            errors.append(#expect(throws: TrainingError.self) { try set.run(set.plan, in: "run") })
            errors.append(
                #expect(throws: TrainingError.self) { try Trainer<SegmentationObjective>(resuming: RunFolder(path)) })
        }
        #expect(errors == [.occupied(folder: path), .busy(folder: path)])
    }

    @Test func aModelThatCannotBeResumedIsNotOverwritten() throws {
        let set = try DiscSet(), best = set.path + "/run/best.h5"
        try AtomicFile.write("a model", to: best)
        #expect(throws: TrainingError.wouldOverwrite(file: best)) { try set.run(set.plan, in: "run") }
    }

    @Test func aTornLineIsForgottenAndTheLogStays() throws {
        let set = try DiscSet(), folder = try set.run(set.plan, in: "run")
        let log = try String(contentsOfFile: folder.log, encoding: .utf8)
        try appendBytes(Array("{\"step\": 6, \"epo".utf8) + [0xFF, 0xC3], to: folder.log)
        try Trainer<SegmentationObjective>(resuming: folder).run { _ in }
        #expect(try String(contentsOfFile: folder.log, encoding: .utf8) == log)
    }

    @Test func aLossThatIsNoNumberStopsTheRunAndKeepsTheLastGoodState() throws {
        let set = try DiscSet()
        var plan = set.plan
        (plan.recipe.learningRate, plan.recipe.warmupEpochs, plan.recipe.checkpointEvery) = (1e30, 0, 1)
        plan.recipe.averageDecay = nil
        (plan.recipe.steps, plan.recipe.evaluateEvery) = (9, 100)
        let error = #expect(throws: TrainingError.self) { try set.run(plan, in: "run") }
        guard case .diverged(_, let step, _, let images, _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(step > 1 && !images.isEmpty && images.allSatisfy { $0.hasSuffix(".png") })
        #expect(error?.exitStatus == 65)
        #expect(try StoredTrainingState(set.path + "/run/last.h5") != nil)
    }

    @Test func aRunIsNotOverwritten() throws {
        let set = try DiscSet()
        let folder = try set.run(set.plan, in: "run")
        #expect(throws: TrainingError.occupied(folder: folder.path)) { try set.run(set.plan, in: "run") }
    }

    @Test func otherImagesCannotBeResumedWith() throws {
        let set = try DiscSet()
        let folder = try set.run(set.plan, in: "run")
        try FileManager.default.removeItem(atPath: set.path + "/images/train/4.png")
        let error = #expect(throws: TrainingError.self) { try Trainer<SegmentationObjective>(resuming: folder) }
        #expect(error == .changed(folder: folder.path, what: "the training images are not the same"))
    }

    @Test func aCheckpointGivesItsBackboneAndItsFittingHead() throws {
        let set = try DiscSet()
        let folder = try set.run(set.plan, in: "run")
        var plan = set.plan
        plan.initial = .checkpoint(folder.best)
        plan.decoder = nil
        var notes: [String] = []
        _ = try Trainer(plan, folder: RunFolder(set.path + "/same")) { notes.append($0) }
        #expect(notes.contains { $0.hasPrefix("initial weights: ") } && !notes.contains { $0.hasPrefix("left out") })
        plan.changes = try ConfigurationPatch(settings: ["decoder.channels=8,6"])
        _ = try Trainer(plan, folder: RunFolder(set.path + "/next")) { notes.append($0) }
        #expect(notes.contains { $0.hasPrefix("left out of the checkpoint: decoder/blocks, decoder/head") }, "\(notes)")
    }

    @Test func aRunIsReportedWithPicturesAndEvents() throws {
        let set = try DiscSet()
        let folder = RunFolder(set.path + "/run")
        let trainer = try Trainer(set.plan, folder: folder) { _ in }
        try trainer.run(until: 3) { _ in }
        try trainer.save()
        try Trainer<SegmentationObjective>(resuming: folder).run { _ in }
        let html = try String(contentsOfFile: folder.report, encoding: .utf8)
        #expect(html.components(separatedBy: "data:image/png").count == 3)  // two validation images
        #expect(html.contains("<dd>6 of 6, epoch") && html.contains("<td>0.005</td>") && html.contains("disc"))
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        let events = names.filter { $0.hasPrefix("events.out.tfevents.") }
        #expect(events.count == 2)
        // The second file begins with the version and says that its steps begin with the fourth.
        let second = try Data(contentsOf: URL(fileURLWithPath: folder.path + "/" + (events.last ?? "")))
        #expect(second.count > 2 * 16 && second.range(of: Data([0x10, 4, 0x3A, 2, 8, 1])) != nil)
    }

    @Test func settingsOfFormerRunsAreRead() throws {
        let set = try DiscSet()
        let encoded = try JSONEncoder().encode(Augmentation())
        let names = try #require(try JSONSerialization.jsonObject(with: encoded) as? [String: Any]).keys.sorted()
        #expect(names == ["area", "aspect", "colorJitter", "flip"])
        #expect(set.plan.recipe.schedule == nil)
    }
}

/// The tensors of the training state in a checkpoint, with their paths.
func trainingTensors(_ path: String) throws -> [(String, [Float])] {
    let reader = try HDF5Reader(path)
    return try reader.datasets.filter { $0.path.hasPrefix("/training/") && $0.elementType == .float32 }
        .map { (String($0.path.dropFirst("/training/".count)), try reader.readFloats($0.path).values) }
}
