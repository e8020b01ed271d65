import BEiTCheckpoints
import BEiTDatasets
import BEiTImageIO
import BEiTModels

/// A plan for learning to classify: what to learn from, with which network, how.
package struct ClassificationPlan: TrainingPlan {
    package typealias Task = ClassificationObjective

    /// Data sets of class folders; several give the union of their classes, by name.
    package var data: [String]
    package var augmentation = ClassificationAugmentation()
    package var initial: InitialWeights
    package var reading = ReadingChoice()
    /// How patch features become one; nil for the checkpoint's, or their mean.
    package var pooling: ClassifierConfiguration.Pooling?
    /// Changes to the architecture by name (`--set`).
    package var changes = ConfigurationPatch()
    /// Height and width of the network's input in pixels; nil for that of the backbone.
    package var size: [Int]?
    package var dropPath: Float?
    /// Less memory for more time: what the blocks compute is computed again on the way back.
    package var checkpointsBlocks = false
    /// Whether only what stands behind the backbone learns; drop path is off then.
    package var freezesBackbone = false
    /// How much of a validation photo is seen; nil for BEiT's.
    package var cropShare: Double?
    package var recipe: Recipe
    package var warmup = Warmup.asGiven
    /// The command line, for the provenance.
    package var command: String

    package init(data: [String], initial: InitialWeights, command: String) {
        (self.data, self.initial, self.command) = (data, initial, command)
        recipe = Recipe()
        recipe.batch = 32
        (recipe.learningRate, recipe.warmupEpochs) = (Self.learningRate(imagesPerStep: recipe.batch), 20)
    }

    /// BEiT's peak of 0.004 at 1024 images a step, scaled by the square root of their number, as Adam's steps want it
    /// (Malladi et al., arXiv:2205.10287).
    package static func learningRate(imagesPerStep: Int) -> Double {
        let rate = 4e-3 * (Double(max(1, imagesPerStep)) / 1024).squareRoot()
        return (rate * 1e6).rounded() / 1e6
    }

    package var problem: String? { (freezesBackbone ? initial.freezingProblem : nil) ?? augmentation.problem }

    package func source(_ start: StartingPoint, in folder: RunFolder) throws -> ClassFolders {
        try ClassFolders(data, DatasetSplit.allCases, as: reading.applied(to: start.preprocessing.reading))
    }

    package func check(_ source: ClassFolders, _ note: (String) -> Void) throws {
        source.lines.forEach(note)
        try source.checkForTraining()
    }

    package func lines(_ settings: ClassificationSettings, _ source: ClassFolders) -> [String] {
        ["\(source.classes.count) classes", augmentation.summary]
    }

    package func transfer(
        _ parent: StartingPoint.Parent, _ settings: ClassificationSettings, _ source: ClassFolders
    ) -> TransferRules {
        var rules = TransferRules()
        guard parent.description.task == .classification else { return rules }
        rules.head = ClassHead(["head/"], old: parent.description.classes.map(\.name), new: source.classes)
        return rules
    }

    package func settings(
        _ start: StartingPoint, _ source: ClassFolders, _ recipe: Recipe
    ) throws -> ClassificationSettings {
        let configuration = try configuration(start, classes: source.classes.count)
        var preprocessing = start.preprocessing
        preprocessing.size = configuration.backbone?.imageSize ?? preprocessing.size
        preprocessing.resize = ResizeFilter.bicubic.rawValue
        var settings = ClassificationSettings(
            data: data, augmentation: augmentation, configuration: configuration, preprocessing: preprocessing,
            cropShare: cropShare ?? standardCropShare(size: preprocessing.size), checkpointsBlocks: checkpointsBlocks,
            provenance: Provenance(
                command: command, seed: recipe.seed, data: data, parentSHA256: start.parent?.sha256))
        settings.freezesBackbone = freezesBackbone ? true : nil
        return settings
    }

    /// The whole architecture; later sources win: backbone, head, `--size`, `--drop-path`, `--set`.
    private func configuration(_ start: StartingPoint, classes: Int) throws -> ModelConfiguration {
        var backbone = start.backbone
        var head = start.parent?.description.configuration.classifier ?? ClassifierConfiguration()
        if let size { backbone.imageSize = size }
        if let dropPath { backbone.dropPath = dropPath }
        if freezesBackbone { backbone.dropPath = 0 }
        head.pooling = pooling ?? head.pooling
        head.classes = classes
        var result = try changes.applied(to: .classification(backbone, head))
        guard result.task == .classification, let changed = result.classifier, changed.classes == classes else {
            throw PlanError(
                "a classifier of \(classes) classes has a backbone and classifier.pooling, and no other part")
        }
        if let backbone = result.backbone { result = .classification(backbone, changed) }
        if let problem = result.problem { throw PlanError(problem) }
        return result
    }
}

extension ClassificationAugmentation {
    /// For people, in one line.
    var summary: String {
        let colors = randAugment.map { "RandAugment \($0.name)" } ?? "colour jitter \(crop.colorJitter)"
        let parts = [
            "crops from \(crop.area[0]) of the area", crop.flip > 0 ? "mirror images" : nil, colors,
            erasing > 0 ? "random erasing \(erasing)" : nil, mixing.mixup > 0 ? "mixup \(mixing.mixup)" : nil,
            mixing.cutmix > 0 ? "CutMix \(mixing.cutmix)" : nil,
            labelSmoothing > 0 ? "label smoothing \(labelSmoothing)" : nil,
        ]
        return "augmentation: " + parts.compactMap { $0 }.joined(separator: "; ")
    }
}
