import BEiTCheckpoints
import BEiTDatasets
import BEiTFiles
import BEiTHDF5
import BEiTImageIO
import BEiTLayers
import BEiTModels
import BEiTTensorCore
import Foundation
import Testing

@testable import BEiTOps
@testable import BEiTTraining

/// A step of the tokenizer's training against PyTorch (`scripts/make-tokenizer-fixtures.py`).
@Suite struct TokenizerStepTests {
    private let file: HDF5Reader

    init() throws {
        let folder = try #require(Bundle.module.resourceURL).appendingPathComponent("Fixtures")
        file = try HDF5Reader(folder.appendingPathComponent("tokenizer-step.h5").path)
    }

    private func array(_ path: String) throws -> Tensor {
        let (shape, values) = try file.readFloats(path)
        return Tensor(values, shape)
    }

    private func dvae(_ name: String) -> String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("ModelsTests/Fixtures/dvae/\(name).h5").path
    }

    @Test func lossAndGradientsAreThoseOfPyTorch() throws {
        let files = ["encoder_state", "decoder_state"].map(dvae)
        let loaded = try ForeignModel(files).load().model
        guard case .tokenizer(let model) = loaded else { throw CocoaError(.featureUnsupported) }
        let parameters = Dictionary(uniqueKeysWithValues: model.parameters.map { ($0.path, $0.parameter) })
        for info in file.datasets where info.path.hasPrefix("/weights/") {
            try #require(parameters[String(info.path.dropFirst(9))]).assign(array(info.path))
        }
        let (shape, pixels) = try HDF5Reader(dvae("arrays")).readFloats("/encoder_input")
        let x = Tensor(pixels, shape).transposed([0, 2, 3, 1])
        let (noise, temperature) = (try array("/noise").transposed([0, 2, 3, 1]), try array("/temperature").scalar)

        let evidence = model.evidence(of: x, temperature: temperature, noise: noise, Tape(.inference))
        for (term, name) in [(evidence.logLikelihood, "/log_likelihood"), (evidence.divergence, "/divergence")] {
            let want = try array(name).scalar
            #expect(abs(term.value.scalar - want) <= 1e-4 * abs(want), "\(name): \(term.value.scalar), \(want)")
        }
        let tape = Tape(.training)
        let loss = model.loss(
            of: x, temperature: temperature, klWeight: try array("/kl_weight").scalar, noise: noise, tape)
        #expect(abs(loss.value.scalar - (try array("/loss").scalar)) < 1e-5)
        tape.backward(from: loss)
        let gradients = file.datasets.filter { $0.path.hasPrefix("/gradients/") }
        #expect(gradients.count == 10)
        for info in gradients {
            let want = try array(info.path)
            let found = try #require(parameters[String(info.path.dropFirst("/gradients/".count))]?.gradient)
            try #require(found.shape == want.shape)
            let norm = { (values: [Float]) in values.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot() }
            let off = norm(zip(found.values, want.values).map { $0 - $1 })
            #expect(off <= 1e-3 * norm(want.values) && norm(want.values) > 0, "\(info.path): \(off)")
        }
    }
}

/// Photos of coloured squares, in a folder that goes away with the test.
final class SquareSet {
    let path = NSTemporaryDirectory() + "beit-seg-" + UUID().uuidString

    init(photos: Int = 9) throws {
        for index in 0..<photos {
            let pixels = (0..<3 * 30 * 24).map { i in
                let (x, y) = (i / 3 % 30, i / 90)
                return UInt8((x / 8 * 53 + y / 8 * 31 + index * 29 + i % 3 * 60) % 256)
            }
            try writePNG(RGBImage(width: 30, height: 24, pixels: pixels), to: path + "/photos/\(index).png")
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var plan: TokenizerPlan {
        var data = PhotoOptions([path + "/photos"])
        data.validationShare = 0.2
        var plan = TokenizerPlan(data: data, preset: .tiny, command: "beit-seg tokenizer train")
        plan.tokenizer.hidden = 8
        (plan.tokenizer.groups, plan.tokenizer.blocks) = (3, 1)
        (plan.tokenizer.vocabulary, plan.tokenizer.codeWidth) = (11, 6)
        plan.size = [16, 12]
        (plan.recipe.batch, plan.recipe.accumulate, plan.recipe.steps, plan.recipe.seed) = (3, 2, 6, 7)
        (plan.recipe.averageDecay, plan.recipe.learningRate) = (0.9, 3e-3)
        (plan.temperatures, plan.temperatureSteps, plan.klSteps) = ([1, 0.25], 4, 2)
        return plan
    }

    @discardableResult
    func run(_ plan: TokenizerPlan, in name: String) throws -> RunFolder {
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

@Suite struct TokenizerTrainingTests {
    private func lines(_ folder: RunFolder) throws -> [[String: Any]] {
        try String(contentsOfFile: folder.log, encoding: .utf8).split(separator: "\n").compactMap {
            try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
        }
    }

    @Test func reconstructionsBecomeBetter() throws {
        let set = try SquareSet()
        var plan = set.plan
        (plan.recipe.steps, plan.recipe.learningRate, plan.temperatureSteps) = (150, 1e-2, 100)
        plan.recipe.evaluateEvery = 25
        let folder = try set.run(plan, in: "run")
        let lines = try lines(folder)
        let losses = lines.compactMap { $0["loss"] as? Double }
        let metrics = lines.compactMap { $0["metrics"] as? [String: Double] }
        let (first, last) = (try #require(metrics.first), try #require(metrics.last))
        #expect(try #require(losses.last) < losses[0] - 0.1, "\(losses)")
        #expect(try #require(last["val_mse"]) < 0.8 * (try #require(first["val_mse"])), "\(first) \(last)")
        #expect(last["val_elbo"] ?? 0 > first["val_elbo"] ?? 0)
        #expect(last["temperature"] == 0.25 && last["kl_weight"].map { abs($0 - 6.6) < 1e-6 } == true)
        #expect((last["codes_used"] ?? 0) + (last["codes_dead"] ?? 0) == 11)
        #expect(1...11.001 ~= last["perplexity"] ?? 0)

        let best = try Checkpoint.describe(folder.best)
        #expect(best.task == .tokenizer && best.preprocessing == .tokenizer(size: [16, 12]))
        #expect(best.provenance.metrics?["val_elbo"] != nil)
        let sheet = try decodeImage(folder.path + "/reconstructions.png")
        let held = try PhotoDataset(plan.data, excluding: folder.path).validation.count
        #expect(sheet.width == 2 * held * 14 - 2 && sheet.height == 16)
    }

    @Test func temperatureAndWeightFollowTheStep() throws {
        let set = try SquareSet()
        var plan = set.plan
        (plan.recipe.steps, plan.recipe.batch, plan.recipe.accumulate) = (5, 3, 1)
        plan.data.validationShare = 0.34
        let folder = RunFolder(set.path + "/run")
        let trainer = try Trainer(plan, folder: folder) { _ in }
        var seen: [(step: Int, temperature: Double, weight: Double)] = []
        try trainer.run { event in
            if case .validation(let report) = event {
                seen.append((report.step, report.metrics["temperature"] ?? 0, report.metrics["kl_weight"] ?? 0))
            }
        }
        #expect(!seen.isEmpty)
        for (step, temperature, weight) in seen {
            let t = Double(step - 1)
            let half = { (from: Double, to: Double, steps: Double) in
                to + (from - to) / 2 * (1 + cos(.pi * min(1, t / steps)))
            }
            #expect(abs(temperature - half(1, 0.25, 4)) < 1e-6 && abs(weight - half(0, 6.6, 2)) < 1e-5)
        }
    }

    @Test func threadsDoNotMatter() throws {
        let set = try SquareSet()
        let one = try WorkerPool.$scoped.withValue(WorkerPool(threads: 1)) { try set.run(set.plan, in: "one") }
        let many = try WorkerPool.$scoped.withValue(WorkerPool(threads: 3)) { try set.run(set.plan, in: "many") }
        #expect(try bits(one.last) == bits(many.last))
    }

    @Test func resumingEqualsNeverHavingStopped() throws {
        let set = try SquareSet()
        let whole = try set.run(set.plan, in: "whole")
        var trainer: Trainer<TokenizerObjective>? = try Trainer(set.plan, folder: RunFolder(set.path + "/parts")) { _ in
        }
        for step in [1, 3, 6] {
            try trainer?.run(until: step) { _ in }
            try trainer?.save()
            trainer = step < 6 ? try Trainer(resuming: RunFolder(set.path + "/parts")) : nil
        }
        let (expected, found) = try (bits(whole.last), bits(set.path + "/parts/last.h5"))
        #expect(expected.count > 50)
        #expect(Set(expected.keys) == Set(found.keys))
        for (path, value) in expected { #expect(found[path] == value, "\(path)") }
    }

    @Test func aPlanThatCannotBeCarriedOutIsRefusedBeforeAnythingIsWritten() throws {
        let set = try SquareSet()
        func message(_ change: (inout TokenizerPlan) throws -> Void) throws -> String {
            var plan = set.plan
            try change(&plan)
            do { try set.run(plan, in: "never") } catch let error as PlanError { return error.description }
            return "none"
        }
        #expect(try message { $0.size = [16, 10] }.contains("4×4 pixels"))
        #expect(try message { $0.recipe.learningRate = 1e-9 }.contains("below"))
        #expect(try message { $0.temperatures = [1] }.contains("`temperature`"))
        #expect(try message { $0.temperatures = [1, 0] }.contains("`temperature`"))
        #expect(try message { $0.klWeight = -1 }.contains("`kl-weight`"))
        #expect(try message { $0.data.validationShare = 1 }.contains("`validation`"))
        #expect(
            try message { $0.changes = try ConfigurationPatch(settings: ["tokenizer.hidden=6"]) }.contains(
                "multiple of 4"))
        #expect(!FileManager.default.fileExists(atPath: set.path + "/never"))
    }

    @Test func otherPhotosCannotBeResumedWith() throws {
        let set = try SquareSet()
        let folder = try set.run(set.plan, in: "run")
        let dataset = try PhotoDataset(set.plan.data)
        try FileManager.default.removeItem(atPath: dataset.training[0])
        let error = #expect(throws: TrainingError.self) { try Trainer<TokenizerObjective>(resuming: folder) }
        #expect(error == .changed(folder: folder.path, what: "the training images are not the same"))
    }
}
