import ArgumentParser
import Checkpoints
import Datasets
import Training

extension TokenizerPreset: ExpressibleByArgument {}

/// How a tokenizer is trained; what is not given stays as the paper has it.
struct TokenizerRecipeOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Passes over the training photos (default: 100).", valueName: "n"))
    var epochs: Double?
    @Option(help: ArgumentHelp("Updates, instead of epochs.", valueName: "n"))
    var steps: Int?
    @Option(help: ArgumentHelp("Photos of one pass (default: 32).", valueName: "n"))
    var batch: Int?
    @Option(help: ArgumentHelp("Passes before each update (default: 1).", valueName: "n"))
    var accumulate: Int?
    @Option(
        help: ArgumentHelp(
            "Peak learning rate (default: 0.001 for tiny, 0.0005 for small, 0.0001 for base).", valueName: "x"))
    var lr: Double?
    @Option(help: ArgumentHelp("Learning rate at the end (default: an eightieth of the peak).", valueName: "x"))
    var minLr: Double?
    @Option(help: ArgumentHelp("Epochs of linear warm-up (default: 0).", valueName: "n"))
    var warmupEpochs: Double?
    @Option(help: ArgumentHelp("Decoupled weight decay (default: 0.0001).", valueName: "x"))
    var weightDecay: Double?
    @Option(help: ArgumentHelp("Largest L2 norm of the gradient, 0 for no limit (default: no limit).", valueName: "x"))
    var clipGrad: Double?
    @Option(help: ArgumentHelp("Decay of a moving average of the weights (default: 0.999).", valueName: "x"))
    var ema: Double?
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
    @Option(help: ArgumentHelp("Seed of weights, order, crops and noise (default: 0).", valueName: "n"))
    var seed: UInt64?
    @Option(help: ArgumentHelp("Epochs between validations (default: 1).", valueName: "n"))
    var evalEvery: Int?
    @Option(help: ArgumentHelp("Steps between checkpoints (default: 500, and at validations).", valueName: "n"))
    var checkpointEvery: Int?

    var isGiven: Bool {
        let given: [Any?] = [
            epochs, steps, batch, accumulate, lr, minLr, warmupEpochs, weightDecay, clipGrad, ema, temperature,
            temperatureSteps, klWeight, klSteps, seed, evalEvery, checkpointEvery,
        ]
        return given.contains { $0 != nil }
    }

    func validate() throws {
        if epochs != nil && steps != nil { throw ValidationError("--epochs and --steps exclude each other") }
    }

    func apply(to plan: inout TokenizerPlan) {
        plan.recipe.epochs = epochs ?? plan.recipe.epochs
        plan.recipe.steps = steps ?? plan.recipe.steps
        plan.recipe.batch = batch ?? plan.recipe.batch
        plan.recipe.accumulate = accumulate ?? plan.recipe.accumulate
        plan.recipe.learningRate = lr ?? plan.recipe.learningRate
        plan.recipe.minimumLearningRate = minLr ?? plan.recipe.learningRate / 80
        plan.recipe.warmupEpochs = warmupEpochs ?? plan.recipe.warmupEpochs
        plan.recipe.weightDecay = weightDecay ?? plan.recipe.weightDecay
        if let clipGrad { plan.recipe.clipGradient = clipGrad == 0 ? nil : clipGrad }
        plan.recipe.averageDecay = ema ?? plan.recipe.averageDecay
        plan.recipe.seed = seed ?? plan.recipe.seed
        plan.recipe.evaluateEvery = evalEvery ?? plan.recipe.evaluateEvery
        plan.recipe.checkpointEvery = checkpointEvery ?? plan.recipe.checkpointEvery
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

    var isGiven: Bool {
        validation != nil || size != nil || cropArea != nil || colorJitter != nil || noFlip
    }

    func apply(to plan: inout TokenizerPlan) {
        plan.data.validationShare = validation ?? plan.data.validationShare
        plan.size = size?.sides ?? plan.size
        plan.augmentation.area[0] = cropArea ?? plan.augmentation.area[0]
        plan.augmentation.colorJitter = colorJitter ?? plan.augmentation.colorJitter
        if noFlip { plan.augmentation.flip = 0 }
    }
}

struct TokenizerTrain: Command {
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
        help: ArgumentHelp("Folders of photos; of data sets for segmentation the masks are left out.", valueName: "dir")
    )
    var data: [String] = []

    @Option(name: .shortAndLong, help: ArgumentHelp("The folder of the run.", valueName: "run"))
    var output: String?

    @Option(
        help: ArgumentHelp(
            "Go on with a run, bit for bit, as it was begun; no other option than --threads.", valueName: "run"))
    var resume: String?

    @Option(help: "The size of the network: tiny, small, base (default: base, DALL-E's).")
    var preset: TokenizerPreset?

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "A part of the network by its name: tokenizer.hidden, .blocks, .groups, .vocabulary, .code_width.",
            valueName: "key=value"))
    var set: [String] = []

    @OptionGroup(title: "Photos") var photos: TokenizerPhotoOptions
    @OptionGroup(title: "Recipe") var recipe: TokenizerRecipeOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard resume == nil else {
            let extra = !data.isEmpty || output != nil || preset != nil || !set.isEmpty
            if extra || photos.isGiven || recipe.isGiven {
                throw ValidationError("--resume goes on with the run's own data, architecture and recipe")
            }
            return
        }
        if data.isEmpty { throw ValidationError("--data is missing") }
        if output == nil { throw ValidationError("--output is missing: the folder of the run") }
    }

    mutating func execute() throws {
        let folder = RunFolder(resume ?? output ?? "")
        let progress = TrainingProgress(quiet: common.quiet)
        let trainer =
            if resume != nil { try Trainer<TokenizerObjective>(resuming: folder) } else {
                try Trainer(try plan(), folder: folder) { log.info("\($0)") }
            }
        try trainer.run { progress.show($0) }
    }

    private func plan() throws -> TokenizerPlan {
        var plan = TokenizerPlan(data: PhotoOptions(data), preset: preset ?? .base, command: commandLine)
        plan.changes = try Settings(set)
        photos.apply(to: &plan)
        recipe.apply(to: &plan)
        return plan
    }
}
