import BEiTCheckpoints
import BEiTDatasets
import BEiTFiles
import BEiTHDF5
import BEiTImageIO
import BEiTLayers
import BEiTMetrics
import BEiTModels
import BEiTOps
import BEiTPrediction
import BEiTScoring
import BEiTTensorCore
import Foundation
import Testing

@testable import BEiTTraining

/// Labelled photos of `classes` stripes, in a folder that goes away with the test.
final class StripeSet {
    let path = NSTemporaryDirectory() + "beit-seg-" + UUID().uuidString
    private static let colors: [[UInt8]] = [[90, 100, 90], [200, 40, 30], [30, 60, 210]]

    /// - Parameter names: of the classes, in the order of the list.
    init(_ names: [String] = ["ground", "disc", "sky"], train: Int = 6, val: Int = 3) throws {
        let known = ["ground", "disc", "sky"]
        let list = names.enumerated().map { "\($1) \(40 * $0) 0 0\n" }.joined()
        try AtomicFile.write(list, to: path + "/classes.txt")
        for (split, count) in [("train", train), ("val", val)] {
            for index in 0..<count {
                let (width, height) = (25 + 3 * (index % 8), 31 - 2 * (index % 8))
                let stripes = (0..<width * height).map { ($0 % width / 6 + index) % 3 }
                let values = stripes.map { UInt16(names.firstIndex(of: known[$0]) ?? 0) }
                let pixels = stripes.flatMap { Self.colors[$0] }
                try writePNG(
                    IndexMask(width: width, height: height, values: values), to: path + "/masks/\(split)/\(index).png")
                try writePNG(
                    RGBImage(width: width, height: height, pixels: pixels), to: path + "/images/\(split)/\(index).png")
            }
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var plan: SegmentationPlan {
        var backbone = BackboneConfiguration()
        (backbone.width, backbone.depth, backbone.heads, backbone.patchSize) = (8, 2, 2, 4)
        (backbone.imageSize, backbone.dropPath) = ([16, 16], 0.1)
        var plan = SegmentationPlan(data: DatasetOptions([path]), initial: .random(backbone), command: "test")
        plan.decoder = DecoderConfiguration(.deconvolution(.init(channels: [8, 4], normGroups: 2)))
        (plan.recipe.batch, plan.recipe.steps, plan.recipe.learningRate) = (3, 6, 5e-3)
        (plan.recipe.warmupEpochs, plan.recipe.seed) = (1, 7)
        return plan
    }

    func run(_ plan: SegmentationPlan, in name: String, _ report: (TrainingEvent) -> Void = { _ in }) throws
        -> RunFolder
    {
        let folder = RunFolder(path + "/" + name)
        try Trainer(plan, folder: folder) { _ in }.run(report)
        return folder
    }
}

/// Weights and training state of a checkpoint by path, as bits.
private func bits(_ path: String) throws -> [String: [UInt32]] {
    let model = try Checkpoint.load(path, for: .learning).model.module
    let all = model.parameters.map { ($0.path, $0.parameter.value.values) } + (try trainingTensors(path))
    return Dictionary(uniqueKeysWithValues: all.map { ($0.0, $0.1.map(\.bitPattern)) })
}

private func savedStep(_ folder: RunFolder) throws -> Int {
    try Trainer<SegmentationObjective>.state(in: folder, of: .segmentation).1.progress.step
}

@Suite struct LostWorkTests {
    /// A photo whose end is missing: its header is in order, so that it shows in the middle of the run.
    @Test func aDamagedPhotoIsReplacedByTheNext() throws {
        let set = try StripeSet()
        let damaged = set.path + "/images/train/2.png"
        try Data(Data(contentsOf: URL(fileURLWithPath: damaged)).dropLast(60)).write(to: URL(fileURLWithPath: damaged))
        let whole = try set.run(set.plan, in: "run")
        #expect(try savedStep(whole) == 6)
        // Too many are no accident.
        for index in 3...4 {
            try Data([1, 2, 3]).write(to: URL(fileURLWithPath: set.path + "/images/train/\(index).png"))
        }
        let error = #expect(throws: DatasetError.self) { try set.run(set.plan, in: "next") }
        #expect(error?.exitStatus == 65)
    }

    /// Errors that are not the photo's own end the run: a folder that nobody may read stands for a failing disk.
    @Test func onlyDamageIsReplaced() {
        #expect(isDamage(ImageError(path: "a", .unknownFormat)))
        #expect(isDamage(FileError(.missing, path: "a", reason: "")))
        #expect(!isDamage(FileError.system("a", doing: "read", code: EIO)))
        #expect(!isDamage(FileError.system("a", doing: "open", code: EMFILE)))
        #expect(!isDamage(DatasetError(.invalid, path: "a", reason: "a label")))
    }

    /// The log cannot be written any more: the updates since the last checkpoint are saved before the run ends.
    @Test func anErrorLeavesTheLastStateBehind() throws {
        let set = try StripeSet()
        var plan = set.plan
        (plan.recipe.steps, plan.recipe.evaluateEvery) = (30, 1000)
        let folder = RunFolder(set.path + "/run")
        let trainer = try Trainer(plan, folder: folder) { _ in }
        try? FileManager.default.removeItem(atPath: folder.log)
        try FileManager.default.createDirectory(atPath: folder.log, withIntermediateDirectories: true)
        let error = #expect(throws: FileError.self) { try trainer.run { _ in } }
        #expect(error?.exitStatus == 74)
        #expect(try savedStep(folder) == 10)
        try FileManager.default.removeItem(atPath: folder.log)
        try Trainer<SegmentationObjective>(resuming: folder).run { _ in }
        let whole = try set.run(plan, in: "whole")
        #expect(try bits(folder.last) == bits(whole.last))
    }

    /// A folder that is removed in the middle of a run is not made again with half of what was in it.
    @Test func aFolderThatIsRemovedIsAnError() throws {
        let set = try StripeSet()
        var plan = set.plan
        (plan.recipe.steps, plan.recipe.evaluateEvery) = (30, 1)
        let folder = RunFolder(set.path + "/run")
        let trainer = try Trainer(plan, folder: folder) { _ in }
        let error = #expect(throws: FileError.self) {
            try trainer.run { event in
                if case .validating = event { try? FileManager.default.removeItem(atPath: folder.path) }
            }
        }
        #expect(error?.exitStatus == 74 && error?.description.contains("run: the folder of the run") == true)
        #expect(!FileManager.default.fileExists(atPath: folder.path))
    }

    /// A report that cannot be written ends the run with its status, after the state and the best model are there.
    @Test func aFailingReportLosesNothing() throws {
        let set = try StripeSet()
        let folder = RunFolder(set.path + "/run")
        let trainer = try Trainer(set.plan, folder: folder) { _ in }
        try FileManager.default.createDirectory(atPath: folder.report, withIntermediateDirectories: true)
        #expect(throws: FileError.self) { try trainer.run { _ in } }
        #expect(try savedStep(folder) == 2)  // the first validation's
        #expect(FileManager.default.fileExists(atPath: folder.best))
        try FileManager.default.removeItem(atPath: folder.report)
        try Trainer<SegmentationObjective>(resuming: folder).run { _ in }
        #expect(try bits(folder.last) == bits(set.run(set.plan, in: "whole").last))
    }

    /// A signal in the middle of a validation ends it; it is made up for.
    @Test func aSignalEndsAValidation() async {
        await #expect(processExitsWith: .success) {
            let set = try StripeSet(val: 40), folder = RunFolder(set.path + "/run")
            var plan = set.plan
            (plan.recipe.steps, plan.recipe.checkpointEvery) = (2, 100)
            let trainer = try Trainer(plan, folder: folder) { _ in }
            var (scored, isSaved) = (false, false)
            #expect(throws: TrainingError.interrupted(signal: SIGTERM, step: 2, folder: folder.path)) {
                try trainer.run {
                    if case .validation = $0 { scored = true }
                    guard case .validating(40) = $0 else { return }
                    isSaved = (try? savedStep(folder)) == 2
                    kill(getpid(), SIGTERM)
                    while Interruption.signal == nil { usleep(1000) }
                }
            }
            #expect(isSaved && !scored)
            try Trainer<SegmentationObjective>(resuming: folder).run { _ in }
            #expect(try bits(folder.last) == bits(set.run(plan, in: "whole").last))
        }
    }

    /// A kill between a validation's line in the log and the state that knows of it: the line is there once.
    @Test func aValidationIsLoggedOnce() throws {
        let set = try StripeSet(), folder = RunFolder(set.path + "/run")
        var plan = set.plan
        plan.recipe.steps = 2
        let trainer = try Trainer(plan, folder: folder) { _ in }
        let owing = set.path + "/owing.h5"
        try trainer.run {
            if case .validating = $0 { try? FileManager.default.copyItem(atPath: folder.last, toPath: owing) }
        }
        let lines = try validations(folder)
        #expect(lines == [2])
        try FileManager.default.removeItem(atPath: folder.last)
        try FileManager.default.moveItem(atPath: owing, toPath: folder.last)
        try Trainer<SegmentationObjective>(resuming: folder).run { _ in }
        #expect(try validations(folder) == lines)
    }

    /// The steps of the validations in a log.
    private func validations(_ folder: RunFolder) throws -> [Int] {
        struct Line: Decodable {
            var step: Int
            var best: Bool?
        }
        let text = try String(contentsOfFile: folder.log, encoding: .utf8)
        let lines = try text.split(separator: "\n").map { try JSONDecoder().decode(Line.self, from: Data($0.utf8)) }
        return lines.filter { $0.best != nil }.map(\.step)
    }

    /// Whatever the learning rate, what is written can be read.
    @Test(arguments: [1e3, 1e12, 1e25, 1e38, 1e39, 1e300])
    func checkpointsStaySoundAtAnyLearningRate(_ rate: Double) throws {
        let set = try StripeSet()
        var plan = set.plan
        (plan.recipe.learningRate, plan.recipe.warmupEpochs, plan.recipe.checkpointEvery) = (rate, 0, 1)
        (plan.recipe.steps, plan.recipe.averageDecay) = (8, 0.5)
        do { _ = try set.run(plan, in: "run") } catch let error as TrainingError { #expect(error.exitStatus == 65) }
        let folder = RunFolder(set.path + "/run")
        #expect(try trainingTensors(folder.last).allSatisfy { $0.1.allSatisfy(\.isFinite) })
        _ = try Checkpoint.load(folder.last)
        if FileManager.default.fileExists(atPath: folder.best) { _ = try Checkpoint.load(folder.best) }
    }
}

@Suite struct ResumeTests {
    /// The state of a run with one value of its JSON changed.
    private func change(_ folder: RunFolder, _ change: (inout [String: Any]) throws -> Void) throws {
        let state = try #require(try StoredTrainingState(folder.last))
        let reader = try HDF5Reader(folder.last)
        let tensors = try trainingTensors(folder.last).map { path, values in
            (path: path, tensor: Tensor(values, try reader.info("/training/" + path).shape))
        }
        let (model, description) = try Checkpoint.load(folder.last, for: .learning)
        var json = try #require(try JSONSerialization.jsonObject(with: Data(state.json.utf8)) as? [String: Any])
        try change(&json)
        let text = String(decoding: try JSONSerialization.data(withJSONObject: json), as: UTF8.self)
        try Checkpoint.save(
            model.module, description, training: TrainingState(tensors: tensors, json: text), to: folder.last)
    }

    @Test func aStateThatMakesNoSenseIsRefused() throws {
        let set = try StripeSet()
        let folder = try set.run(set.plan, in: "run")
        let original = try Data(contentsOf: URL(fileURLWithPath: folder.last))
        let values: [([String], Any)] = [
            (["progress", "step"], -1), (["progress", "step"], 7), (["progress", "step"], 1 << 62),
            (["progress", "bestScore"], 1e305), (["progress", "meter", "updates"], -4),
            (["progress", "counts"], [1e300]), (["optimizerSteps"], -1), (["optimizerSteps"], 5),
            (["recipe", "batch"], 0), (["recipe", "batch"], 1 << 40), (["recipe", "accumulate"], 0),
            (["recipe", "steps"], 0), (["recipe", "steps"], -3), (["recipe", "learningRate"], -1),
            (["recipe", "evaluateEvery"], 0), (["recipe", "checkpointEvery"], 0), (["recipe", "layerDecay"], 0),
            (["recipe", "warmupEpochs"], 1e300), (["recipe", "epochs"], "many"), (["recipe"], [1]),
            (["settings", "augmentation", "area"], [1]), (["settings", "augmentation", "aspect"], [-1, 2]),
            (["settings", "augmentation", "flip"], 3), (["settings", "classWeights"], [1]),
            (["settings", "data", "folders"], [String]()), (["settings", "data", "labelMaps"], ["a", "b"]),
            (["settings", "preprocessing", "size"], [1, 1, 1]), (["settings", "preprocessing", "std"], [0, 0, 0]),
            (["settings", "configuration", "backbone", "depth"], 3), (["fingerprint"], -1),
        ]
        for (path, value) in values {
            try original.write(to: URL(fileURLWithPath: folder.last))
            try change(folder) { json in
                func set(_ object: Any?, _ path: ArraySlice<String>) -> Any {
                    guard let key = path.first else { return value }
                    var object = object as? [String: Any] ?? [:]
                    object[key] = set(object[key], path.dropFirst())
                    return object
                }
                json = try #require(set(json, path[...]) as? [String: Any])
            }
            do {
                _ = try Trainer<SegmentationObjective>(resuming: folder)
                Issue.record("\(path) = \(value) was accepted")
            } catch let error as any BEiTFiles.ExitStatus {
                #expect(error.exitStatus == 65 && error.description.contains("last.h5"), "\(path): \(error)")
            }
        }
    }

    @Test func otherContentsUnderTheSameNamesAreNoticed() throws {
        let set = try StripeSet()
        let folder = try set.run(set.plan, in: "run")
        let (mask, copy) = (set.path + "/masks/train/3.png", set.path + "/copy.png")
        try FileManager.default.moveItem(atPath: mask, toPath: copy)
        var other = try decodeMask(copy)
        other.values[5] = (other.values[5] + 1) % 3
        try writePNG(other, to: mask)
        let error = #expect(throws: TrainingError.self) { try Trainer<SegmentationObjective>(resuming: folder) }
        #expect(error?.exitStatus == 65 && error?.description.contains("something else now") == true)
        try FileManager.default.removeItem(atPath: mask)
        try FileManager.default.moveItem(atPath: copy, toPath: mask)
        _ = try Trainer<SegmentationObjective>(resuming: folder)
    }

    @Test func dataThatHasMovedIsFound() throws {
        let set = try StripeSet()
        var plan = set.plan
        let whole = try set.run(plan, in: "whole")
        let (old, new) = (set.path + "/old", set.path + "/new")
        try FileManager.default.createDirectory(atPath: old, withIntermediateDirectories: true)
        for name in ["images", "masks", "classes.txt"] {
            try FileManager.default.copyItem(atPath: set.path + "/" + name, toPath: old + "/" + name)
        }
        plan.data.folders = [old]
        let folder = RunFolder(set.path + "/run")
        let trainer = try Trainer(plan, folder: folder) { _ in }
        try trainer.run(until: 3) { _ in }
        try trainer.save()
        try FileManager.default.moveItem(atPath: old, toPath: new)
        #expect(throws: DatasetError.self) { try Trainer<SegmentationObjective>(resuming: folder) }
        var changes = RunChanges()
        changes.data = [new]
        try Trainer<SegmentationObjective>(resuming: folder, changes).run { _ in }
        #expect(try bits(whole.last) == bits(folder.last))
        _ = try Trainer<SegmentationObjective>(resuming: folder)  // which knows the place now
        #expect(try String(contentsOfFile: folder.config, encoding: .utf8).contains(new))
    }

    /// A longer run is that of this length from the present step on.
    @Test func aRunBecomesLonger() throws {
        let set = try StripeSet()
        let folder = try set.run(set.plan, in: "run")
        var changes = RunChanges()
        changes.steps = 5
        let fewer = #expect(throws: PlanError.self) { try Trainer<SegmentationObjective>(resuming: folder, changes) }
        #expect(fewer?.description.contains("has done 6 steps") == true)
        changes.steps = 12
        var rates: [Double] = [], notes: [String] = []
        try Trainer<SegmentationObjective>(resuming: folder, changes).run {
            if case .step(let report) = $0 { rates.append(report.learningRate) }
            if case .note(let text) = $0 { notes.append(text) }
        }
        #expect(try savedStep(folder) == 12)
        #expect(notes.count == 1 && notes[0].contains("12 steps in place of 6"), "\(notes)")
        let schedule = set.plan.recipe.rates(steps: 12, warmupSteps: 2)
        #expect(rates == [schedule.value(at: 9), schedule.value(at: 11)])
        (changes.steps, changes.epochs) = (nil, 10)
        try Trainer<SegmentationObjective>(resuming: folder, changes).run { _ in }
        #expect(try savedStep(folder) == 20)
    }
}

@Suite struct PlanTests {
    @Test func whatTeachesNothingIsRefused() throws {
        let set = try StripeSet()
        for index in 0..<6 {
            let mask = try decodeMask(set.path + "/masks/train/\(index).png")
            try writePNG(
                IndexMask(
                    width: mask.width, height: mask.height,
                    values: [UInt16](repeating: index % 2 == 0 ? 1 : 255, count: mask.values.count)),
                to: set.path + "/masks/train/\(index).png")
        }
        let one = #expect(throws: DatasetError.self) { try set.run(set.plan, in: "run") }
        #expect(one?.exitStatus == 65 && one?.description.contains("no pixel of a class but disc") == true)
        var plan = try StripeSet().plan
        plan.classWeights = [0, 3, 0]
        let other = try StripeSet()
        plan.data.folders = [other.path]
        let weights = #expect(throws: PlanError.self) { try other.run(plan, in: "run") }
        #expect(weights?.description.contains("leave one class") == true)
        for odd in [[1, 2], [1, 2, .nan], [1, -1, 2], [0, 0, 0], [1, 2, .infinity]] as [[Float]] {
            plan.classWeights = odd
            #expect(throws: PlanError.self) { try other.run(plan, in: "run") }
        }
    }

    @Test func whatSchedulesDoIsSaid() throws {
        let set = try StripeSet()
        var (plan, notes) = (set.plan, [String]())
        (plan.recipe.batch, plan.recipe.warmupEpochs) = (40, 9)
        _ = try Trainer(plan, folder: RunFolder(set.path + "/large")) { notes.append($0) }
        #expect(notes.contains { $0.contains("a batch of 40 is more than the 6 images") }, "\(notes)")
        #expect(notes.contains { $0.contains("takes the whole run of 6.0") }, "\(notes)")
        #expect(notes.contains { $0.hasPrefix("recipe: 6 steps of batches of 6") }, "\(notes)")
        (plan.recipe.learningRate, plan.recipe.minimumLearningRate) = (1e-7, 1e-6)
        let rising = #expect(throws: PlanError.self) { try set.run(plan, in: "run") }
        #expect(rising?.description.contains("it would rise") == true)
    }

    @Test func theForecastRefusesBeforeItStarts() throws {
        let set = try StripeSet()
        var plan = set.plan
        plan.initial = .random(Preset.base.backbone)
        plan.size = [32768, 32768]
        let size = #expect(throws: PlanError.self) { try set.run(plan, in: "run") }
        #expect(size?.description.contains("GiB of memory") == true, "\(String(describing: size))")
        #expect(!FileManager.default.fileExists(atPath: set.path + "/run"))
        #expect(throws: PlanError.self) { try MachineMemory.require(2 << 30, limit: 1 << 30) }
        try MachineMemory.require(1 << 29, limit: 1 << 30)
    }

    /// The arithmetic is below what a run really takes, and not far.
    @Test func theLeastMemoryIsLess() async {
        await #expect(processExitsWith: .success) {
            let set = try StripeSet()
            var plan = set.plan
            plan.initial = .random(Preset.tiny.backbone)
            (plan.decoder, plan.recipe.steps) = (nil, 1)
            var found = 0
            let folder = try set.run(plan, in: "run") { if case .memory(let bytes) = $0 { found = bytes } }
            let configuration = try Checkpoint.describe(folder.last).configuration
            let least = configuration.leastTrainingBytes(
                batch: 3, checkpointsBlocks: false, size: [224, 224], precision: .fp32)
            #expect(least < found && least > found / 6, "\(least >> 20) of \(found >> 20) MiB")
        }
    }
}

@Suite struct HeadTests {
    private func head(_ path: String) throws -> (weight: [[Float]], bias: [Float]) {
        let all = try Checkpoint.load(path, for: .learning).model.module.parameters
        let weight = try #require(all.first { $0.path == "decoder/head/weight" }).parameter.value
        let bias = try #require(all.first { $0.path == "decoder/head/bias" }).parameter.value.values
        return ((0..<weight.shape[0]).map { weight.rows($0..<$0 + 1).values }, bias)
    }

    /// The first state of a run that starts from `parent`.
    private func start(_ set: StripeSet, from parent: String, in other: StripeSet) throws -> (
        file: String, notes: [String]
    ) {
        var (plan, notes) = (set.plan, [String]())
        (plan.initial, plan.decoder) = (.checkpoint(parent), nil)
        let folder = RunFolder(other.path + "/" + UUID().uuidString)
        let trainer = try Trainer(plan, folder: folder) { notes.append($0) }
        try trainer.save()
        return (folder.last, notes)
    }

    @Test func rowsGoByTheNamesOfTheClasses() throws {
        let set = try StripeSet(["ground", "disc", "sky"])
        let parent = try set.run(set.plan, in: "run").last, old = try head(parent)
        let (permuted, notes) = try start(StripeSet(["sky", "ground", "disc"]), from: parent, in: set)
        let new = try head(permuted)
        #expect(new.weight == [old.weight[2], old.weight[0], old.weight[1]])
        #expect(new.bias == [old.bias[2], old.bias[0], old.bias[1]])
        #expect(notes.contains { $0.contains("by the names of the classes: sky, ground, disc taken over") }, "\(notes)")
        // One name is another: its row is drawn, the others stay.
        let (other, said) = try start(StripeSet(["ground", "disk", "sky"]), from: parent, in: set)
        let mixed = try head(other)
        #expect(mixed.weight[0] == old.weight[0] && mixed.weight[2] == old.weight[2])
        #expect(mixed.weight[1] != old.weight[1] && mixed.bias[1] != old.bias[1])
        #expect(said.contains { $0.contains("does not know them: disk") }, "\(said)")
        #expect(said.contains { $0.contains("not learned here: disc") }, "\(said)")
        // More classes than before.
        let (more, _) = try start(StripeSet(["ground", "disc", "sky", "water"]), from: parent, in: set)
        #expect(try head(more).weight.prefix(3) == old.weight[...])
        // The same list: nothing to say.
        let (same, quiet) = try start(StripeSet(["ground", "disc", "sky"]), from: parent, in: set)
        #expect(try head(same).weight == old.weight)
        #expect(!quiet.contains { $0.contains("by the names") || $0.hasPrefix("starting at random") }, "\(quiet)")
    }
}

@Suite struct ValidationTests {
    /// The score that chooses `best.h5` is the one that `eval` finds for it.
    @Test(arguments: [nil, 0.9] as [Double?]) func isWhatEvalFinds(_ average: Double?) throws {
        let set = try StripeSet(val: 5)
        var plan = set.plan
        (plan.recipe.steps, plan.recipe.averageDecay) = (14, average)
        var scores: [(score: [String: Double], best: Bool)] = [], end: EndReport?
        let folder = try set.run(plan, in: "run") {
            if case .validation(let report) = $0 { scores.append((report.metrics, report.best)) }
            if case .ended(let report) = $0 { end = report }
        }
        let best = try #require(scores.last { $0.best }?.score)
        let (model, description) = try Checkpoint.load(folder.best, task: .segmentation)
        guard case .segmentation(let segmenter) = model else { throw CocoaError(.featureUnsupported) }
        let scored = ScoredModel(
            WindowNetwork(segmenter, description), classes: description.classes, path: folder.best)
        let score = try Scoring(LabelledSet(DatasetOptions([set.path]), .val)).score([scored], InferenceOptions())[0]
        #expect(abs(try #require(score.totals.meanIoU) - (best["val_miou"] ?? 0)) < 1e-9)
        for (index, name) in ["ground", "disc", "sky"].enumerated() {
            #expect(score.totals.iou(index) == best["val_iou/" + name])
        }
        #expect(description.provenance.metrics?["val_miou"] == best["val_miou"])
        #expect(try #require(best["val_loss"]) > 0 && description.provenance.metrics?["val_iou/sky"] == nil)
        #expect(end?.best?.file == folder.best && end?.best?.score.metric == "val_miou")
        #expect(end?.best?.score.value == best["val_miou"] && end?.last == folder.last)
    }

    @Test func withoutValidationThereIsNoBest() throws {
        let set = try StripeSet(val: 0)
        var (end, notes) = (nil as EndReport?, [String]())
        let folder = RunFolder(set.path + "/run")
        try Trainer(set.plan, folder: folder) { notes.append($0) }.run {
            if case .ended(let report) = $0 { end = report }
        }
        #expect(end != nil && end?.best == nil && !FileManager.default.fileExists(atPath: folder.best))
        #expect(notes.contains { $0.contains("there will be no best.h5") }, "\(notes)")
    }
}
