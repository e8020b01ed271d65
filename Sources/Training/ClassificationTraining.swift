import BEiTReports
import BEiTMetrics
import BEiTCheckpoints
import BEiTDatasets
import Foundation
import BEiTImageIO
import BEiTLayers
import BEiTModels

/// A plan for learning to classify: what to learn from, with which network, how.
package struct ClassificationPlan: Sendable {
    /// Data sets of class folders; several give the union of their classes, by name.
    package var data: [String]
    package var augmentation = ClassificationAugmentation()
    package var initial: InitialWeights
    /// How patch features become one; nil for the checkpoint's, or their mean.
    package var pooling: ClassifierConfiguration.Pooling?
    /// Changes to the architecture by name (`--set`).
    package var changes = BEiTCheckpoints.Settings()
    /// Height and width of the network's input in pixels; nil for that of the backbone.
    package var size: [Int]?
    package var dropPath: Float?
    /// Less memory for more time: what the blocks compute is computed again on the way back.
    package var checkpointsBlocks = false
    /// How much of a validation photo is seen; nil for BEiT's.
    package var cropShare: Double?
    package var recipe: Recipe
    /// Nil for the recipe's own; else it takes this share of the run.
    package var warmupShare: Double?
    /// The command line, for the provenance.
    package var command: String

    package init(data: [String], initial: InitialWeights, command: String) {
        (self.data, self.initial, self.command) = (data, initial, command)
        recipe = Recipe()
        recipe.batch = 32
        (recipe.learningRate, recipe.warmupEpochs) = (Self.learningRate(imagesPerStep: recipe.batch), 20)
    }

    /// BEiT's peak of 0.004 at 1024 images a step, scaled by the square root of their number, as Adam's steps want it
    /// (Malladi et al., arXiv:2205.10287).
    package static func learningRate(imagesPerStep: Int) -> Double {
        let rate = 4e-3 * (Double(max(1, imagesPerStep)) / 1024).squareRoot()
        return (rate * 1e6).rounded() / 1e6
    }

    /// What makes the plan impossible, in one sentence; nil if nothing does.
    private var problem: String? {
        if let problem = recipe.problem ?? augmentation.problem { return problem }
        if let cropShare, !(cropShare > 0 && cropShare <= 1) {
            return "--crop-share is \(cropShare), and must be above 0 and at most 1"
        }
        return nil
    }

    /// The whole architecture; later sources win: backbone, head, `--size`, `--drop-path`, `--set`.
    fileprivate func configuration(_ start: StartingPoint, classes: Int) throws -> ModelConfiguration {
        var backbone = start.backbone
        var head = start.parent?.configuration.classifier ?? ClassifierConfiguration()
        if let size { backbone.imageSize = size }
        if let dropPath { backbone.dropPath = dropPath }
        head.pooling = pooling ?? head.pooling
        head.classes = classes
        var result = try changes.applied(to: .classification(backbone, head))
        guard result.task == .classification, let changed = result.classifier, changed.classes == classes else {
            throw PlanError(
                "a classifier of \(classes) classes has a backbone and classifier.pooling, and no other part")
        }
        if let backbone = result.backbone { result = .classification(backbone, changed) }
        if let problem = result.problem { throw PlanError(problem) }
        return result
    }

    /// The recipe over `count` photos.
    fileprivate func recipe(count: Int) -> Recipe {
        var result = recipe
        guard let warmupShare else { return result }
        let epochs = recipe.steps.map { Double($0 * recipe.batch * recipe.accumulate) / Double(count) } ?? recipe.epochs
        result.warmupEpochs = (warmupShare * epochs * 1000).rounded() / 1000
        return result
    }

    fileprivate func settings(_ start: StartingPoint, _ configuration: ModelConfiguration) -> ClassificationSettings {
        var preprocessing = start.preprocessing
        preprocessing.size = configuration.backbone?.imageSize ?? preprocessing.size
        preprocessing.resize = ResizeFilter.bicubic.rawValue
        return ClassificationSettings(
            data: data, augmentation: augmentation, configuration: configuration, preprocessing: preprocessing,
            cropShare: cropShare ?? standardCropShare(size: preprocessing.size), checkpointsBlocks: checkpointsBlocks,
            provenance: Provenance(
                command: command, seed: recipe.seed, data: data, parentSHA256: start.parent?.sha256))
    }

    /// Throws ``PlanError``; called before anything is read.
    fileprivate func check() throws { if let problem { throw PlanError(problem) } }
}

extension Trainer where Task == ClassificationObjective {
    /// Checks the data, makes the model and the run's folder.
    ///
    /// - Parameter note: receives lines on the data, the model, the initial weights and the recipe.
    /// - Throws: ``DatasetError``, ``TrainingError``, ``CheckpointError``, `FileError`, ``PlanError``.
    package convenience init(_ plan: ClassificationPlan, folder: RunFolder, note: (String) -> Void) throws {
        try plan.check()
        try folder.requireFree()
        let start = try StartingPoint(plan.initial, for: .classification)
        let dataset = try ClassFolders(plan.data, DatasetSplit.allCases)
        dataset.lines.forEach(note)
        try dataset.checkForTraining()
        if dataset.images(.val).isEmpty { note("warning: there is no folder val, so there will be no best.h5") }
        let configuration = try plan.configuration(start, classes: dataset.classes.count)
        try plan.recipe.requireBatch(of: dataset.images(.train).count)
        let settings = plan.settings(start, configuration)
        let recipe = plan.recipe(count: dataset.images(.train).count)
        guard
            case .classification(let model) = Model(configuration, Initializer(seed: recipe.seed, style: .finetuning))
        else { preconditionFailure("a configuration of another task") }
        if let parent = start.parent {
            // Another list of classes may have the same length; its head would start with wrong answers.
            let sameClasses = start.classes == dataset.classes
            let transfer = WeightTransfer(
                from: parent.model, to: model,
                positions: PositionResizing(from: parent.configuration, to: configuration),
                leavingOut: sameClasses ? [] : ["head/"])
            transfer.lines.forEach(note)
        }
        let size = settings.preprocessing.size
        note(
            "model: \(model.parameterCount) parameters, \(size[0])×\(size[1]) pixels, \(dataset.classes.count) classes")
        note(recipe.summary)
        note(plan.augmentation.summary)
        let objective = ClassificationObjective(settings, dataset, model, seed: recipe.seed)
        try folder.begin(Plan(settings: settings, recipe: recipe))
        self.init(objective, recipe, folder: folder)
    }

    /// The run in `folder`, where its `last.h5` stands.
    ///
    /// Throws ``TrainingError``, ``CheckpointError``, ``DatasetError``.
    package convenience init(resuming folder: RunFolder) throws {
        let (state, saved) = try Self.state(in: folder, of: .classification)
        let loaded = try Checkpoint.load(folder.last, task: .classification, frozen: false)
        guard case .classification(let model) = loaded.model else { preconditionFailure("a model of another task") }
        let dataset = try ClassFolders(saved.settings.data, DatasetSplit.allCases)
        guard dataset.classes == loaded.description.classes.map(\.name) else {
            throw TrainingError.changed(folder: folder.path, what: "the classes of the data are not the same")
        }
        self.init(
            ClassificationObjective(saved.settings, dataset, model, seed: saved.recipe.seed), saved.recipe,
            folder: folder)
        try restore(state, saved)
    }

    /// The contents of `config.json`.
    private struct Plan: Encodable {
        var settings: ClassificationSettings
        var recipe: Recipe
    }
}

extension ClassificationAugmentation {
    /// For people, in one line.
    var summary: String {
        let colors = randAugment.map { "RandAugment \($0.name)" } ?? "colour jitter \(crop.colorJitter)"
        let parts = [
            "crops from \(crop.area[0]) of the area", crop.flip > 0 ? "mirror images" : nil, colors,
            erasing > 0 ? "random erasing \(erasing)" : nil, mixing.mixup > 0 ? "mixup \(mixing.mixup)" : nil,
            mixing.cutmix > 0 ? "CutMix \(mixing.cutmix)" : nil,
            labelSmoothing > 0 ? "label smoothing \(labelSmoothing)" : nil,
        ]
        return "augmentation: " + parts.compactMap { $0 }.joined(separator: "; ")
    }
}
