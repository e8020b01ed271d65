import ArgumentParser
import BEiTCheckpoints
import BEiTDatasets
import BEiTTraining

extension TokenizerPreset: ExpressibleByArgument {}

enum TokenizerDefaults: RecipeDefaults {
    static let epochs = "100"
    static let batch = "32"
    static let lr = "0.001 for tiny, 0.0005 for small, 0.0001 for base"
    static let minLr = "an eightieth of the peak"
    static let warmupEpochs = "0"
    static let weightDecay = "0.0001"
    static let clipGrad = "no limit"
    static let ema = "0.999"
}

/// The objective of a tokenizer; what is not given stays as the paper has it.
struct TokenizerObjectiveOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "First and last temperature of the relaxed codes, with a cosine between them (default: 1,0.0625).",
            valueName: "from,to"))
    var temperature: NumberList?
    @Option(
        help: ArgumentHelp(
            "Updates until the last temperature (default: half the run, at most 150000).", valueName: "n"))
    var temperatureSteps: Int?
    @Option(help: ArgumentHelp("Weight of the KL term once it has risen (default: 6.6).", valueName: "x"))
    var klWeight: Double?
    @Option(
        help: ArgumentHelp(
            "Updates over which it rises from 0 (default: a twentieth of the run, at most 5000).", valueName: "n"))
    var klSteps: Int?

    func apply(to plan: inout TokenizerPlan) {
        plan.temperatures = temperature?.values.map(Double.init) ?? plan.temperatures
        plan.temperatureSteps = temperatureSteps
        plan.klWeight = klWeight ?? plan.klWeight
        plan.klSteps = klSteps
    }
}

/// From which photos a tokenizer learns, and what it sees of them.
struct TokenizerPhotoOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Share of the photos that is held out, where a folder has no `val` (default: 0.05).", valueName: "share"))
    var validation: Double?
    @Option(help: ArgumentHelp("Pixels that the tokenizer sees (default: 112).", valueName: "n|hxw"))
    var size: SizeArgument?
    @Option(
        help: ArgumentHelp("Smallest share of a photo's area that a random crop takes (default: 0.4).", valueName: "x"))
    var cropArea: Float?
    @Option(
        help: ArgumentHelp(
            "Brightness, contrast and saturation change by a factor within 1 ± this (default: 0).", valueName: "x"))
    var colorJitter: Float?
    @Flag(help: "Show no mirror images.")
    var noFlip = false

    func apply(to plan: inout TokenizerPlan) {
        plan.data.validationShare = validation ?? plan.data.validationShare
        plan.size = size?.sides ?? plan.size
        plan.augmentation.area[0] = cropArea ?? plan.augmentation.area[0]
        plan.augmentation.colorJitter = colorJitter ?? plan.augmentation.colorJitter
        if noFlip { plan.augmentation.flip = 0 }
    }
}

struct TokenizerTrain: TrainingCommand, ImageCommand {
    static let configuration = CommandConfiguration(
        commandName: "train", abstract: "Learn a tokenizer from photos without labels.",
        discussion: HelpText.discussion(
            """
            The folder RUN/ receives last.h5 (complete state), best.h5 (best validation), log.jsonl, config.json,
            report.html, TensorBoard's event files and reconstructions.png (photos beside what their tokens keep).
            """,
            examples: "beit-seg tokenizer train --data photos/ --preset tiny --epochs 30 -o runs/tokenizer",
            "beit-seg tokenizer train --data a/ b/ --set tokenizer.vocabulary=512 --set tokenizer.hidden=48 -o runs/own",
            "beit-seg tokenizer train --resume runs/tokenizer"))

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Folders of photos, or tar shards; of data sets for segmentation the masks are left out.", valueName: "dir")
    )
    var data: [String] = []

    @OptionGroup var run: RunOptions

    @Option(help: "The size of the network: tiny, small, base (default: base, DALL-E's).")
    var preset: TokenizerPreset?

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "A part of the network by its name: tokenizer.hidden, .blocks, .groups, .vocabulary, .code_width.",
            valueName: "key=value"))
    var set: [String] = []

    @OptionGroup(title: "Photos") var photos: TokenizerPhotoOptions
    @OptionGroup(title: "Objective") var objective: TokenizerObjectiveOptions
    @OptionGroup(title: "Recipe") var recipe: RecipeOptions<TokenizerDefaults>
    @OptionGroup var reading: ReadingOptions
    @OptionGroup var common: CommonOptions

    var length: (epochs: Double?, steps: Int?) { recipe.length }

    func validate() throws { _ = try isNew() }

    mutating func execute() throws { try train(plan) }

    private func plan() throws -> TokenizerPlan {
        var plan = TokenizerPlan(data: PhotoOptions(data), preset: preset ?? .base, command: commandLine)
        plan.changes = try ConfigurationPatch(settings: set)
        plan.reading = reading.choice
        photos.apply(to: &plan)
        objective.apply(to: &plan)
        recipe.apply(to: &plan.recipe)
        if recipe.minLr == nil && recipe.schedule != .poly {
            plan.recipe.minimumLearningRate = plan.recipe.learningRate / 80
        }
        return plan
    }
}
