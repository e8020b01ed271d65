import ArgumentParser
import BEiTCheckpoints
import BEiTDatasets
import BEiTModels
import BEiTTensorCore
import BEiTTraining

enum FinetuneDefaults: RecipeDefaults {
    static let epochs = "100"
    static let batch = "16; classification: 32"
    static let lr = "0.0007; classification: by batch"
    static let minLr = "1e-06"
    static let warmupEpochs = "5, but at most a tenth of the run; classification: a fifth of it"
    static let weightDecay = "0.05"
    static let clipGrad = "no limit"
    static let ema = "none; 0.999 is usual"
}

struct Finetune: TrainingCommand, ImageCommand {
    static let configuration = CommandConfiguration(
        commandName: "finetune", abstract: "Train a model end to end, from scratch or from a checkpoint.",
        discussion: HelpText.discussion(
            """
            The folder RUN/ receives last.h5 (complete state), best.h5 (best validation), log.jsonl, config.json,
            report.html (curves and pictures) and TensorBoard's event files.
            """,
            examples: "beit-seg finetune --task segmentation --data pets/ --init pretrained.h5 -o runs/pets",
            "beit-seg finetune --task segmentation --data pets/ camvid/ --proportions 3,1 --preset tiny -o runs/both",
            "beit-seg finetune --task segmentation --data fields/ --bands 5,3,2 --range 0,32768 -o runs/fields",
            "beit-seg finetune --task classification --data photos/ --init pretrained.h5 -o runs/classes",
            "beit-seg finetune --resume runs/pets"))

    enum FinetuneTask: String, ExpressibleByArgument, CaseIterable { case segmentation, classification }

    @Option(help: "What to learn: segmentation, or classification from class folders (train/CLASS/photo.jpg).")
    var task = FinetuneTask.segmentation

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Data sets, folders or tar shards; several give the union of their classes, by name.", valueName: "dir"))
    var data: [String] = []

    @OptionGroup var start: StartOptions

    @OptionGroup var run: RunOptions

    @Option(help: ArgumentHelp("Factor of each class in the loss, such as 1,2,2 (default: all 1).", valueName: "list"))
    var classWeights: NumberList?

    @Option(
        help: ArgumentHelp(
            "Learning rate of a block relative to the next (default: 0.65, from scratch 1).",
            valueName: "x"))
    var layerDecay: Double?

    @Flag(help: "Keep the backbone as --init has it: only the decoder or the head learns (faster, and in less memory).")
    var freezeBackbone = false

    @OptionGroup(title: "Architecture") var architecture: ArchitectureOptions
    @OptionGroup(title: "Recipe") var recipe: RecipeOptions<FinetuneDefaults>
    @OptionGroup(title: "Classification") var classification: ClassificationOptions
    @OptionGroup(title: "Classification") var view: ClassifierViewOptions
    @OptionGroup(title: "Labels") var labels: LabelOptions
    @OptionGroup(title: "Several data sets") var sets: SetOptions
    @OptionGroup(title: "Augmentation") var augmentation: AugmentationOptions
    @OptionGroup(title: "Augmentation") var mixing: MixingOptions
    @OptionGroup var reading: ReadingOptions
    @OptionGroup var common: CommonOptions

    var length: (epochs: Double?, steps: Int?) { recipe.length }

    func validate() throws {
        guard try isNew() else { return }
        if start.isCheckpoint && architecture.preset != nil {
            throw ValidationError("--preset and --init exclude each other: the checkpoint has its architecture")
        }
        try validateFreezing()
        try validateTask()
    }

    /// What has no meaning where the backbone does not learn. Throws `ValidationError`.
    private func validateFreezing() throws {
        guard freezeBackbone else { return }
        let ofLearning = [
            ("--drop-path", architecture.dropPath != nil), ("--layer-decay", layerDecay != nil),
            ("--checkpoint-blocks", architecture.checkpointBlocks),
        ]
        if let (option, _) = ofLearning.first(where: \.1) {
            throw ValidationError("\(option) is for a backbone that learns, and --freeze-backbone keeps it as it is")
        }
    }

    mutating func execute() throws {
        // What is resumed knows its task by itself.
        let known = run.resume.flatMap { _ in try? Checkpoint.describe(run.folder.last).task }
        let classifies = known.map { $0 == .classification } ?? (task == .classification)
        if classifies { try train(classificationPlan) } else { try train(plan) }
    }

    /// The first weights. A network that nobody chose is a small one: what it can become shows within minutes.
    var initialWeights: InitialWeights {
        get throws { try start.weights(else: (architecture.preset ?? .tiny).backbone) }
    }

    var advice: String? {
        guard run.resume == nil, architecture.preset == nil, start.`init` == nil else { return nil }
        return """
            neither --preset nor --init is given: a network of size tiny starts from scratch, which any machine trains; \
            with --init shipped, or a CHECKPOINT of yours, a few hundred photos teach far more, and --preset small or base \
            wants tens of thousands of them
            """
    }

    private func plan() throws -> SegmentationPlan {
        var plan = SegmentationPlan(data: labels.options(data), initial: try initialWeights, command: commandLine)
        plan.augmentation = augmentation.augmentation()
        plan.cutmix = mixing.cutmix ?? 0
        plan.reading = reading.choice
        plan.changes = try ConfigurationPatch(settings: architecture.set)
        plan.size = architecture.size?.sides
        plan.dropPath = architecture.dropPath
        plan.checkpointsBlocks = architecture.checkpointBlocks
        plan.freezesBackbone = freezeBackbone
        plan.classWeights = classWeights?.values
        (plan.background, plan.proportions) = (sets.background, sets.proportions?.values)
        // The authors' fine-tuning lets early layers learn less; weights drawn at random all have to learn.
        plan.recipe.layerDecay = layerDecay ?? (start.isCheckpoint ? 0.65 : 1)
        recipe.apply(to: &plan.recipe)
        if recipe.warmupEpochs == nil { plan.warmup = .atMost(0.1) }
        return plan
    }
}
