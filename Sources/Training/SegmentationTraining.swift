import BEiTReports
import BEiTMetrics
import BEiTCheckpoints
import BEiTDatasets
import BEiTFiles
import Foundation
import BEiTLayers
import BEiTModels

/// A plan for learning to segment: what to learn from, with which network, how.
package struct SegmentationPlan: Sendable {
    package var data: DatasetOptions
    package var augmentation = Augmentation()
    package var initial: InitialWeights
    /// Nil for the checkpoint's, or the default where it has none; the number of classes is that of the data.
    package var decoder: DecoderConfiguration?
    /// Changes to the architecture by name (`--set`).
    package var changes = BEiTCheckpoints.Settings()
    /// Height and width of the network's input in pixels; nil for that of the backbone.
    package var size: [Int]?
    package var dropPath: Float?
    /// Less memory for more time: what the blocks compute is computed again on the way back.
    package var checkpointsBlocks = false
    package var classWeights: [Float]?
    package var recipe = Recipe()
    /// Whether the warm-up takes a tenth of the run at most.
    package var limitsWarmup = false
    /// The command line, for the provenance.
    package var command: String

    package init(data: DatasetOptions, initial: InitialWeights, command: String) {
        (self.data, self.initial, self.command) = (data, initial, command)
    }
}

extension Trainer where Task == SegmentationObjective {
    /// Checks the data, makes the model and the run's folder.
    ///
    /// - Parameter note: receives lines on the data, the model and the initial weights.
    /// - Throws: ``DatasetError``, ``TrainingError``, ``CheckpointError``, `FileError`, `PlanError`.
    package convenience init(_ plan: SegmentationPlan, folder: RunFolder, note: (String) -> Void) throws {
        if let problem = plan.recipe.problem ?? plan.augmentation.problem ?? plan.data.problem {
            throw PlanError(problem)
        }
        // All that can be refused at once comes before the masks are read, which may take long.
        try folder.requireFree()
        let start = try StartingPoint(plan.initial)
        let dataset = try SegmentationDataset(plan.data)
        let configuration = try plan.configuration(start, classes: dataset.classes.count)
        let weights = try plan.weights(dataset.classes.count)
        let count = try dataset.images(.train).pairs.count
        try plan.recipe.requireBatch(of: count)
        let recipe = plan.limitsWarmup ? plan.recipe.limitingWarmup(count: count) : plan.recipe
        let check = try DataCheck(dataset)
        check.lines.forEach(note)
        try check.verdict()
        var preprocessing = start.preprocessing
        preprocessing.size = configuration.backbone?.imageSize ?? preprocessing.size
        preprocessing.resize = "bilinear"
        var settings = SegmentationSettings(
            data: plan.data, configuration: configuration, preprocessing: preprocessing,
            provenance: Provenance(
                command: plan.command, seed: plan.recipe.seed, data: plan.data.folders,
                parentSHA256: start.parent?.sha256))
        settings.augmentation = plan.augmentation
        settings.checkpointsBlocks = plan.checkpointsBlocks
        settings.classWeights = weights
        guard
            case .segmentation(let model) = Model(
                configuration, Initializer(seed: plan.recipe.seed, style: .finetuning))
        else { preconditionFailure("a configuration of another task") }
        if let parent = start.parent {
            let positions = PositionResizing(from: parent.configuration, to: configuration)
            WeightTransfer(from: parent.model, to: model, positions: positions).lines.forEach(note)
        }
        note("model: \(model.parameterCount) parameters, \(preprocessing.size[0])×\(preprocessing.size[1]) pixels")
        note(recipe.summary)
        let objective = try SegmentationObjective(settings, dataset, model, seed: recipe.seed)
        try folder.begin(Plan(settings: settings, recipe: recipe))
        self.init(objective, recipe, folder: folder)
    }

    /// The run in `folder`, where its `last.h5` stands.
    ///
    /// Throws ``TrainingError``, ``CheckpointError``, ``DatasetError``.
    package convenience init(resuming folder: RunFolder) throws {
        let (state, saved) = try Self.state(in: folder, of: .segmentation)
        let loaded = try Checkpoint.load(folder.last, task: .segmentation, frozen: false)
        guard case .segmentation(let model) = loaded.model else { preconditionFailure("a model of another task") }
        let dataset = try SegmentationDataset(saved.settings.data)
        guard dataset.classes.map(\.name) == loaded.description.classes.map(\.name) else {
            throw TrainingError.changed(folder: folder.path, what: "the classes of the data are not the same")
        }
        let objective = try SegmentationObjective(saved.settings, dataset, model, seed: saved.recipe.seed)
        self.init(objective, saved.recipe, folder: folder)
        try restore(state, saved)
    }

    /// The contents of `config.json`.
    private struct Plan: Encodable {
        var settings: SegmentationSettings
        var recipe: Recipe
    }
}

extension SegmentationPlan {
    /// The whole architecture; later sources win: backbone, decoder, `--size`, `--drop-path`, `--set`.
    fileprivate func configuration(_ start: StartingPoint, classes: Int) throws -> ModelConfiguration {
        var backbone = start.backbone
        var decoder = decoder ?? start.parent?.configuration.decoder ?? DecoderConfiguration()
        backbone.finalNorm = true
        if let size { backbone.imageSize = size }
        if let dropPath { backbone.dropPath = dropPath }
        decoder.classes = classes
        let result = try changes.applied(to: .segmentation(backbone, decoder))
        if let problem = result.problem { throw PlanError(problem) }
        guard result.decoder?.classes == classes else {
            throw PlanError("decoder.classes is \(result.decoder?.classes ?? 0), but the data has \(classes) classes")
        }
        return result
    }

    fileprivate func weights(_ classes: Int) throws -> [Float]? {
        guard let classWeights else { return nil }
        guard classWeights.count == classes, classWeights.allSatisfy({ $0.isFinite && $0 >= 0 }),
            classWeights.contains(where: { $0 > 0 })
        else {
            let found = classWeights.map { "\($0)" }.joined(separator: ",")
            throw PlanError(
                "--class-weights is \(found), and must have a number from 0 for each of the \(classes) classes, not all 0"
            )
        }
        return classWeights
    }
}

/// A plan that cannot be carried out (exit status 64).
package struct PlanError: Error, Equatable, ExitStatus {
    package let description: String
    package var exitStatus: Int32 { 64 }
    init(_ description: String) { self.description = description }
}
