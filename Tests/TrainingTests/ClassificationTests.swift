import BEiTCheckpoints
import BEiTDatasets
import BEiTImageIO
import BEiTLayers
import BEiTModels
import BEiTTensorCore
import Foundation
import Testing

@testable import BEiTTraining

/// Photos of three colours in class folders that go away with the test.
final class ColorSet {
    let path = NSTemporaryDirectory() + "beit-seg-" + UUID().uuidString
    static let names = ["blue", "green", "red"]

    init(val: Bool = true) throws {
        var generator = Philox(seed: 1)
        for (split, count) in [("train", 4), ("val", 2)] where val || split == "train" {
            for (channel, name) in Self.names.reversed().enumerated() {
                for index in 0..<count {
                    let pixels = (0..<3 * 20 * 16).map {
                        UInt8(($0 % 3 == channel ? 150 : 60) + generator.integer(below: 50))
                    }
                    try writePNG(
                        RGBImage(width: 20, height: 16, pixels: pixels), to: path + "/\(split)/\(name)/\(index).png")
                }
            }
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    static var backbone: BackboneConfiguration {
        var backbone = BackboneConfiguration()
        (backbone.width, backbone.depth, backbone.heads, backbone.patchSize) = (8, 2, 2, 4)
        (backbone.imageSize, backbone.dropPath) = ([12, 16], 0.2)
        return backbone
    }

    var plan: ClassificationPlan {
        var plan = ClassificationPlan(data: [path], initial: .random(Self.backbone), command: "beit-seg finetune")
        (plan.recipe.batch, plan.recipe.accumulate, plan.recipe.steps) = (5, 2, 6)
        (plan.recipe.learningRate, plan.warmup, plan.recipe.seed) = (5e-3, .share(0.2), 7)
        (plan.recipe.averageDecay, plan.recipe.clipGradient, plan.recipe.layerDecay) = (0.9, 1, 0.8)
        return plan
    }

    func run(_ plan: ClassificationPlan, in name: String) throws -> RunFolder {
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

@Suite struct ClassificationTrainingTests {
    @Test(arguments: ClassifierConfiguration.Pooling.allCases)
    func coloursAreLearned(_ pooling: ClassifierConfiguration.Pooling) throws {
        let set = try ColorSet()
        var plan = set.plan
        (plan.recipe.steps, plan.recipe.averageDecay, plan.recipe.evaluateEvery) = (120, nil, 10)
        (plan.augmentation.randAugment, plan.augmentation.mixing) = (nil, BatchMixing(mixup: 0, cutmix: 0))
        (plan.augmentation.crop.colorJitter, plan.pooling) = (0, pooling)
        (plan.augmentation.labelSmoothing, plan.recipe.learningRate) = (0, 1e-2)
        let folder = try set.run(plan, in: "run")
        let best = try Checkpoint.describe(folder.best)
        #expect(best.task == .classification && best.classes.map(\.name) == ColorSet.names)
        #expect(best.configuration.classifier?.pooling == pooling && best.configuration.classifier?.classes == 3)
        #expect(best.configuration.backbone?.finalNorm == (pooling == .cls))
        #expect(best.preprocessing.resize == "bicubic")
        let metrics = try #require(best.provenance.metrics)
        #expect(metrics["val_top1"] == 1 && metrics["val_top5"] == 1 && (metrics["val_loss"] ?? 9) < 1, "\(metrics)")
    }

    @Test func resumingEqualsNeverHavingStopped() throws {
        let set = try ColorSet()
        let whole = try set.run(set.plan, in: "whole")
        var trainer: Trainer? = try Trainer(set.plan, folder: RunFolder(set.path + "/parts")) { _ in }
        for step in [2, 3, 6] {
            try trainer?.run(until: step) { _ in }
            try trainer?.save()
            trainer = step < 6 ? try Trainer(resuming: RunFolder(set.path + "/parts")) : nil
        }
        let (expected, found) = try (bits(whole.last), bits(set.path + "/parts/last.h5"))
        #expect(expected.count > 60 && expected.keys.contains { $0.hasPrefix("average/") })
        #expect(expected == found)
    }

    @Test func threadsDoNotMatter() throws {
        let set = try ColorSet()
        let one = try WorkerPool.$scoped.withValue(WorkerPool(threads: 1)) { try set.run(set.plan, in: "one") }
        let many = try WorkerPool.$scoped.withValue(WorkerPool(threads: 3)) { try set.run(set.plan, in: "many") }
        #expect(try bits(one.last) == bits(many.last))
    }

    @Test func otherClassesCannotBeResumedWith() throws {
        let set = try ColorSet()
        let folder = try set.run(set.plan, in: "run")
        try FileManager.default.moveItem(atPath: set.path + "/train/red", toPath: set.path + "/train/pink")
        try FileManager.default.removeItem(atPath: set.path + "/val/red")
        let error = #expect(throws: TrainingError.self) { try Trainer<ClassificationObjective>(resuming: folder) }
        #expect(error?.exitStatus == 65 && error?.description.contains("classes of the data") == true)
    }

    @Test func withoutValidationThereIsNoBest() throws {
        let set = try ColorSet(val: false)
        var notes: [String] = []
        let folder = RunFolder(set.path + "/run")
        try Trainer(set.plan, folder: folder) { notes.append($0) }.run { _ in }
        #expect(notes.contains { $0.contains("held out to validate on") })
        #expect(FileManager.default.fileExists(atPath: folder.last))
        #expect(!FileManager.default.fileExists(atPath: folder.best))
    }

    /// Every parameter of a model, by path.
    private func weights(_ path: String) throws -> [String: [Float]] {
        let parameters = try Checkpoint.load(path, for: .learning).model.module.parameters
        return Dictionary(uniqueKeysWithValues: parameters.map { ($0.path, $0.parameter.value.values) })
    }

    private func save(_ configuration: ModelConfiguration, _ classes: [String], to path: String) throws {
        let model = Model(configuration, Initializer(seed: 9, style: .pretraining))
        for named in model.module.parameters where named.path.hasSuffix("bias_table") {
            for i in 0..<named.parameter.value.count { named.parameter.value.pointer[i] = Float(i % 7) * 0.01 }
        }
        let description = ModelDescription(
            task: configuration.task ?? .mim, configuration: configuration,
            classes: classes.map { LabelClass(name: $0, color: RGBColor(1, 2, 3)) },
            preprocessing: Preprocessing(
                mean: [0.4, 0.5, 0.6], std: [0.2, 0.3, 0.2], size: configuration.backbone?.imageSize ?? []),
            provenance: Provenance(command: "test"))
        try Checkpoint.save(model.module, description, to: path)
    }

    /// A run of no effect: what a model starts from, as its first checkpoint has it.
    private func start(_ set: ColorSet, _ initial: String, in name: String) throws -> (file: String, notes: [String]) {
        var plan = set.plan
        (plan.initial, plan.recipe.learningRate, plan.recipe.minimumLearningRate) = (.checkpoint(initial), 0, 0)
        (plan.recipe.steps, plan.recipe.averageDecay) = (1, nil)
        var notes: [String] = []
        let folder = RunFolder(set.path + "/" + name)
        try Trainer(plan, folder: folder) { notes.append($0) }.run { _ in }
        return (folder.last, notes)
    }

    /// Masked image modeling → classification: the shared table goes to every block, the rest by name.
    @Test func aMaskedImageModelStartsAClassifier() throws {
        let set = try ColorSet()
        var backbone = ColorSet.backbone
        backbone.position = .relativeShared
        var head = MIMConfiguration()
        head.vocabulary = 11
        try save(.mim(backbone, head), [], to: set.path + "/mim.h5")
        let (file, notes) = try start(set, set.path + "/mim.h5", in: "run")
        let (old, new) = (try weights(set.path + "/mim.h5"), try weights(file))
        #expect(
            notes.contains { $0.hasPrefix("left out of the checkpoint: backbone/mask_token, backbone/norm") },
            "\(notes)")
        #expect(notes.contains("starting at random: fc_norm/weight, fc_norm/bias, head/weight, head/bias"), "\(notes)")
        let table = old["backbone/rel_pos_bias/relative_position_bias_table"]
        for block in 0..<2 {
            #expect(new["backbone/blocks/\(block)/attn/relative_position_bias_table"] == table)
        }
        let common = old.keys.filter { new[$0] != nil }
        #expect(common.count > 25 && common.allSatisfy { old[$0] == new[$0] })
        #expect(try Checkpoint.describe(file).preprocessing.mean == [0.4, 0.5, 0.6])
    }

    /// Segmentation → classification → segmentation: the backbone stays, heads are replaced.
    @Test func tasksFollowOneAnother() throws {
        let set = try ColorSet()
        let decoder = DecoderConfiguration(.deconvolution(.init(channels: [8, 4], normGroups: 2)), classes: 3)
        try save(.segmentation(ColorSet.backbone, decoder), ["a", "b", "c"], to: set.path + "/seg.h5")
        let (file, notes) = try start(set, set.path + "/seg.h5", in: "run")
        #expect(
            notes.contains { $0.hasPrefix("left out of the checkpoint: backbone/norm, decoder/blocks") }, "\(notes)")
        let (first, second) = (try weights(set.path + "/seg.h5"), try weights(file))
        let blocks = first.keys.filter { $0.hasPrefix("backbone/") && !$0.hasPrefix("backbone/norm/") }
        #expect(blocks.allSatisfy { first[$0] == second[$0] } && second["decoder/head/weight"] == nil)

        try Data("ground\ndisc\n".utf8).write(to: URL(fileURLWithPath: set.path + "/classes.txt"))
        try writePNG(RGBImage(width: 4, height: 4, pixels: Array(0..<48)), to: set.path + "/images/train/a.png")
        try writePNG(
            IndexMask(width: 4, height: 4, values: (0..<16).map { $0 % 2 }), to: set.path + "/masks/train/a.png")
        var plan = SegmentationPlan(data: DatasetOptions([set.path]), initial: .checkpoint(file), command: "test")
        plan.data.layout = .folders
        plan.decoder = decoder
        (plan.recipe.steps, plan.recipe.batch, plan.recipe.learningRate) = (1, 1, 0)
        plan.recipe.minimumLearningRate = 0
        var lines: [String] = []
        try Trainer(plan, folder: RunFolder(set.path + "/seg")) { lines.append($0) }.run { _ in }
        #expect(
            lines.contains("left out of the checkpoint: fc_norm/bias, fc_norm/weight, head/bias, head/weight"),
            "\(lines)")
        let third = try weights(set.path + "/seg/last.h5")
        #expect(blocks.allSatisfy { third[$0] == first[$0] } && third["head/weight"] == nil)
        #expect(try Checkpoint.describe(set.path + "/seg/last.h5").preprocessing.resize == "bilinear")
    }

    /// A head of as many, but other classes would begin with wrong answers.
    @Test func aHeadIsKeptForItsOwnClassesOnly() throws {
        let set = try ColorSet()
        var head = ClassifierConfiguration()
        head.classes = 3
        try save(.classification(ColorSet.backbone, head), ColorSet.names, to: set.path + "/same.h5")
        try save(.classification(ColorSet.backbone, head), ["x", "y", "z"], to: set.path + "/other.h5")
        let same = try start(set, set.path + "/same.h5", in: "same")
        #expect(!same.notes.contains { $0.hasPrefix("starting at random") }, "\(same.notes)")
        #expect(try weights(same.file)["head/weight"] == weights(set.path + "/same.h5")["head/weight"])
        let other = try start(set, set.path + "/other.h5", in: "other")
        #expect(other.notes.contains("starting at random: head/weight, head/bias"), "\(other.notes)")
        #expect(try weights(other.file)["fc_norm/weight"] == weights(set.path + "/other.h5")["fc_norm/weight"])
    }

    @Test func aTokenizerStartsNothing() throws {
        let set = try ColorSet()
        var tokenizer = TokenizerConfiguration()
        (tokenizer.hidden, tokenizer.blocks, tokenizer.vocabulary, tokenizer.codeWidth) = (4, 1, 5, 4)
        let model = Model(.tokenizer(tokenizer), Initializer(seed: 1, style: .pretraining))
        let description = ModelDescription(
            task: .tokenizer, configuration: .tokenizer(tokenizer), classes: [],
            preprocessing: .tokenizer(size: [16, 16]), provenance: Provenance(command: "test"))
        try Checkpoint.save(model.module, description, to: set.path + "/t.h5")
        #expect(
            throws: CheckpointError.noBackbone(file: set.path + "/t.h5", .tokenizer)
        ) { try start(set, set.path + "/t.h5", in: "run") }
        #expect(!FileManager.default.fileExists(atPath: set.path + "/run"))
    }
}
