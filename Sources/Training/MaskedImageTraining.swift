import BEiTReports
import BEiTMetrics
import BEiTCheckpoints
import BEiTDatasets
import BEiTFiles
import Foundation
import BEiTLayers
import BEiTModels

/// A plan for masked image modeling: what to learn from, with which network, how.
package struct MaskedImagePlan: Sendable {
    package var data: PhotoOptions
    package var initial: InitialWeights
    /// What is predicted.
    package var target: Target
    /// Nil for one shared table of relative positions, or what the checkpoint has.
    package var position: BackboneConfiguration.Position?
    package var masking = MaskGenerator.Kind.blockwise
    /// Hidden patches of an image; nil for 75 of 196, in proportion.
    package var maskedPatches: Int?
    /// Whether the loss counts all patches, not only the hidden ones.
    package var predictsAll = false
    /// Of training photos whose tokens come from no cache: those show the central part of each photo as it is.
    package var augmentation = MaskedViews.augmentation
    /// Height and width in pixels of what the tokenizer sees; nil for those that it has learned from.
    package var tokenSize: [Int]?
    /// Changes to the architecture by name (`--set`).
    package var changes = BEiTCheckpoints.Settings()
    /// Height and width of the network's input in pixels; nil for that of the backbone.
    package var size: [Int]?
    package var dropPath: Float?
    package var checkpointsBlocks = false
    package var recipe = Recipe.pretraining()
    /// Shortens the warm-up of a short run to a tenth of it.
    package var limitsWarmup = true
    /// The command line, for the provenance.
    package var command: String

    package enum Target: Sendable {
        /// Visual tokens of the tokenizer in this file.
        case tokens(String)
        /// Visual tokens of this cache; the tokenizer's file, if given, shows them.
        case cached(String, tokenizer: String?)
        case pixels(MIMConfiguration.PixelTarget)
    }

    package init(data: PhotoOptions, initial: InitialWeights, target: Target, command: String) {
        (self.data, self.initial, self.target, self.command) = (data, initial, target, command)
    }
}

extension Recipe {
    /// The authors' pre-training (appendix A): 800 epochs, learning rate 0.0015 for 2048 images an update. For fewer it
    /// falls as the square root of their number, which is their advice (half of it for 512).
    package static func pretraining(batch: Int = 32, accumulate: Int = 1) -> Recipe {
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
    package convenience init(_ plan: MaskedImagePlan, folder: RunFolder, note: (String) -> Void) throws {
        if let problem = plan.recipe.problem ?? plan.augmentation.problem { throw PlanError(problem) }
        if let problem = plan.data.problem { throw PlanError(problem) }
        try folder.requireFree()
        let start = try StartingPoint(plan.initial, for: .mim)
        let sources = try plan.sources()
        let configuration = try plan.configuration(start, sources)
        let masking = try plan.masking(configuration)
        try plan.requireOneGrid(configuration, sources)
        let photos = try PhotoDataset(plan.data, sources.cache, excluding: folder.path)
        photos.lines.forEach(note)
        try plan.recipe.requireBatch(of: photos.training.count)
        if photos.validation.isEmpty {
            note("warning: no photo is held out, so there will be no best.h5 and no picture")
        }

        var preprocessing = start.preprocessing
        preprocessing.size = configuration.backbone?.imageSize ?? preprocessing.size
        preprocessing.resize = "bicubic"
        let settings = MaskedImageSettings(
            data: plan.data, augmentation: sources.cache == nil ? plan.augmentation : nil, masking: masking,
            predictsAll: plan.predictsAll, tokenizer: sources.tokenizer?.source, tokenSize: sources.tokenizer?.size,
            cache: sources.cache?.source, configuration: configuration, preprocessing: preprocessing,
            checkpointsBlocks: plan.checkpointsBlocks,
            provenance: Provenance(
                command: plan.command, seed: plan.recipe.seed, data: plan.data.folders,
                parentSHA256: start.parent?.sha256, tokenizerSHA256: sources.tokenizerSHA256))
        guard case .mim(let model) = Model(configuration, Initializer(seed: plan.recipe.seed, style: .pretraining))
        else { preconditionFailure("a configuration of another task") }
        if let parent = start.parent {
            let positions = PositionResizing(from: parent.configuration, to: configuration)
            WeightTransfer(from: parent.model, to: model, positions: positions).lines.forEach(note)
        }
        let objective = MaskedImageObjective(
            settings, photos, model, sources, seed: plan.recipe.seed, picture: folder.predictions)
        let recipe = plan.recipe(count: objective.count)
        settings.lines(sources).forEach(note)
        note("model: \(model.parameterCount) parameters, \(preprocessing.size[0])×\(preprocessing.size[1]) pixels")
        note(recipe.summary)
        try folder.begin(Plan(settings: settings, recipe: recipe))
        self.init(objective, recipe, folder: folder)
    }

    /// The run in `folder`, where its `last.h5` stands.
    ///
    /// Throws ``TrainingError``, ``CheckpointError``, ``DatasetError``, `FileError`, `HDF5Error`.
    package convenience init(resuming folder: RunFolder) throws {
        let (state, saved) = try Self.state(in: folder, of: .mim)
        let loaded = try Checkpoint.load(folder.last, task: .mim, frozen: false)
        guard case .mim(let model) = loaded.model else { preconditionFailure("a model of another task") }
        var sources = MaskedImageObjective.Sources()
        if let pinned = saved.settings.tokenizer {
            let tokenizer = try VisualTokenizer(pinned.path, size: saved.settings.tokenSize)
            try pinned.requireSame(as: tokenizer.source, "tokenizer", of: folder)
            sources.tokenizer = tokenizer
        }
        if let pinned = saved.settings.cache {
            let cache = try CachedTokens(pinned.path)
            try pinned.requireSame(as: cache.source, "token cache", of: folder)
            sources.cache = cache
        }
        let photos = try PhotoDataset(saved.settings.data, sources.cache, excluding: folder.path)
        let objective = MaskedImageObjective(
            saved.settings, photos, model, sources, seed: saved.recipe.seed, picture: folder.predictions)
        self.init(objective, saved.recipe, folder: folder)
        try restore(state, saved)
    }

    /// The contents of `config.json`.
    private struct Plan: Encodable {
        var settings: MaskedImageSettings
        var recipe: Recipe
    }
}

extension PhotoDataset {
    /// The photos that have tokens where these come from a cache. Throws ``DatasetError`` and `FileError`.
    fileprivate init(_ options: PhotoOptions, _ cache: CachedTokens?, excluding output: String) throws {
        try self.init(options, excluding: output)
        if let cache {
            try keep(
                cache.contains,
                lacking: "tokens in \(cache.source.path) (`tokenizer encode` writes those of all photos it is given; "
                    + "paths count from the folder where it ran)")
        }
    }
}

extension MaskedImageSettings {
    /// What is learned, for people.
    fileprivate func lines(_ sources: MaskedImageObjective.Sources) -> [String] {
        let patches = masking.rows * masking.columns
        let target: String
        if let cache = sources.cache {
            target = "visual tokens of \(cache.source.path) (\(cache.description.vocabulary) words)"
        } else if let tokenizer = sources.tokenizer {
            target =
                "visual tokens of \(tokenizer.source.path) (\(tokenizer.vocabulary) words, second view "
                + "\(tokenizer.size.times) pixels)"
        } else {
            target = "\(configuration.mim?.pixels?.rawValue ?? "") pixels"
        }
        let views =
            sources.cache == nil
            ? [] : ["the cache fixes the crops: each photo shows its central part, colours and sides as they are"]
        let pictures =
            sources.cache != nil && sources.tokenizer == nil
            ? ["--tokenizer beside --tokens would draw pictures of what is predicted"] : []
        return [
            "hides \(masking.count) of \(patches) patches (\(masking.kind.rawValue)) and predicts \(target) of "
                + (predictsAll ? "all patches" : "the hidden patches")
        ] + views + pictures
    }
}

extension [Int] {
    /// Height and width for people.
    fileprivate var times: String { map(String.init).joined(separator: "×") }
    /// The same as `--size` has them.
    fileprivate var argument: String { self[0] == self[1] ? "\(self[0])" : "\(self[0])x\(self[1])" }
}

extension MaskedImagePlan {
    /// Throws ``PlanError`` where cache and tokenizer do not belong together, and what reading them throws.
    fileprivate func sources() throws -> MaskedImageObjective.Sources {
        switch target {
        case .pixels: return .init()
        case .tokens(let path): return .init(tokenizer: try VisualTokenizer(path, size: tokenSize))
        case .cached(let path, let tokenizerPath):
            let cache = try CachedTokens(path)
            let tokenizer = try tokenizerPath.map { try VisualTokenizer($0, size: cache.description.size) }
            if let tokenizer, tokenizer.source.sha256 != cache.description.tokenizerSHA256 {
                throw PlanError(
                    "--tokens \(path) is of another tokenizer than \(tokenizer.source.path): SHA-256 "
                        + "\(cache.description.tokenizerSHA256.prefix(12))…, not \(tokenizer.source.sha256.prefix(12))…; "
                        + "encode the photos with this one, or name the other")
            }
            return .init(tokenizer: tokenizer, cache: cache)
        }
    }

    /// Throws ``PlanError`` unless each patch has one token.
    fileprivate func requireOneGrid(_ configuration: ModelConfiguration, _ sources: MaskedImageObjective.Sources) throws
    {
        guard let backbone = configuration.backbone else { return }
        let patches = [backbone.gridHeight, backbone.gridWidth]
        func refuse(_ what: String, _ grid: [Int], _ size: [Int], _ remedy: String) -> PlanError {
            let sides = grid.map { $0 * backbone.patchSize }.argument
            return PlanError(
                "\(what) has \(grid.times) tokens of \(size.times) pixels, but the network \(patches.times) patches: "
                    + "give \(remedy), or --size \(sides)")
        }
        if let cache = sources.cache {
            let size = cache.description.size
            // The same crop: one shape.
            guard cache.grid == patches, size[0] * patches[1] == size[1] * patches[0] else {
                let remedy = patches.map { $0 * (size[0] / max(1, cache.grid[0])) }.argument
                throw refuse(
                    "--tokens \(cache.source.path)", cache.grid, size, "a cache of `tokenizer encode --size \(remedy)`")
            }
        } else if let tokenizer = sources.tokenizer {
            let side = tokenizer.downsampling
            guard tokenizer.size == patches.map({ $0 * side }) else {
                let remedy = patches.map { $0 * side }.argument
                throw refuse(
                    "--tokenizer \(tokenizer.source.path)", tokenizer.size.map { $0 / side }, tokenizer.size,
                    "--token-size \(remedy)")
            }
        }
    }

    /// The whole architecture; later sources win: backbone, `--position`, `--size`, `--drop-path`, `--set`.
    fileprivate func configuration(
        _ start: StartingPoint, _ sources: MaskedImageObjective.Sources
    ) throws -> ModelConfiguration {
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
        let outputs = sources.vocabulary ?? 3 * min(max(side, 1), 256) * min(max(side, 1), 256)
        guard let asked = result.mim?.vocabulary, asked == 0 || asked == outputs else {
            throw PlanError(
                "mim.vocabulary is \(result.mim?.vocabulary ?? 0), but "
                    + (sources.vocabulary == nil
                        ? "a patch has \(outputs) pixel values" : "the tokenizer has \(outputs) words"))
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
        limitsWarmup ? recipe.limitingWarmup(count: count) : recipe
    }
}
