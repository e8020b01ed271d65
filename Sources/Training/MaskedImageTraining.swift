import BEiTCheckpoints
import BEiTDatasets
import BEiTFiles
import BEiTImageIO
import BEiTLayers
import BEiTModels

/// A plan for masked image modeling: what to learn from, with which network, how.
package struct MaskedImagePlan: TrainingPlan {
    package typealias Task = MaskedImageObjective

    package var data: PhotoOptions
    package var initial: InitialWeights
    package var reading = ReadingChoice()
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
    package var changes = ConfigurationPatch()
    /// Height and width of the network's input in pixels; nil for that of the backbone.
    package var size: [Int]?
    package var dropPath: Float?
    package var checkpointsBlocks = false
    package var recipe = Recipe.pretraining()
    package var warmup = Warmup.atMost(0.1)
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

extension MaskedImagePlan {
    package var problem: String? { augmentation.problem ?? data.problem }

    /// The photos that have tokens, and what gives them these.
    package func source(_ start: StartingPoint, in folder: RunFolder) throws -> MaskedImageSource {
        let sources = try sources()
        return try MaskedImageSource(data, as: reading(start, sources), sources, excluding: folder.path)
    }

    /// As the first weights have learned, else the tokenizer. Throws ``PlanError`` where a cache has the tokens of images
    /// that were read otherwise.
    private func reading(_ start: StartingPoint, _ sources: MaskedImageObjective.Sources) throws -> ImageReading {
        guard let cache = sources.cache else {
            let usual = start.parent == nil ? sources.tokenizer?.reading : start.preprocessing.reading
            return reading.applied(to: usual ?? ImageReading())
        }
        let usual = cache.description.reading
        guard reading.applied(to: usual) == usual else {
            throw PlanError(
                "`tokens` \(cache.source.path) are of images read with \(usual.summary ?? "range auto"): leave out `range`, "
                    + "`bands` and `page`, or encode the photos with them")
        }
        return usual
    }

    package func check(_ source: MaskedImageSource, _ note: (String) -> Void) { source.photos.lines.forEach(note) }

    package func settings(
        _ start: StartingPoint, _ source: MaskedImageSource, _ recipe: Recipe
    ) throws -> MaskedImageSettings {
        let sources = source.sources
        let configuration = try configuration(start, sources)
        let masking = try masking(configuration)
        try requireOneGrid(configuration, sources)
        var preprocessing = start.preprocessing
        preprocessing.size = configuration.backbone?.imageSize ?? preprocessing.size
        preprocessing.resize = ResizeFilter.bicubic.rawValue
        return MaskedImageSettings(
            data: data, augmentation: sources.cache == nil ? augmentation : nil, masking: masking,
            predictsAll: predictsAll, tokenizer: sources.tokenizer?.source, tokenSize: sources.tokenizer?.size,
            cache: sources.cache?.source, configuration: configuration, preprocessing: preprocessing,
            checkpointsBlocks: checkpointsBlocks,
            provenance: Provenance(
                command: command, seed: recipe.seed, data: data.folders, parentSHA256: start.parent?.sha256,
                tokenizerSHA256: sources.tokenizerSHA256))
    }

    /// A head that predicts the words of another tokenizer knows nothing of these.
    package func transfer(
        _ parent: StartingPoint.Parent, _ settings: MaskedImageSettings, _ source: MaskedImageSource
    ) -> TransferRules {
        var rules = TransferRules()
        guard parent.description.task == .mim else { return rules }
        let (old, new) = (parent.description, settings)
        let isSame =
            old.configuration.mim?.pixels == new.configuration.mim?.pixels
            && old.provenance.tokenizerSHA256 == new.provenance.tokenizerSHA256
        if !isSame {
            rules.leavingOut = [
                (
                    "lm_head/",
                    "the head of the checkpoint predicts something else (the words of another tokenizer, or "
                        + "pixels): it starts at random"
                )
            ]
        }
        return rules
    }

    package func lines(_ settings: MaskedImageSettings, _ source: MaskedImageSource) -> [String] {
        settings.lines(source.sources)
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
            ? ["`tokenizer` beside `tokens` would draw pictures of what is predicted"] : []
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
                    "`tokens` \(path) is of another tokenizer than \(tokenizer.source.path): SHA-256 "
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
                    + "give \(remedy), or `size` \(sides)")
        }
        if let cache = sources.cache {
            let size = cache.description.size
            // The same crop: one shape.
            guard cache.grid == patches, size[0] * patches[1] == size[1] * patches[0] else {
                let remedy = patches.map { $0 * (size[0] / max(1, cache.grid[0])) }.argument
                throw refuse(
                    "`tokens` \(cache.source.path)", cache.grid, size, "a cache of tokens of the size \(remedy)")
            }
        } else if let tokenizer = sources.tokenizer {
            let side = tokenizer.downsampling
            guard tokenizer.size == patches.map({ $0 * side }) else {
                let remedy = patches.map { $0 * side }.argument
                throw refuse(
                    "`tokenizer` \(tokenizer.source.path)", tokenizer.size.map { $0 / side }, tokenizer.size,
                    "`token-size` \(remedy)")
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
}
