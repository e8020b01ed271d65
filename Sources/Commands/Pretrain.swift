import ArgumentParser
import BEiTCheckpoints
import BEiTDatasets
import BEiTModels
import BEiTTraining

extension MaskGenerator.Kind: ExpressibleByArgument {}
extension MIMConfiguration.PixelTarget: ExpressibleByArgument {}
extension BackboneConfiguration.Position: ExpressibleByArgument {}

enum PretrainDefaults: RecipeDefaults {
    static let epochs = "800"
    static let batch = "32"
    static let lr = "by batch"
    static let minLr = "1e-05"
    static let warmupEpochs = "10, but at most a tenth of the run"
    static let weightDecay = "0.05"
    static let clipGrad = "3; large models: 1"
    static let ema = "none; 0.999 is usual"
}

struct Pretrain: TrainingCommand, ImageCommand {
    static let configuration = CommandConfiguration(
        commandName: "pretrain", abstract: "Masked image modeling: learn from photos without labels.",
        discussion: HelpText.discussion(
            """
            Hides patches of photos and learns to predict the visual tokens that a tokenizer (see `tokenizer train`)
            gives them, or their pixels. The result is a start for `finetune --init`.

            The folder RUN/ receives last.h5 (complete state), best.h5 (best validation), log.jsonl, config.json,
            report.html, TensorBoard's event files and predictions.png (masked input, decoded predicted tokens, decoded
            true tokens).

            The recipe is the authors', but for the batch: 800 epochs, batch 32, AdamW, weight decay 0.05, cosine from
            0.0015·√(images an update ÷ 2048) to 0.00001 after a warm-up of 10 epochs (at most a tenth of the run),
            gradients clipped at 3 (large models: 1), drop path 0.1.
            """,
            examples: "beit-seg pretrain --data photos/ --tokenizer tokenizer.h5 --preset tiny -o runs/mim",
            "beit-seg pretrain --data photos/ --tokens tokens.h5 --tokenizer tokenizer.h5 -o runs/cached",
            "beit-seg pretrain --data photos/ more/ --objective pixels --pixels normalised -o runs/pixels",
            "beit-seg pretrain --resume runs/mim"))

    enum Prediction: String, ExpressibleByArgument, CaseIterable { case tokens, pixels }
    enum Predicted: String, ExpressibleByArgument, CaseIterable { case masked, all }

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Folders of photos, searched with all that is below them; of data sets for segmentation the masks are left out. Or tar shards.",
            valueName: "dir"))
    var data: [String] = []

    @Option(help: ArgumentHelp("The tokenizer whose visual tokens are predicted.", valueName: "file"))
    var tokenizer: String?

    @Option(
        help: ArgumentHelp(
            "Visual tokens of the photos, written by `tokenizer encode`: faster, but without random crops. --tokenizer beside it draws pictures of the predictions.",
            valueName: "cache"))
    var tokens: String?

    @Option(
        help: ArgumentHelp(
            "Pixels that the tokenizer sees (default: the checkpoint's, such as 112).", valueName: "n|hxw"))
    var tokenSize: SizeArgument?

    @OptionGroup var start: StartOptions

    @OptionGroup var run: RunOptions

    @Option(help: "What is predicted (default: tokens).")
    var objective: Prediction?

    @Option(help: "Pixels as the network sees them, or each patch with mean 0 and variance 1 (default: raw).")
    var pixels: MIMConfiguration.PixelTarget?

    @Option(help: "The patches that the loss counts (default: masked).")
    var predict: Predicted?

    @Option(help: "How the hidden patches are chosen (default: blockwise).")
    var masking: MaskGenerator.Kind?

    @Option(help: ArgumentHelp("Hidden patches of a photo (default: 75 of 196, in proportion).", valueName: "n"))
    var maskPatches: Int?

    @Option(
        help: ArgumentHelp(
            "Share of the photos that is held out, where a folder has no `val` (default: 0.05).", valueName: "share"))
    var validation: Double?

    @Option(help: "How patches know their place (default: relative-shared, or that of the checkpoint).")
    var position: BackboneConfiguration.Position?

    @Option(
        help: ArgumentHelp(
            "Learning rate of a block relative to the next (default: 1).",
            valueName: "x"))
    var layerDecay: Double?

    @OptionGroup(title: "Architecture") var architecture: ArchitectureOptions
    @OptionGroup(title: "Recipe") var recipe: RecipeOptions<PretrainDefaults>
    @OptionGroup(title: "Augmentation") var augmentation: AugmentationOptions
    @OptionGroup var reading: ReadingOptions
    @OptionGroup var common: CommonOptions

    var length: (epochs: Double?, steps: Int?) { recipe.length }

    func validate() throws {
        guard try isNew() else { return }
        if start.isCheckpoint && architecture.preset != nil {
            throw ValidationError("--preset and --init exclude each other: the checkpoint has its architecture")
        }
        if augmentation.isOfSegmentation {
            throw ValidationError("--crop and --photometric belong to finetune --task segmentation")
        }
        if objective == .pixels {
            if tokenizer != nil || tokens != nil || tokenSize != nil {
                throw ValidationError("--objective pixels takes no tokenizer and no tokens")
            }
            return
        }
        if pixels != nil { throw ValidationError("--pixels belongs to --objective pixels") }
        if tokens == nil && tokenizer == nil {
            throw ValidationError(
                "--tokenizer is missing (`tokenizer train` makes one; --objective pixels needs none)")
        }
        if tokens != nil && (!augmentation.givenOptions.isEmpty || tokenSize != nil) {
            throw ValidationError(
                "--tokens fixes what each photo shows: --crop-area, --color-jitter, --flip and --token-size do not go "
                    + "with it")
        }
    }

    mutating func execute() throws { try train(plan) }

    var advice: String? {
        guard run.resume == nil, architecture.preset == nil, start.`init` == nil else { return nil }
        return """
            neither --preset nor --init is given: a network of size tiny starts from scratch, which any machine trains; \
            --preset small wants tens of thousands of photos, base hundreds of thousands and days on many cores
            """
    }

    private func plan() throws -> MaskedImagePlan {
        let preset = architecture.preset ?? .tiny
        let target: MaskedImagePlan.Target =
            if let tokens { .cached(tokens, tokenizer: tokenizer) } else if let tokenizer { .tokens(tokenizer) } else {
                .pixels(pixels ?? .raw)
            }
        var plan = MaskedImagePlan(
            data: PhotoOptions(data), initial: try start.weights(else: preset.backbone),
            target: target, command: commandLine)
        plan.data.validationShare = validation ?? plan.data.validationShare
        plan.reading = reading.choice
        (plan.position, plan.maskedPatches, plan.tokenSize) = (position, maskPatches, tokenSize?.sides)
        (plan.masking, plan.predictsAll) = (masking ?? .blockwise, predict == .all)
        plan.augmentation = augmentation.augmentation(of: MaskedViews.augmentation)
        plan.changes = try ConfigurationPatch(settings: architecture.set)
        (plan.size, plan.dropPath) = (architecture.size?.sides, architecture.dropPath)
        plan.checkpointsBlocks = architecture.checkpointBlocks
        plan.recipe = .pretraining(batch: recipe.batch ?? 32, accumulate: recipe.accumulate ?? 1)
        if ![.tiny, .small, .base].contains(preset) { plan.recipe.clipGradient = 1 }
        plan.recipe.layerDecay = layerDecay ?? plan.recipe.layerDecay
        recipe.apply(to: &plan.recipe)
        plan.warmup = recipe.warmupEpochs == nil ? .atMost(0.1) : .asGiven
        return plan
    }
}
