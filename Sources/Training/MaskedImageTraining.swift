import Checkpoints
import Datasets
import Files
import Foundation
import Layers
import Models

/// A plan for masked image modeling: what to learn from, with which network, how.
public struct MaskedImagePlan: Sendable {
    /// Folders of photos.
    public var data: [String]
    public var initial: InitialWeights
    /// What is predicted.
    public var target: Target
    /// Nil for one shared table of relative positions, or what the checkpoint has.
    public var position: BackboneConfiguration.Position?
    public var masking = MaskGenerator.Kind.blockwise
    /// Hidden patches of an image; nil for 75 of 196, in proportion.
    public var maskedPatches: Int?
    /// Whether the loss counts all patches, not only the hidden ones.
    public var predictsAll = false
    /// The share of the photos that is kept for validation.
    public var heldOut = 0.02
    public var augmentation = MaskedViews.augmentation
    /// Changes to the architecture by name (`--set`).
    public var changes = Checkpoints.Settings()
    /// Height and width of the network's input in pixels; nil for that of the backbone.
    public var size: [Int]?
    public var dropPath: Float?
    public var checkpointsBlocks = false
    public var recipe = Recipe.pretraining()
    /// Shortens the warm-up of a short run to a tenth of it.
    public var limitsWarmup = true
    /// The command line, for the provenance.
    public var command: String

    public enum Target: Sendable {
        /// Visual tokens of the tokenizer in this file.
        case tokens(String)
        case pixels(MIMConfiguration.PixelTarget)
    }

    public init(data: [String], initial: InitialWeights, target: Target, command: String) {
        (self.data, self.initial, self.target, self.command) = (data, initial, target, command)
    }
}

extension Recipe {
    /// The authors' pre-training (appendix A): 800 epochs, learning rate 0.0015 for 2048 images an update. For fewer it
    /// falls as the square root of their number, which is their advice (half of it for 512).
    public static func pretraining(batch: Int = 32, accumulate: Int = 1) -> Recipe {
        var result = Recipe()
        (result.epochs, result.batch, result.accumulate) = (800, batch, accumulate)
        let rate = 1.5e-3 * (Double(max(1, batch) * max(1, accumulate)) / 2048).squareRoot()
        (result.learningRate, result.minimumLearningRate) = ((rate * 1e6).rounded() / 1e6, 1e-5)
        (result.warmupEpochs, result.weightDecay, result.clipGradient) = (10, 0.05, 3)
        return result
    }
}

extension Trainer where Task == MaskedImageObjective {
    /// Checks the photos, makes the model and the run's folder.
    ///
    /// - Parameter note: receives lines on the data, the model and the initial weights.
    /// - Throws: ``DatasetError``, ``TrainingError``, ``CheckpointError``, `FileError`, `HDF5Error`, ``PlanError``.
    public convenience init(_ plan: MaskedImagePlan, folder: RunFolder, note: (String) -> Void) throws {
        if let problem = plan.recipe.problem ?? plan.augmentation.problem { throw PlanError(problem) }
        guard 0..<1 ~= plan.heldOut else { throw PlanError("--hold-out is \(plan.heldOut), and must be 0 to below 1") }
        try folder.requireFree()
        let start = try StartingPoint(plan.initial, for: .mim)
        let tokenizer = try plan.tokenizer()
        let configuration = try plan.configuration(start, tokenizer)
        let masking = try plan.masking(configuration)
        let photos = try UnlabelledPhotos(plan.data, excluding: folder.path)
        photos.lines.forEach(note)
        try photos.verdict()

        var preprocessing = start.preprocessing
        preprocessing.size = configuration.backbone?.imageSize ?? preprocessing.size
        preprocessing.resize = "bicubic"
        let settings = MaskedImageSettings(
            data: plan.data, augmentation: plan.augmentation, masking: masking, predictsAll: plan.predictsAll,
            tokenizer: tokenizer?.source, heldOut: plan.heldOut, configuration: configuration,
            preprocessing: preprocessing, checkpointsBlocks: plan.checkpointsBlocks,
            provenance: Provenance(
                command: plan.command, seed: plan.recipe.seed, data: plan.data, parentSHA256: start.parent?.sha256,
                tokenizerSHA256: tokenizer?.source.sha256))
        guard case .mim(let model) = Model(configuration, Initializer(seed: plan.recipe.seed, style: .pretraining))
        else { preconditionFailure("a configuration of another task") }
        if let parent = start.parent { WeightTransfer(from: parent.model, to: model).lines.forEach(note) }
        let objective = MaskedImageObjective(
            settings, photos, model, tokenizer: tokenizer, seed: plan.recipe.seed, picture: folder.predictions)
        let recipe = plan.recipe(count: objective.count)
        settings.lines(learned: objective.count, of: photos.paths.count, tokenizer).forEach(note)
        note("model: \(model.parameterCount) parameters, \(preprocessing.size[0])×\(preprocessing.size[1]) pixels")
        note(recipe.summary)
        try folder.begin(Plan(settings: settings, recipe: recipe))
        self.init(objective, recipe, folder: folder)
    }

    /// The run in `folder`, where its `last.h5` stands.
    ///
    /// Throws ``TrainingError``, ``CheckpointError``, ``DatasetError``, `FileError`, `HDF5Error`.
    public convenience init(resuming folder: RunFolder) throws {
        let (state, saved) = try Self.state(in: folder, of: "a run of masked image modeling")
        let loaded = try Checkpoint.load(folder.last, task: .mim, frozen: false)
        guard case .mim(let model) = loaded.model else { preconditionFailure("a model of another task") }
        let tokenizer = try saved.settings.tokenizer.map { source in
            let tokenizer = try VisualTokenizer(source.path)
            guard tokenizer.source == source else {
                throw TrainingError.changed(folder: folder.path, what: "\(source.path) is another tokenizer now")
            }
            return tokenizer
        }
        let objective = MaskedImageObjective(
            saved.settings, try UnlabelledPhotos(saved.settings.data, excluding: folder.path), model,
            tokenizer: tokenizer, seed: saved.recipe.seed, picture: folder.predictions)
        self.init(objective, saved.recipe, folder: folder)
        try restore(state, saved)
    }

    /// The contents of `config.json`.
    private struct Plan: Encodable {
        var settings: MaskedImageSettings
        var recipe: Recipe
    }
}

extension MaskedImageSettings {
    /// What is learned, for people.
    fileprivate func lines(learned count: Int, of all: Int, _ tokenizer: VisualTokenizer?) -> [String] {
        let patches = masking.rows * masking.columns
        let target =
            tokenizer.map {
                "visual tokens of \($0.source.path) (\($0.vocabulary) words, second view "
                    + "\(masking.rows * $0.downsampling)×\(masking.columns * $0.downsampling) pixels)"
            } ?? "\(configuration.mim?.pixels?.rawValue ?? "") pixels"
        return [
            "learns from \(count) photos, validates with \(all - count)",
            "hides \(masking.count) of \(patches) patches (\(masking.kind.rawValue)) and predicts \(target) of "
                + (predictsAll ? "all patches" : "the hidden patches"),
        ]
    }
}

extension MaskedImagePlan {
    fileprivate func tokenizer() throws -> VisualTokenizer? {
        guard case .tokens(let path) = target else { return nil }
        return try VisualTokenizer(path)
    }

    /// The whole architecture; later sources win: backbone, `--position`, `--size`, `--drop-path`, `--set`.
    fileprivate func configuration(_ start: StartingPoint, _ tokenizer: VisualTokenizer?) throws -> ModelConfiguration {
        var backbone = start.backbone
        backbone.finalNorm = true
        backbone.position = position ?? (start.parent == nil ? .relativeShared : backbone.position)
        if let size { backbone.imageSize = size }
        if let dropPath { backbone.dropPath = dropPath }
        var head = MIMConfiguration()
        if case .pixels(let pixels) = target { head.pixels = pixels }
        head.vocabulary = 0  // nobody has asked for one
        var result = try changes.applied(to: .mim(backbone, head))
        let side = result.backbone?.patchSize ?? 0
        // A patch size that makes no sense is found below, with its name.
        let outputs = tokenizer?.vocabulary ?? 3 * min(max(side, 1), 256) * min(max(side, 1), 256)
        guard let asked = result.mim?.vocabulary, asked == 0 || asked == outputs else {
            throw PlanError(
                "mim.vocabulary is \(result.mim?.vocabulary ?? 0), but "
                    + (tokenizer == nil ? "a patch has \(outputs) pixel values" : "the tokenizer has \(outputs) words"))
        }
        result.mim?.vocabulary = outputs
        if let problem = result.problem { throw PlanError(problem) }
        return result
    }

    fileprivate func masking(_ configuration: ModelConfiguration) throws -> MaskGenerator {
        let grid = configuration.backbone ?? BackboneConfiguration()
        let result = MaskGenerator(masking, rows: grid.gridHeight, columns: grid.gridWidth, count: maskedPatches)
        if let problem = result.problem { throw PlanError(problem) }
        return result
    }

    /// The recipe for `count` photos.
    fileprivate func recipe(count: Int) -> Recipe {
        var result = recipe
        guard limitsWarmup else { return result }
        let epochs = Double(result.totalSteps(count: count) * result.batch * result.accumulate) / Double(count)
        result.warmupEpochs = min(result.warmupEpochs, (epochs * 100).rounded() / 1000)
        return result
    }
}
