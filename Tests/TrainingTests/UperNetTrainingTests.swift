import BEiTCheckpoints
import BEiTDatasets
import BEiTFiles
import BEiTHDF5
import BEiTImageIO
import BEiTLayers
import BEiTModels
import BEiTOps
import BEiTProcesses
import BEiTTensorCore
import Foundation
import Testing

@testable import BEiTTraining

/// Batches and labels of `scripts/make-upernet-trajectory.py`, which PyTorch has learned from.
private final class RecordedSegmentation: Objective {
    struct Batch: Sendable {
        var pixels: Tensor
        var labels: [Int32]
    }
    private static let side = 64, depthOfNetwork = 4
    let settings: [String] = []
    let network: Segmenter
    private let configuration: ModelConfiguration
    private let batches: [Batch]
    /// Of each step.
    private(set) var losses: [Double] = []

    /// - Parameter weights: a flat file with official names.
    init(_ file: HDF5Reader, weights: String) throws {
        var backbone = BackboneConfiguration()
        (backbone.width, backbone.depth, backbone.heads, backbone.mlpRatio) = (16, 4, 4, 3)
        (backbone.imageSize, backbone.dropPath, backbone.normEps) = ([64, 64], 0, 1e-12)
        var upernet = UperNetConfiguration()
        upernet.dropout = 0
        upernet.auxiliary?.channels = 16
        configuration = .segmentation(backbone, DecoderConfiguration(.upernet(upernet), classes: 6))
        guard case .segmentation(let network) = Model(configuration, .unset) else {
            throw CocoaError(.coderInvalidValue)
        }
        let source = try HDF5Reader(weights)
        for (path, tensor) in network.tensors {
            try source.readFloats("/" + path.replacing("/", with: "."), into: tensor.buffer)
        }
        self.network = network
        let (pictures, labels) = (try file.readBytes("/pictures").values, try file.readBytes("/labels").values)
        let (members, pixels) = (try file.readInts("/members").values, Self.side * Self.side)
        batches = (0..<members.count / 3).map { step in
            let values = Tensor(uninitialized: [3, 3, Self.side, Self.side])
            var classes: [Int32] = []
            for place in 0..<3 {
                let picture = Int(members[3 * step + place])
                for index in 0..<3 * pixels {
                    let value = Float(pictures[picture * 3 * pixels + index])
                    values.pointer[(place * 3 + index % 3) * pixels + index / 3] = (value / 255 - 0.5) / 0.5
                }
                classes += labels[picture * pixels..<(picture + 1) * pixels].map(Int32.init)
            }
            return Batch(pixels: values, labels: classes)
        }
    }

    var model: any Module { network }
    var depth: Int { Self.depthOfNetwork }
    var count: Int { 6 }
    var fingerprint: UInt64 { 0 }
    /// The place in the run tells the step.
    var loader: @Sendable ([(image: Int, place: Int)]) throws -> Batch { { [batches] in batches[$0[0].place / 3] } }
    func images(of batch: Batch) -> [String] { [] }
    func validate(_ team: any Communicator) throws -> Validation? { nil }

    func description(metrics: [String: Double]) -> ModelDescription {
        ModelDescription(
            task: .segmentation, configuration: configuration,
            classes: LabelClass.unnamed(6),
            preprocessing: Preprocessing(size: [64, 64]), provenance: Provenance(command: "test"))
    }

    func loss(_ batch: Batch, _ tape: Tape) -> (value: Variable, counts: [Double]) {
        let loss = network.loss(
            Variable(batch.pixels), labels: batch.labels, size: [Self.side, Self.side], ignoreIndex: 255, tape)
        return (loss, [Double(loss.value.scalar)])
    }

    func take(_ counts: [Double]) { losses += counts }
}

/// Twenty steps of the trainer against the same steps in PyTorch: batch norm by the batch, both heads, the rates of the
/// layers, weight decay and AdamW together; and what the running statistics have become.
@Suite struct UperNetTrajectoryTests {
    @Test(arguments: MatrixEngine.available, [false, true])
    func everyLossMatches(_ engine: MatrixEngine, checkpointed: Bool) throws {
        let fixtures = try #require(Bundle.module.resourceURL).appendingPathComponent("Fixtures")
        let weights = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("ModelsTests/Fixtures/upernet/official.h5")
        let file = try HDF5Reader(fixtures.appendingPathComponent("upernet-trajectory.h5").path)
        let objective = try RecordedSegmentation(file, weights: weights.path)
        objective.network.backbone.checkpointsBlocks = checkpointed
        var recipe = Recipe()
        (recipe.steps, recipe.batch, recipe.learningRate, recipe.minimumLearningRate) = (20, 3, 5e-3, 0)
        (recipe.warmupEpochs, recipe.schedule) = (2, .polynomial(power: 1))
        (recipe.weightDecay, recipe.layerDecay) = (0.5, 0.7)
        let folder = RunFolder(NSTemporaryDirectory() + "beit-seg-" + UUID().uuidString)
        try folder.begin(recipe)
        defer { try? FileManager.default.removeItem(atPath: folder.path) }
        try MatrixEngine.$current.withValue(engine) { try Trainer(objective, recipe, folder: folder).run { _ in } }
        let wanted = try file.readFloats("/losses").values
        #expect(objective.losses.count == wanted.count)
        for (step, (loss, want)) in zip(objective.losses, wanted).enumerated() {
            #expect(abs(loss - Double(want)) < 1e-4, "step \(step + 1): \(loss) instead of \(want)")
        }
        // The bias of a convolution before a norm has no gradient but rounding, which AdamW makes large, and the mean behind
        // it goes where the bias goes.
        let drifting = ["backbone/fpn1/1", "decode_head/lateral_convs/0/bn", "decode_head/lateral_convs/1/bn"]
            .map { $0 + "/running_mean" }
        for (path, tensor) in objective.network.buffers {
            let want = try file.readFloats("/statistics/" + path.replacing("/", with: ".")).values
            let error = zip(tensor.values, want).map { abs($0 - $1) / (1 + abs($1)) }.max() ?? .infinity
            #expect(error < (drifting.contains(path) ? 2e-2 : 5e-4), "\(path): \(error)")
        }
    }
}

/// Everything of a checkpoint as bits: parameters, running statistics, training state.
private func bits(_ path: String) throws -> [String: [UInt32]] {
    let model = try Checkpoint.load(path, for: .learning).model.module
    let all = model.tensors.map { ($0.path, $0.tensor.values) } + (try trainingTensors(path))
    return Dictionary(uniqueKeysWithValues: all.map { ($0.0, $0.1.map(\.bitPattern)) })
}

/// The running statistics of a checkpoint.
private func statistics(_ path: String) throws -> [String: [Float]] {
    let buffers = try Checkpoint.load(path, for: .learning).model.module.buffers
    return Dictionary(uniqueKeysWithValues: buffers.map { ($0.path, $0.tensor.values) })
}

@Suite struct UperNetTrainingTests {
    static func plan(_ set: StripeSet) -> SegmentationPlan {
        var plan = set.plan
        var upernet = UperNetConfiguration()
        (upernet.channels, upernet.poolScales) = (6, [1, 2])
        upernet.auxiliary?.channels = 4
        plan.decoder = DecoderConfiguration(.upernet(upernet))
        (plan.recipe.batch, plan.recipe.accumulate, plan.recipe.averageDecay) = (2, 2, 0.9)
        return plan
    }

    @Test func resumingEqualsNeverHavingStopped() throws {
        let set = try StripeSet(), whole = try set.run(Self.plan(set), in: "whole")
        var trainer: Trainer? = try Trainer(Self.plan(set), folder: RunFolder(set.path + "/parts")) { _ in }
        for step in [1, 3, 6] {
            try trainer?.run(until: step) { _ in }
            try trainer?.save()
            trainer = step < 6 ? try Trainer(resuming: RunFolder(set.path + "/parts")) : nil
        }
        let (expected, found) = (try bits(whole.last), try bits(set.path + "/parts/last.h5"))
        #expect(expected.keys.contains("decode_head/bottleneck/bn/running_mean"))
        #expect(expected.keys.contains("average/decode_head/bottleneck/bn/running_mean"))
        for (path, value) in expected { #expect(found[path] == value, "\(path)") }
        #expect(found == expected)
    }

    @Test func threadsAndCheckpointedBlocksDoNotMatter() throws {
        let set = try StripeSet(), one = try set.run(Self.plan(set), in: "one"), want = try bits(one.last)
        for threads in [1, 2, 5] {
            let many = try WorkerPool.$scoped.withValue(WorkerPool(threads: threads)) {
                try set.run(Self.plan(set), in: "threads-\(threads)")
            }
            #expect(try bits(many.last) == want)
        }
        var twice = Self.plan(set)
        twice.checkpointsBlocks = true
        #expect(try bits(set.run(twice, in: "twice").last) == want)
    }

    /// Neither the rehearsal for the forecast nor an update whose gradient or loss is no number moves the statistics.
    @Test(arguments: [1e30 as Float, .infinity]) func whatDoesNotCountLeavesThemAlone(_ weight: Float) throws {
        let set = try StripeSet(), folder = RunFolder(set.path + "/run")
        var plan = Self.plan(set)
        plan.recipe.accumulate = 1
        let trainer = try Trainer(plan, folder: folder) { _ in }
        let model = trainer.objective.segmenter
        let head = try #require(model.parameters.first { $0.path == "auxiliary_head/conv_seg/weight" })
        head.parameter.value.buffer.update(repeating: weight)
        var forecasts = 0
        #expect(throws: TrainingError.self) {
            try trainer.run { if case .memory = $0 { forecasts += 1 } }
        }
        #expect(forecasts == 1)
        for (path, tensor) in model.buffers {
            #expect(tensor.values.allSatisfy { $0 == (path.hasSuffix("running_var") ? 1 : 0) }, "\(path)")
        }
    }

    /// Each pass of an update counts, one after the other.
    @Test func passesCountInTheirOrder() throws {
        let set = try StripeSet()
        var plan = Self.plan(set)
        (plan.recipe.steps, plan.recipe.averageDecay) = (1, nil)
        let found = try statistics(set.run(plan, in: "run").last)
        let trainer = try Trainer(plan, folder: RunFolder(set.path + "/other")) { _ in }
        let (objective, sampler) = (trainer.objective, Sampler(seed: 7, SetProportions(6), batch: 2))
        for pass in 0..<2 {
            let tape = Tape(.training, generator: RandomStream.network.generator(seed: 7, pass))
            _ = objective.loss(try objective.loader(sampler.batch(pass)), tape)
            tape.statistics.forEach { $0.apply() }
        }
        #expect(objective.segmenter.buffers.count == 2 * 12)
        for (path, tensor) in objective.segmenter.buffers { #expect(found[path] == tensor.values, "\(path)") }
    }

    /// The average of the statistics is that of the weights, and what is validated and kept as the best has it.
    @Test func averagesHoldStatistics() throws {
        let set = try StripeSet()
        var plan = Self.plan(set)
        plan.recipe.steps = 1
        let run = try set.run(plan, in: "run")
        let (last, best) = (try statistics(run.last), try statistics(run.best))
        for (path, values) in last {
            let start: Float = path.hasSuffix("running_var") ? 1 : 0
            for (now, average) in zip(values, best[path] ?? []) {
                #expect(abs(average - (start + 0.9 * (now - start))) < 1e-5, "\(path)")
            }
            #expect(best[path]?.count == values.count)
        }
    }

    /// A checkpoint lends its statistics with its weights, and both heads' rows by the names of the classes.
    @Test func aCheckpointLendsStatisticsAndRows() throws {
        let old = try StripeSet(["ground", "disc", "sky"]), new = try StripeSet(["sky", "tree", "ground"])
        let parent = try old.run(Self.plan(old), in: "run").last
        var plan = Self.plan(new)
        (plan.initial, plan.decoder) = (.checkpoint(parent), nil)
        plan.recipe.steps = 1
        let folder = RunFolder(new.path + "/run")
        var notes: [String] = []
        let trainer = try Trainer(plan, folder: folder) { notes.append($0) }
        let model = trainer.objective.segmenter
        #expect(notes.contains { $0.hasPrefix("the head goes by the names of the classes") })
        let before = try statistics(parent)
        for (path, tensor) in model.buffers { #expect(tensor.values == before[path], "\(path)") }
        let source = try Checkpoint.load(parent, for: .learning).model.module.parameters
        for named in model.parameters {
            let want = try #require(source.first { $0.path == named.path }).parameter.value
            guard named.path.contains("conv_seg") else {
                #expect(named.parameter.value.values == want.values, "\(named.path)")
                continue
            }
            let (rows, wanted) = (named.parameter.value, want)
            #expect(rows.rows(0..<1).values == wanted.rows(2..<3).values, "\(named.path)")
            #expect(rows.rows(2..<3).values == wanted.rows(0..<1).values, "\(named.path)")
        }
        // Another decoder begins anew.
        plan.changes = try ConfigurationPatch(settings: ["decoder.kind=linear"])
        notes = []
        let linear = try Trainer(plan, folder: RunFolder(new.path + "/linear")) { notes.append($0) }
        #expect(linear.objective.settings.configuration.backbone?.finalNorm == true)
        #expect(linear.objective.segmenter.buffers.isEmpty)
        #expect(notes.contains { $0.hasPrefix("starting at random: backbone/norm, decoder/head") })
    }

    /// From a checkpoint of another decoder, and by name alone.
    @Test func aKindOfDecoderCanBeAskedFor() throws {
        let set = try StripeSet(), parent = try set.run(set.plan, in: "deconvolution").last
        var plan = set.plan
        (plan.initial, plan.decoder) = (.checkpoint(parent), nil)
        plan.changes = try ConfigurationPatch(settings: [
            "decoder.kind=upernet", "decoder.channels=6", "decoder.pool_scales=1,2", "decoder.auxiliary_channels=4",
        ])
        let trainer = try Trainer(plan, folder: RunFolder(set.path + "/run")) { _ in }
        let configuration = trainer.objective.settings.configuration
        let upernet = try #require(configuration.decoder?.upernet)
        #expect(upernet.features == [0, 0, 0, 1] && upernet.channels == 6 && upernet.poolScales == [1, 2])
        #expect(upernet.auxiliary?.channels == 4 && configuration.decoder?.classes == 3)
        #expect(configuration.backbone?.finalNorm == false)
        try trainer.run { _ in }
    }

    @Test func theLossFalls() throws {
        let set = try StripeSet()
        var plan = Self.plan(set)
        (plan.recipe.steps, plan.recipe.accumulate, plan.recipe.averageDecay) = (60, 1, nil)
        let folder = try set.run(plan, in: "run")
        let losses = try logLines(folder).compactMap { ($0["loss"] as? NSNumber)?.doubleValue }
        #expect(losses.count == 6)
        #expect(try #require(losses.last) < 0.8 * (try #require(losses.first)), "\(losses)")
        let best = try Checkpoint.describe(folder.best)
        #expect(try #require(best.provenance.metrics?["val_miou"]) > 0.5)
    }
}
