import BEiTCheckpoints
import BEiTHDF5
import BEiTLayers
import BEiTModels
import BEiTOps
import BEiTProcesses
import BEiTTensorCore
import Foundation
import Testing

@testable import BEiTTraining

/// Batches, masks and tokens of `scripts/make-mim-trajectory.py`, which PyTorch has learned from.
private final class RecordedBatches: Objective {
    struct Batch: Sendable {
        var pixels: Tensor
        var mask: [Bool]
        var tokens: [Int32]
    }
    let settings: [String] = []
    let network: MaskedImageModel
    let recorded: ModelDescription
    private let batches: [Batch]
    /// Of each step.
    private(set) var losses: [Double] = []

    init(_ file: HDF5Reader, weights: String) throws {
        let foreign = try ForeignModel([weights])
            .load(ImportOptions(settings: ["backbone.norm_eps=1e-12"]))
        guard case .mim(let network) = foreign.model else { throw CocoaError(.featureUnsupported) }
        (self.network, recorded) = (network, foreign.description)
        let pictures = try file.readBytes("/pictures").values
        let (members, masks) = (try file.readInts("/members").values, try file.readInts("/masks").values)
        let tokens = try file.readInts("/tokens").values
        batches = (0..<masks.count / 32).map { step in
            let pixels = Tensor(uninitialized: [2, 3, 32, 32])
            for place in 0..<2 {
                let first = Int(members[2 * step + place]) * 3072
                for index in 0..<3072 {
                    let value = Float(pictures[first + index])
                    pixels.pointer[(place * 3 + index % 3) * 1024 + index / 3] = (value / 255 - 0.5) / 0.5
                }
            }
            let range = step * 32..<(step + 1) * 32
            return Batch(pixels: pixels, mask: masks[range].map { $0 != 0 }, tokens: tokens[range].map(Int32.init))
        }
    }

    var model: any Module { network }
    var depth: Int { network.backbone.configuration.depth }
    var count: Int { 8 }
    var fingerprint: UInt64 { 0 }
    /// The place in the run tells the step.
    var loader: @Sendable ([(image: Int, place: Int)]) throws -> Batch { { [batches] in batches[$0[0].place / 2] } }
    func images(of batch: Batch) -> [String] { [] }
    func validate(_ team: any Communicator) throws -> Validation? { nil }
    func description(metrics: [String: Double]) -> ModelDescription { recorded }

    func loss(_ batch: Batch, _ tape: Tape) -> (value: Variable, counts: [Double]) {
        let positions = batch.mask.indices.filter { batch.mask[$0] }
        let loss = network.tokenLoss(
            Variable(batch.pixels), mask: batch.mask, tokens: batch.tokens, at: positions, tape
        ).loss
        return (loss, [Double(loss.value.scalar)])
    }

    func take(_ counts: [Double]) { losses += counts }
}

/// Twenty steps of the trainer against the same steps in PyTorch, from Hugging Face's weights: forward, backward,
/// clipping, learning rate, weight decay and AdamW together.
@Suite struct TrajectoryTests {
    @Test(arguments: MatrixEngine.available, [false, true])
    func everyLossOfMaskedImageModelingMatches(_ engine: MatrixEngine, checkpointed: Bool) throws {
        let fixtures = try #require(Bundle.module.resourceURL).appendingPathComponent("Fixtures")
        let weights = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("ModelsTests/Fixtures/hf-mim/official.h5")
        let file = try HDF5Reader(fixtures.appendingPathComponent("mim-trajectory.h5").path)
        let objective = try RecordedBatches(file, weights: weights.path)
        objective.network.backbone.checkpointsBlocks = checkpointed
        var recipe = Recipe()
        (recipe.steps, recipe.batch, recipe.learningRate, recipe.minimumLearningRate) = (20, 2, 5e-3, 1e-4)
        (recipe.warmupEpochs, recipe.weightDecay, recipe.clipGradient) = (1, 0.5, 2)
        let folder = RunFolder(NSTemporaryDirectory() + "beit-seg-" + UUID().uuidString)
        try folder.begin(recipe)
        defer { try? FileManager.default.removeItem(atPath: folder.path) }
        var norms: [Double] = []
        try MatrixEngine.$current.withValue(engine) {
            try Trainer(objective, recipe, folder: folder).run {
                if case .step(let report) = $0 { norms.append(report.gradientNorm) }
            }
        }
        let wanted = try file.readFloats("/losses").values, wantedNorms = try file.readFloats("/norms").values
        #expect(objective.losses.count == wanted.count)
        for (step, (loss, want)) in zip(objective.losses, wanted).enumerated() {
            #expect(abs(loss - Double(want)) < 1e-4, "step \(step + 1): \(loss) instead of \(want)")
        }
        try #require(norms.count == 2)
        for (norm, want) in zip(norms, [wantedNorms[9], wantedNorms[19]]) {
            #expect(abs(norm - Double(want)) < 1e-3 * norm)
        }
    }
}
