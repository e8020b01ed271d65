import ArgumentParser
import BEiTCheckpoints
import BEiTDatasets
import BEiTMetrics
import BEiTModels
import BEiTPrediction
import BEiTReports
import BEiTScoring
import BEiTTraining

extension ClassifierConfiguration.Pooling: ExpressibleByArgument {}

/// `m9-n2`, or `none`.
struct RandAugmentArgument: ExpressibleByArgument {
    var value: RandAugment?

    init?(argument: String) {
        guard argument != "none" else { return }
        guard let value = RandAugment(argument) else { return nil }
        self.value = value
    }
}

/// What a classifier sees of a photo that it is tested on.
struct ClassifierViewOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Share of a photo's short side that the classifier sees, in its middle (default: 0.875, and 1 from 384 pixels on).",
            valueName: "share"))
    var cropShare: Double?

    func validate() throws {
        if let cropShare, !(cropShare > 0 && cropShare <= 1) {
            throw ValidationError("--crop-share \(cropShare) is not above 0 and at most 1")
        }
    }
}

/// How the photos of a batch are mixed, whatever is learned of them.
struct MixingOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "CutMix's beta parameter: photos of a batch exchange rectangles, with labels; 0 for none (default: classification 1, segmentation 0).",
            valueName: "alpha"))
    var cutmix: Float?
}

/// Fine-tuning for classification: what is not given stays as BEiT's recipe has it.
struct ClassificationOptions: ParsableArguments {
    @Option(
        help:
            "What is classified: the mean of the patch features, or the cls token (default: the checkpoint's, or mean)."
    )
    var pooling: ClassifierConfiguration.Pooling?
    @Option(
        help: ArgumentHelp("What the targets give from the true class to all classes (default: 0.1).", valueName: "x"))
    var labelSmoothing: Float?
    @Option(help: ArgumentHelp("Mixup's beta parameter, 0 for none (default: 0.8).", valueName: "alpha"))
    var mixup: Float?
    @Option(help: ArgumentHelp("How often a rectangle becomes noise (default: 0.25).", valueName: "p"))
    var randomErasing: Float?
    @Option(
        help: ArgumentHelp(
            "RandAugment's strength and number of operations, or `none` (default: m9-n2).", valueName: "m9-n2"))
    var randAugment: RandAugmentArgument?

    func apply(to plan: inout ClassificationPlan) {
        plan.pooling = pooling
        plan.augmentation.labelSmoothing = labelSmoothing ?? plan.augmentation.labelSmoothing
        plan.augmentation.mixing.mixup = mixup ?? plan.augmentation.mixing.mixup
        plan.augmentation.erasing = randomErasing ?? plan.augmentation.erasing
        if let randAugment { plan.augmentation.randAugment = randAugment.value }
    }
}

extension RecipeOptions {
    /// The defaults of classification, where they are others: a learning rate for the batch, a fifth of the run as warm-up.
    fileprivate func apply(to plan: inout ClassificationPlan) {
        let (batch, accumulate) = (batch ?? plan.recipe.batch, accumulate ?? plan.recipe.accumulate)
        plan.recipe.learningRate = ClassificationPlan.learningRate(imagesPerStep: batch * accumulate)
        if warmupEpochs == nil { plan.warmup = .share(0.2) }
        apply(to: &plan.recipe)
    }
}

extension AugmentationOptions {
    fileprivate func apply(to plan: inout ClassificationPlan) {
        plan.augmentation.crop = augmentation(of: plan.augmentation.crop)
    }
}

extension Finetune {
    /// Options of the other task, which would have no effect. Throws `ValidationError`.
    func validateTask() throws {
        let ofClasses = classification.givenOptions + view.givenOptions
        let ofMasks = labels.givenOptions + sets.givenOptions + (classWeights == nil ? [] : ["--class-weights"])
        if task == .segmentation {
            if let option = ofClasses.first { throw ValidationError("\(option) belongs to --task classification") }
            return
        }
        if let option = ofMasks.first {
            throw ValidationError("\(option) belongs to --task segmentation; class folders need none of that")
        }
        if augmentation.isOfSegmentation {
            throw ValidationError("--crop and --photometric belong to --task segmentation")
        }
        if augmentation.colorJitter != nil,
            classification.randAugment?.value != nil || classification.randAugment == nil
        {
            throw ValidationError("--color-jitter needs --rand-augment none, which changes colours itself")
        }
    }

    func classificationPlan() throws -> ClassificationPlan {
        var plan = ClassificationPlan(data: data, initial: try initialWeights, command: commandLine)
        plan.changes = try ConfigurationPatch(settings: architecture.set)
        plan.size = architecture.size?.sides
        plan.dropPath = architecture.dropPath
        plan.checkpointsBlocks = architecture.checkpointBlocks
        plan.freezesBackbone = freezeBackbone
        plan.reading = reading.choice
        plan.cropShare = view.cropShare
        plan.recipe.layerDecay = layerDecay ?? (start.isCheckpoint ? 0.65 : 1)
        classification.apply(to: &plan)
        plan.augmentation.mixing.cutmix = mixing.cutmix ?? plan.augmentation.mixing.cutmix
        augmentation.apply(to: &plan)
        recipe.apply(to: &plan)
        return plan
    }
}
