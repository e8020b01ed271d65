import BEiTCheckpoints
import BEiTDatasets
import BEiTFiles
import BEiTImageIO
import BEiTModels

/// Sizes of a tokenizer with the learning rate that suits them; `base` is DALL-E's.
package enum TokenizerPreset: String, CaseIterable, Sendable {
    case tiny, small, base

    package var configuration: TokenizerConfiguration {
        var result = TokenizerConfiguration()
        switch self {
        case .tiny: (result.hidden, result.vocabulary, result.codeWidth) = (32, 1024, 64)
        case .small: (result.hidden, result.vocabulary) = (64, 4096)
        case .base: break
        }
        return result
    }

    package var learningRate: Double {
        switch self {
        case .tiny: 1e-3
        case .small: 5e-4
        case .base: 1e-4
        }
    }
}

/// A plan for learning a tokenizer: from which photos, with which network, how.
package struct TokenizerPlan: TrainingPlan {
    package typealias Task = TokenizerObjective

    package var data: PhotoOptions
    package var reading = ReadingChoice()
    package var augmentation: Augmentation
    package var tokenizer: TokenizerConfiguration
    /// Changes to the architecture by name (`--set`).
    package var changes = ConfigurationPatch()
    /// Height and width in pixels; BEiT's token view.
    package var size = [112, 112]
    /// Of the relaxed codes, at the start and at the end of its cosine.
    package var temperatures = [1, 0.0625]
    /// Updates until the last temperature is reached; nil for half the run, at most the paper's 150,000.
    package var temperatureSteps: Int?
    /// β once it has risen.
    package var klWeight = 6.6
    /// Updates until then; nil for a twentieth of the run, at most the paper's 5,000.
    package var klSteps: Int?
    package var recipe: Recipe
    /// The command line, for the provenance.
    package var command: String

    package init(data: PhotoOptions, preset: TokenizerPreset, command: String) {
        (self.data, self.command, tokenizer) = (data, command, preset.configuration)
        recipe = TokenizerPlan.recipe(preset)
        augmentation = Augmentation()
        // The paper crops squares of 4/9 to 4/5 of the largest one's area, and leaves colours as they are.
        (augmentation.area, augmentation.colorJitter) = ([0.4, 1], 0)
    }

    /// The paper's, with a batch for one machine; a narrower network bears a higher learning rate.
    package static func recipe(_ preset: TokenizerPreset) -> Recipe {
        var recipe = Recipe()
        (recipe.batch, recipe.warmupEpochs, recipe.weightDecay, recipe.averageDecay) = (32, 0, 1e-4, 0.999)
        recipe.learningRate = preset.learningRate
        recipe.minimumLearningRate = preset.learningRate / 80
        return recipe
    }

    /// What makes the plan impossible, in one sentence; nil if nothing does.
    package var problem: String? {
        if let problem = data.problem ?? augmentation.problem { return problem }
        guard temperatures.count == 2, temperatures.allSatisfy({ $0.isFinite && $0 >= 0.001 && $0 <= 100 }) else {
            return "`temperature` is a first and a last one such as 1,0.0625, each from 0.001 to 100"
        }
        if !klWeight.isFinite || klWeight < 0 { return "`kl-weight` is \(klWeight), and must be a number from 0" }
        for (name, steps) in [("temperature-steps", temperatureSteps), ("kl-steps", klSteps)] where steps ?? 0 < 0 {
            return "`\(name)` is \(steps ?? 0), and must be at least 0"
        }
        return nil
    }

    /// Throws ``PlanError`` or `ImportError` for a setting that makes no sense.
    fileprivate func configuration() throws -> ModelConfiguration {
        let result = try changes.applied(to: .tokenizer(tokenizer))
        if let problem = result.problem { throw PlanError(problem) }
        guard let tokenizer = result.tokenizer, result.task == .tokenizer else {
            throw PlanError("a tokenizer has no other parts than tokenizer.*")
        }
        guard tokenizer.hasDecoder else {
            throw PlanError("tokenizer.code_width is 0: nothing is learned without a decoder")
        }
        let step = tokenizer.downsampling
        guard size.count == 2, size.allSatisfy({ $0 >= step && $0 <= 1 << 14 && $0 % step == 0 }) else {
            let text = size.map(String.init).joined(separator: "×")
            throw PlanError("`size` \(text): a token stands for \(step)×\(step) pixels; both sides must be multiples")
        }
        return result
    }

    /// The temperature and β by the step, of a run of so many.
    fileprivate func schedules(steps: Int) -> (temperature: Schedule, klWeight: Schedule) {
        (
            Schedule(
                .cosine, base: temperatures[0], final: temperatures[1],
                steps: temperatureSteps ?? min(150_000, steps / 2)),
            Schedule(.cosine, base: 0, final: klWeight, steps: klSteps ?? min(5_000, steps / 20))
        )
    }
}

extension TokenizerPlan {
    package var warmup: Warmup { .asGiven }
    /// A tokenizer has no backbone, and takes nothing over.
    package var initial: InitialWeights { .random(BackboneConfiguration()) }

    package func source(_ start: StartingPoint, in folder: RunFolder) throws -> PhotoDataset {
        try PhotoDataset(data, as: reading.applied(to: ImageReading()), excluding: folder.path)
    }

    package func check(_ source: PhotoDataset, _ note: (String) -> Void) { source.lines.forEach(note) }

    package func settings(
        _ start: StartingPoint, _ source: PhotoDataset, _ recipe: Recipe
    ) throws -> TokenizerSettings {
        let configuration = try configuration()
        let (temperature, klWeight) = schedules(steps: recipe.totalSteps(count: source.trainingCount))
        return TokenizerSettings(
            data: data, augmentation: augmentation, configuration: configuration, preprocessing: .tokenizer(size: size),
            temperature: temperature, klWeight: klWeight,
            provenance: Provenance(command: command, seed: recipe.seed, data: data.folders))
    }

    package func lines(_ settings: TokenizerSettings, _ source: PhotoDataset) -> [String] {
        let tokenizer = settings.configuration.tokenizer ?? TokenizerConfiguration()
        let grid = size.map { $0 / tokenizer.downsampling }
        let (temperature, klWeight) = (settings.temperature, settings.klWeight)
        return [
            "a photo becomes \(grid[0])×\(grid[1]) tokens of \(tokenizer.vocabulary)",
            "temperature \(temperature.base) to \(temperature.final) over \(temperature.steps) steps, "
                + "KL weight 0 to \(klWeight.final) over \(klWeight.steps)",
        ]
    }
}
