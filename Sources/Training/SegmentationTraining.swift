import BEiTCheckpoints
import BEiTDatasets
import BEiTImageIO
import BEiTLayers
import BEiTModels

/// A plan for learning to segment: what to learn from, with which network, how.
package struct SegmentationPlan: TrainingPlan {
    package typealias Task = SegmentationObjective

    package var data: DatasetOptions
    package var augmentation = Augmentation()
    /// CutMix's parameter; 0 for none.
    package var cutmix: Float = 0
    package var initial: InitialWeights
    package var reading = ReadingChoice()
    /// Nil for the checkpoint's, or the default where it has none; the number of classes is that of the data.
    package var decoder: DecoderConfiguration?
    /// Changes to the architecture by name (`--set`).
    package var changes = ConfigurationPatch()
    /// Height and width of the network's input in pixels; nil for that of the backbone.
    package var size: [Int]?
    package var dropPath: Float?
    /// Less memory for more time: what the blocks compute is computed again on the way back.
    package var checkpointsBlocks = false
    /// Whether only what stands behind the backbone learns; drop path is off then.
    package var freezesBackbone = false
    package var classWeights: [Float]?
    /// Of several data sets; nil for own.
    package var background: BackgroundMeaning?
    /// How often photos of each data set are drawn, relative to each other; nil for all photos alike.
    package var proportions: [Float]?
    package var recipe = Recipe()
    package var warmup = Warmup.asGiven
    /// The command line, for the provenance.
    package var command: String

    package init(data: DatasetOptions, initial: InitialWeights, command: String) {
        (self.data, self.initial, self.command) = (data, initial, command)
    }

    package var problem: String? {
        if background != nil, data.folders.count < 2 {
            return "`background` is for several data sets, and there is \(data.folders.count)"
        }
        if freezesBackbone, let problem = initial.freezingProblem { return problem }
        return augmentation.problem ?? BatchMixing.problem(cutmix: cutmix) ?? data.problem
            ?? proportions.flatMap { SetProportions.problem($0, sets: data.folders.count) }
    }

    package func source(_ start: StartingPoint, in folder: RunFolder) throws -> SegmentationSource {
        try SegmentationSource(data, as: reading.applied(to: start.preprocessing.reading))
    }

    package func settings(
        _ start: StartingPoint, _ source: SegmentationSource, _ recipe: Recipe
    ) throws -> SegmentationSettings {
        let configuration = try configuration(start, classes: source.dataset.classes.count)
        var preprocessing = start.preprocessing
        preprocessing.size = configuration.backbone?.imageSize ?? preprocessing.size
        preprocessing.resize = ResizeFilter.bilinear.rawValue
        let isShared = sharesBackground && source.dataset.backgrounds.contains { $0 != nil }
        preprocessing.sharesBackground = isShared ? true : nil
        var settings = SegmentationSettings(
            data: data, configuration: configuration, preprocessing: preprocessing,
            provenance: Provenance(
                command: command, seed: recipe.seed, data: data.folders, parentSHA256: start.parent?.sha256))
        settings.augmentation = augmentation
        settings.cutmix = cutmix > 0 ? cutmix : nil
        settings.checkpointsBlocks = checkpointsBlocks
        settings.freezesBackbone = freezesBackbone ? true : nil
        (settings.classWeights, settings.proportions) = (classWeights, proportions)
        return settings
    }

    private var sharesBackground: Bool { background == .shared }

    package func check(_ source: SegmentationSource, _ note: (String) -> Void) throws {
        let check = try DataCheck(source.dataset)
        check.lines.forEach(note)
        source.dataset.backgroundLines(isShared: sharesBackground).forEach { note("data: \($0)") }
        try check.verdict()
        try requireWeights(check.trainingPixels)
        guard let proportions else { return }
        let counts = source.trainingCounts
        if let empty = counts.firstIndex(of: 0) {
            throw PlanError(
                "\(data.folders[empty]) has no photo to learn from, so that `proportions` can draw none from it")
        }
        SetProportions(counts, proportions).lines(data.folders).forEach { note("data: \($0)") }
    }

    package func transfer(
        _ parent: StartingPoint.Parent, _ settings: SegmentationSettings, _ source: SegmentationSource
    ) -> TransferRules {
        var rules = TransferRules()
        guard parent.description.task == .segmentation else { return rules }
        rules.head = ClassHead(
            settings.configuration.decoder?.classHeads ?? [], old: parent.description.classes.map(\.name),
            new: source.dataset.classes.map(\.name))
        return rules
    }

    /// The whole architecture; later sources win: backbone, decoder, `--size`, `--drop-path`, `--set`.
    private func configuration(_ start: StartingPoint, classes: Int) throws -> ModelConfiguration {
        var (whole, backbone) = (ModelConfiguration(), start.backbone)
        var decoder = decoder ?? start.parent?.description.configuration.decoder ?? DecoderConfiguration()
        backbone.finalNorm = true
        if let size { backbone.imageSize = size }
        if let dropPath { backbone.dropPath = dropPath }
        if freezesBackbone { backbone.dropPath = 0 }
        decoder.classes = classes
        (whole.backbone, whole.decoder) = (backbone, decoder)
        whole = try changes.applied(to: whole)
        let result = ModelConfiguration.segmentation(whole.backbone ?? backbone, whole.decoder ?? decoder)
        if let problem = result.problem { throw PlanError(problem) }
        guard result.decoder?.classes == classes else {
            throw PlanError("decoder.classes is \(result.decoder?.classes ?? 0), but the data has \(classes) classes")
        }
        return result
    }

    /// Classes that weigh nothing are not learned: at least two that occur must weigh something.
    private func requireWeights(_ pixels: [Int]) throws(PlanError) {
        guard let classWeights else { return }
        let learned = zip(classWeights, pixels).count { $0 > 0 && $1 > 0 }
        guard learned < 2 else { return }
        throw PlanError(
            "`class-weights` leave \(learned == 0 ? "no class" : "one class") that occurs in the masks, which teaches "
                + "nothing; give two or more of them a number above 0")
    }
}
