import BEiTCheckpoints
import BEiTDatasets
import BEiTFiles
import BEiTMetrics
import BEiTModels
import BEiTPrediction
import BEiTScoring
import BEiTTensorCore
import Foundation
import Testing

@testable import BEiTTraining

/// One model for sets of which one calls background what another has a class for: the photos show discs and sky, and each set
/// labels one of them.
@Suite struct SeveralSetsTests {
    private let discs: StripeSet, skies: StripeSet

    init() throws {
        discs = try StripeSet(["background", "disc"])
        skies = try StripeSet(["background", "sky"], train: 4, val: 2)
    }

    private func plan(_ background: BackgroundMeaning? = nil, _ proportions: [Float]? = nil) -> SegmentationPlan {
        var plan = discs.plan
        plan.data = DatasetOptions([discs.path, skies.path])
        (plan.background, plan.proportions) = (background, proportions)
        plan.recipe.evaluateEvery = 1000
        return plan
    }

    private func score(_ model: String, on set: StripeSet, sharing: Bool = false) throws -> SegmentationScore {
        let (network, description) = try Checkpoint.load(model, task: .segmentation)
        guard case .segmentation(let segmenter) = network else { throw CocoaError(.featureUnsupported) }
        let scored = ScoredModel(
            WindowNetwork(segmenter, description), classes: description.classes, path: model, sharesBackground: sharing)
        return try Scoring(LabelledSet(DatasetOptions([set.path]), .val)).score([scored], InferenceOptions())[0]
    }

    private func bits(_ path: String) throws -> [String: [UInt32]] {
        let model = try Checkpoint.load(path, for: .learning).model.module
        let all = model.parameters.map { ($0.path, $0.parameter.value.values) } + (try trainingTensors(path))
        return Dictionary(uniqueKeysWithValues: all.map { ($0.0, $0.1.map(\.bitPattern)) })
    }

    /// What the one set teaches of discs, the background of the other does not take back.
    @Test func aSharedBackgroundContradictsNoOtherSet() throws {
        let whole = try StripeSet(["background", "disc", "sky"], train: 1, val: 4)
        func train(_ background: BackgroundMeaning?, _ name: String) throws -> RunFolder {
            var plan = plan(background)
            (plan.recipe.steps, plan.recipe.learningRate) = (150, 1e-2)
            return try discs.run(plan, in: name)
        }
        let (shared, own) = (try train(.shared, "shared"), try train(nil, "own"))
        let (gained, lost) = (try score(shared.last, on: whole).totals, try score(own.last, on: whole).totals)
        #expect(try #require(gained.meanIoU) > 0.7, "\(gained.meanIoU ?? 0), own \(lost.meanIoU ?? 0)")
        #expect(try #require(lost.meanIoU) < #require(gained.meanIoU) - 0.15)
        #expect(try Checkpoint.describe(shared.last).preprocessing.sharesBackground == true)
        #expect(try Checkpoint.describe(own.last).preprocessing.sharesBackground == nil)
        #expect(try String(contentsOfFile: shared.path + "/config.json", encoding: .utf8).contains("shared_background"))
    }

    /// `eval` finds for each set what the validation said of it.
    @Test(arguments: BackgroundMeaning.allCases) func theValidationScoresEachSet(_ background: BackgroundMeaning) throws
    {
        var plan = plan(background)
        (plan.recipe.steps, plan.recipe.learningRate) = (40, 1e-2)
        var metrics: [String: Double] = [:]
        let folder = try discs.run(plan, in: "run") {
            if case .validation(let report) = $0 { metrics = report.metrics }
        }
        let names = plan.data.names
        #expect(Set(metrics.keys.filter { $0.hasPrefix("val_miou/") }) == Set(names.map { "val_miou/" + $0 }))
        var excused = 0
        for (set, name) in zip([discs, skies], names) {
            let score = try score(folder.best, on: set, sharing: background == .shared)
            #expect(abs(try #require(score.totals.meanIoU) - (metrics["val_miou/" + name] ?? -1)) < 1e-9)
            excused += score.excused
        }
        #expect((excused > 0) == (background == .shared))
        #expect(
            try String(contentsOfFile: folder.log, encoding: .utf8).contains(
                "val_miou/" + names[1].replacing("/", with: "\\/")))
    }

    @Test(arguments: [1, 5]) func threadsAndStopsDoNotMatter(_ threads: Int) throws {
        var plan = plan(.shared, [1, 3])
        (plan.recipe.accumulate, plan.classWeights) = (2, [0.5, 1, 2])
        let whole = try discs.run(plan, in: "whole"), parts = RunFolder(discs.path + "/parts")
        try WorkerPool.$scoped.withValue(WorkerPool(threads: threads)) {
            let trainer = try Trainer(plan, folder: parts) { _ in }
            try trainer.run(until: 2) { _ in }
            try trainer.save()
        }
        try Trainer<SegmentationObjective>(resuming: parts).run { _ in }
        #expect(try bits(whole.last) == bits(parts.last))
        // Background and proportions are part of what a run is.
        #expect(try bits(whole.last) != bits(discs.run(self.plan(.shared), in: "alike").last))
        plan.background = .own
        #expect(try bits(whole.last) != bits(discs.run(plan, in: "own").last))
    }

    @Test func whereAllLabelTheSameClassesItMakesNoDifference() throws {
        let same = try StripeSet(["background", "disc"], train: 2)
        func run(_ background: BackgroundMeaning) throws -> RunFolder {
            var plan = plan(background)
            plan.data.folders[1] = same.path
            return try discs.run(plan, in: background.rawValue)
        }
        let (shared, own) = (try run(.shared), try run(.own))
        #expect(try bits(shared.last) == bits(own.last))
        #expect(try Checkpoint.describe(shared.last).preprocessing.sharesBackground == nil)
    }

    /// UperNet's further head has the same labels.
    @Test func furtherHeadsLearnFromItToo() throws {
        var plan = plan(.shared)
        var upernet = UperNetConfiguration()
        upernet.features = [0, 0, 1, 1]
        upernet.auxiliary?.channels = 8
        plan.decoder = DecoderConfiguration(.upernet(upernet))
        (plan.recipe.steps, plan.recipe.learningRate) = (30, 5e-3)
        var losses: [Double] = []
        _ = try discs.run(plan, in: "run") { if case .step(let report) = $0 { losses.append(report.loss) } }
        #expect(losses.count == 3 && losses[2] < losses[0] && losses.allSatisfy(\.isFinite), "\(losses)")
    }

    @Test func theCheckSaysWhatHappens() throws {
        func notes(_ plan: SegmentationPlan, _ name: String) throws -> [String] {
            var notes: [String] = []
            _ = try Trainer(plan, folder: RunFolder(discs.path + "/" + name)) { notes.append($0) }
            return notes
        }
        let shared = try notes(plan(.shared, [1, 3]), "a")
        #expect(
            shared.contains { $0.contains("\(discs.path): its background may also be sky, for which it has no label") })
        #expect(shared.contains { $0.contains("\(skies.path): its background may also be disc,") })
        #expect(shared.contains { $0.contains("\(skies.path): 4 photos, 75.0 % of what is drawn, each 1.88 times") })
        let own = try notes(plan(.own), "b")
        #expect(
            own.contains { $0.contains("none of the other sets' classes") } && !own.contains { $0.contains("drawn") })
    }

    @Test func whatCannotBeIsRefused() throws {
        func problem(_ plan: SegmentationPlan) -> String? {
            let error = #expect(throws: PlanError.self) { try discs.run(plan, in: "run") }
            #expect(error?.exitStatus == 64)
            return error?.description
        }
        #expect(problem(plan(nil, [1]))?.contains("1 number for 2 data sets") == true)
        #expect(problem(plan(nil, [1, -1]))?.contains("1,-1: each must be from") == true)
        var alone = discs.plan
        alone.background = .own
        #expect(problem(alone)?.contains("`background` is for several data sets") == true)
        // Pascal's layout with nothing but photos that are held out.
        let held = skies.path + "/held"
        for (folder, image) in [("JPEGImages", "images"), ("SegmentationClass", "masks")] {
            try FileManager.default.createDirectory(atPath: held + "/" + folder, withIntermediateDirectories: true)
            try FileManager.default.copyItem(
                atPath: skies.path + "/\(image)/val/0.png", toPath: held + "/\(folder)/0.png")
        }
        try AtomicFile.write("0\n", to: held + "/ImageSets/Segmentation/val.txt")
        var missing = plan(nil, [1, 1])
        missing.data.folders[1] = held
        #expect(problem(missing)?.contains("\(held) has no photo to learn from") == true)
        // What a run learned from cannot become fewer sets.
        let folder = try discs.run(plan(nil, [1, 2]), in: "whole")
        var changes = RunChanges()
        changes.data = [discs.path]
        #expect(throws: PlanError.self) { try Trainer<SegmentationObjective>(resuming: folder, changes) }
    }
}
