import ArgumentParser
import BEiTDatasets
import BEiTFiles
import BEiTModels
import BEiTOps
import BEiTProcesses
import BEiTSeg
import BEiTTensorCore
import BEiTTraining

extension Preset: ExpressibleByArgument {}
extension Reduction: ExpressibleByArgument {}

/// Pixels of a side, or `HEIGHTxWIDTH`.
struct SizeArgument: ExpressibleByArgument {
    /// Height and width.
    var sides: [Int]

    init?(argument: String) {
        let parts = argument.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
        switch (parts.count, parts.first ?? nil, parts.last ?? nil) {
        case (1, let side?, _): sides = [side, side]
        case (2, let height?, let width?): sides = [height, width]
        default: return nil
        }
    }
}

/// Numbers with commas between them.
struct NumberList: ExpressibleByArgument {
    var values: [Float]

    init?(argument: String) {
        let parts = argument.split(separator: ",", omittingEmptySubsequences: false).map { Float($0) }
        values = parts.compactMap { $0 }
        if values.count != parts.count { return nil }
    }
}

/// The folder of a run: of a new one, or of one that goes on.
struct RunOptions: ParsableArguments {
    @Option(name: .shortAndLong, help: ArgumentHelp("The folder of the run.", valueName: "run"))
    var output: String?

    @Option(
        help: ArgumentHelp(
            """
            Go on with a run, bit for bit, as it was begun. With more --epochs or --steps it becomes longer; --data says \
            where its data is now. No other options of the run.
            """, valueName: "run"))
    var resume: String?

    #if MPI
        @Option(
            help: """
                How several processes (mpirun, srun) add up their gradients: exact, to the same bits with any number of them, \
                or fast (default: exact).
                """)
        var reduction: Reduction?
    #else
        var reduction: Reduction? { nil }
    #endif

    var folder: RunFolder { RunFolder(resume ?? output ?? "") }
}

/// An option that may have been given.
private protocol Givable {
    /// The names of what was given, of all options inside; without a name of its own it has `name`.
    func given(_ name: String) -> [String]
}

extension Option: Givable {
    fileprivate func given(_ name: String) -> [String] {
        switch wrappedValue as Any {
        case let list as [Any]: list.isEmpty ? [] : [name]
        case Optional<Any>.none: []
        default: [name]
        }
    }
}

extension Flag: Givable {
    fileprivate func given(_ name: String) -> [String] {
        guard Value.self == Bool?.self else { return wrappedValue as? Bool == true ? [name] : [] }
        return switch wrappedValue as? Bool {
        case true?: [name]
        case false?: ["--no-" + name.dropFirst(2)]
        case nil: []
        }
    }
}

extension OptionGroup: Givable {
    fileprivate func given(_ name: String) -> [String] { wrappedValue.givenOptions }
}

extension ParsableArguments {
    /// The options that were given, such as `--layer-decay`, those of groups as well. Of options that have a default
    /// value nobody can tell: they count as given.
    var givenOptions: [String] {
        Mirror(reflecting: self).children.flatMap { child -> [String] in
            guard let label = child.label, let option = child.value as? any Givable else { return [] }
            return option.given("--" + label.drop { $0 == "_" }.dashed)
        }
    }
}

extension Substring {
    /// `layerDecay` as `layer-decay`.
    fileprivate var dashed: String {
        reduce(into: "") { $0 += $1.isUppercase ? "-" + $1.lowercased() : String($1) }
    }
}

/// A command that trains: a new run from its plan, or one that goes on.
protocol TrainingCommand: Command {
    var data: [String] { get }
    var run: RunOptions { get }
    /// A longer run.
    var length: (epochs: Double?, steps: Int?) { get }
    /// What to think of where nothing was said about the network.
    var advice: String? { get }
}

extension TrainingCommand {
    var advice: String? { nil }

    /// Whether the run is a new one, which needs data and a folder; one that goes on has its own options.
    func isNew() throws -> Bool {
        guard run.resume != nil else {
            if data.isEmpty { throw ValidationError("--data is missing") }
            guard let output = run.output else {
                throw ValidationError("--output is missing: the folder of the run")
            }
            // What a run writes there would count as data the next time.
            do { try OutputCheck(reads: data).check(writeInto: output) } catch {
                throw ValidationError(error.description)
            }
            return true
        }
        let allowed = Set(
            ["--resume", "--reduction", "--data", "--epochs", "--steps", "--task", "--allow-damaged"]
                + common.givenOptions)
        if let other = givenOptions.first(where: { !allowed.contains($0) }) {
            throw ValidationError("--resume goes on with the run's own settings; leave out \(other)")
        }
        return false
    }

    /// Shows a line on a run before it starts; a warning also to those who want to hear nothing else.
    private func say(_ line: String) {
        let warning = "warning: "
        if line.hasPrefix(warning) { log.warning("\(line.dropFirst(warning.count))") } else { log.info("\(line)") }
    }

    /// Trains, and shows how it goes.
    func train<Plan: TrainingPlan>(_ plan: () throws -> Plan) throws {
        let team = try Launch.join(threads: common.threads)
        let trainer: Trainer<Plan.Task> = try team.agree { try self.trainer(plan, team) }
        if let advice { say(advice) }
        if team.size > 1 {
            say(
                "\(team.size) processes, \(team.neighbours) on this machine, of \(WorkerPool.current.threads.counted("thread")) "
                    + "each")
        }
        let progress = TrainingProgress(quiet: common.quiet)
        try trainer.run { if team.isFirst { progress.show($0) } }
    }

    private func trainer<Plan: TrainingPlan>(
        _ plan: () throws -> Plan, _ team: any Communicator
    ) throws -> Trainer<Plan.Task> {
        let reduction = run.reduction ?? .exact
        if run.resume == nil {
            return try Trainer(try plan(), folder: run.folder, team: team, reduction: reduction) { say($0) }
        }
        var changes = RunChanges()
        changes.data = data.isEmpty ? nil : data
        (changes.epochs, changes.steps) = length
        return try Trainer(resuming: run.folder, changes, team: team, reduction: reduction)
    }
}

/// What network is trained.
struct ArchitectureOptions: ParsableArguments {
    @Option(help: "The size of a network that starts from scratch (default: tiny).")
    var preset: Preset?

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "A part of the architecture by its name in `config`, such as decoder.channels=96,64,48,32 or backbone.depth=6.",
            valueName: "key=value"))
    var set: [String] = []

    @Option(help: ArgumentHelp("Input size in pixels (default: the checkpoint's, or 224).", valueName: "n|hxw"))
    var size: SizeArgument?

    @Option(help: ArgumentHelp("Stochastic depth of the last block (default: 0.1).", valueName: "p"))
    var dropPath: Float?

    @Flag(help: "Compute the blocks twice instead of keeping what they compute: less memory, a third more time.")
    var checkpointBlocks = false

    func validate() throws {
        if let dropPath, !(dropPath >= 0 && dropPath < 1) {
            throw ValidationError("--drop-path \(dropPath) is not from 0 to below 1")
        }
    }

}

/// `--schedule`.
enum LearningRateSchedule: String, ExpressibleByArgument, CaseIterable {
    case cosine, poly, constant

    func decay(power: Double) -> Schedule.Decay {
        switch self {
        case .cosine: .cosine
        case .poly: .polynomial(power: power)
        case .constant: .constant
        }
    }
}

/// What a training command's recipe is where nothing is said, as its help puts it.
protocol RecipeDefaults {
    static var epochs: String { get }
    static var batch: String { get }
    static var lr: String { get }
    static var minLr: String { get }
    static var warmupEpochs: String { get }
    static var weightDecay: String { get }
    static var clipGrad: String { get }
    static var ema: String { get }
}

/// How it is trained; what is not given stays as the recipe has it.
struct RecipeOptions<Defaults: RecipeDefaults>: ParsableArguments {
    @Option(help: ArgumentHelp("Passes over the training images (default: \(Defaults.epochs)).", valueName: "n"))
    var epochs: Double?
    @Option(help: ArgumentHelp("Updates, instead of epochs.", valueName: "n"))
    var steps: Int?
    @Option(help: ArgumentHelp("Images of one pass (default: \(Defaults.batch)).", valueName: "n"))
    var batch: Int?
    @Option(help: ArgumentHelp("Passes before each update (default: 1).", valueName: "n"))
    var accumulate: Int?
    @Option(help: ArgumentHelp("Peak learning rate (default: \(Defaults.lr)).", valueName: "x"))
    var lr: Double?
    @Option(
        help: ArgumentHelp(
            "Learning rate at the end (default: \(Defaults.minLr); 0 with --schedule poly).", valueName: "x"))
    var minLr: Double?
    @Option(help: "How the learning rate falls after the warm-up (default: cosine).")
    var schedule: LearningRateSchedule?
    @Option(help: ArgumentHelp("Power of --schedule poly (default: 1, a straight line).", valueName: "x"))
    var polyPower: Double?
    @Option(help: ArgumentHelp("Epochs of linear warm-up (default: \(Defaults.warmupEpochs)).", valueName: "n"))
    var warmupEpochs: Double?
    @Option(help: ArgumentHelp("Decoupled weight decay (default: \(Defaults.weightDecay)).", valueName: "x"))
    var weightDecay: Double?
    @Option(
        help: ArgumentHelp(
            "Largest L2 norm of the gradient, 0 for no limit (default: \(Defaults.clipGrad)).", valueName: "x"))
    var clipGrad: Double?
    @Option(
        help: ArgumentHelp(
            "Decay of a moving average of the weights (default: \(Defaults.ema)).", valueName: "x"))
    var ema: Double?
    @Option(
        help: """
            Numbers that the network multiplies: fp32 or bf16 (default: fp32). Sums, weights, gradients and the optimizer are \
            of float32 with both.
            """)
    var precision: Precision?
    @Option(help: ArgumentHelp("Seed of everything random: weights, order, augmentation (default: 0).", valueName: "n"))
    var seed: UInt64?
    @Option(
        help: ArgumentHelp(
            "Go through one shard after the other, drawing among so many photos (default: draw from anywhere).",
            valueName: "n"))
    var shuffleBuffer: Int?
    @Option(help: ArgumentHelp("Epochs between validations (default: 1).", valueName: "n"))
    var evalEvery: Int?
    @Option(help: ArgumentHelp("Steps between checkpoints (default: 500, and at validations).", valueName: "n"))
    var checkpointEvery: Int?

    func validate() throws {
        if epochs != nil && steps != nil { throw ValidationError("--epochs and --steps exclude each other") }
        if polyPower != nil && schedule != .poly { throw ValidationError("--poly-power belongs to --schedule poly") }
        if minLr != nil && schedule == .constant {
            throw ValidationError("--min-lr has no meaning with --schedule constant; leave it out")
        }
        if let precision, let problem = precision.trainingProblem {
            throw ValidationError("--precision \(precision.rawValue): \(problem)")
        }
    }

    /// A longer run, where one goes on.
    var length: (epochs: Double?, steps: Int?) { (epochs, steps) }

    func apply(to recipe: inout Recipe) {
        recipe.epochs = epochs ?? recipe.epochs
        recipe.steps = steps ?? recipe.steps
        recipe.batch = batch ?? recipe.batch
        recipe.accumulate = accumulate ?? recipe.accumulate
        recipe.learningRate = lr ?? recipe.learningRate
        // A low peak pulls the end down with it.
        recipe.minimumLearningRate =
            minLr ?? (schedule == .poly ? 0 : min(recipe.minimumLearningRate, recipe.learningRate))
        recipe.schedule = schedule?.decay(power: polyPower ?? 1) ?? recipe.schedule
        recipe.warmupEpochs = warmupEpochs ?? recipe.warmupEpochs
        recipe.weightDecay = weightDecay ?? recipe.weightDecay
        if let clipGrad { recipe.clipGradient = clipGrad == 0 ? nil : clipGrad }
        recipe.averageDecay = ema ?? recipe.averageDecay
        recipe.precision = precision ?? recipe.precision
        recipe.seed = seed ?? recipe.seed
        recipe.shuffleBuffer = shuffleBuffer ?? recipe.shuffleBuffer
        recipe.evaluateEvery = evalEvery ?? recipe.evaluateEvery
        recipe.checkpointEvery = checkpointEvery ?? recipe.checkpointEvery
    }
}

/// What the values of masks mean.
struct LabelOptions: ParsableArguments {
    @OptionGroup var values: MaskOptions

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            """
            Files of lines `VALUE CLASS` that say what mask values mean: one for all sets, or one for each in the order \
            of --data, `-` for none. A class that no set's list has: `VALUE CLASS R G B`.
            """, valueName: "file"))
    var labelMap: [String] = []

    func options(_ folders: [String]) -> DatasetOptions {
        var result = DatasetOptions(folders)
        values.apply(to: &result)
        result.labelMaps = labelMap.map { $0 == "-" ? nil : $0 }
        return result
    }
}

extension BackgroundMeaning: ExpressibleByArgument {}

/// How several data sets become one (segmentation).
struct SetOptions: ParsableArguments {
    @Option(
        help: """
            What pixels mean that one set calls background and for which others have a class: own, none of them (default); \
            shared, background or any class that the set does not label.
            """)
    var background: BackgroundMeaning?

    @Option(
        help: ArgumentHelp(
            "How often photos of each set are drawn, a number each in the order of --data, such as 3,1,1 (default: all photos alike).",
            valueName: "list"))
    var proportions: NumberList?
}

extension Augmentation.Crop: ExpressibleByArgument {}

/// What a training begins with.
struct StartOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The first weights: a checkpoint of any task, `shipped` (a backbone of size tiny that comes with beit-seg), or `none` (the default).",
            valueName: "file"))
    var `init`: String?

    /// Whether weights are given, and not drawn at random.
    var isCheckpoint: Bool { `init` != nil && `init` != "none" }

    /// Throws ``DefaultModel/NotFound``.
    func weights(else backbone: BackboneConfiguration) throws -> InitialWeights {
        guard isCheckpoint, let `init` else { return .random(backbone) }
        return .checkpoint(`init` == "shipped" ? try DefaultModel.start() : `init`)
    }
}

/// How training images are changed.
struct AugmentationOptions: ParsableArguments {
    @Option(
        help: """
            `resized`: a part of random area and shape; `scale` (segmentation): the photo at 0.5 to 2 times the network's \
            size, and a part of it that one class does not fill (default: resized).
            """)
    var crop: Augmentation.Crop?
    @Option(
        help: ArgumentHelp(
            "Smallest share of a photo's area that a part of random area takes (default: 0.25; classification and pretrain: 0.08).",
            valueName: "x"))
    var cropArea: Float?
    @Option(
        help: ArgumentHelp(
            "Brightness, contrast and saturation change by a factor within 1 ± this (default: 0.4).", valueName: "x"))
    var colorJitter: Float?
    @Flag(
        help:
            "In place of the colour jitter (segmentation): brightness ± 32, contrast, saturation, hue ± 36°, each every other time."
    )
    var photometric = false
    @Flag(inversion: .prefixedNo, help: "Show a mirror image every other time (default: --flip).")
    var flip: Bool?

    /// Whether something is given that needs masks.
    var isOfSegmentation: Bool { crop != nil || photometric }

    func validate() throws {
        if cropArea != nil && crop == .scale {
            throw ValidationError("--crop-area belongs to --crop resized; leave it out with --crop scale")
        }
        if colorJitter != nil && photometric {
            throw ValidationError("--photometric takes the place of --color-jitter; leave one of them out")
        }
    }

    /// `standard` with what is given changed.
    func augmentation(of standard: Augmentation = Augmentation()) -> Augmentation {
        var result = standard
        result.crop = crop ?? result.crop
        if let cropArea { result.area = [cropArea, 1] }
        result.colorJitter = colorJitter ?? result.colorJitter
        if photometric { result.photometric = PhotometricDistortion() }
        if let flip { result.flip = flip ? 0.5 : 0 }
        return result
    }
}
