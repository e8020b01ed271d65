import BEiTCheckpoints
import BEiTDatasets
import BEiTImageIO
import BEiTLayers
import BEiTModels
import BEiTOps
import BEiTPrediction
import BEiTTensorCore
import Logging

/// Everything that makes a segmentation run anew, beside the recipe.
package struct SegmentationSettings: TrainingSettings {
    package var data: DatasetOptions
    package var augmentation = Augmentation()
    /// CutMix's parameter; nil for none.
    package var cutmix: Float?
    package var configuration: ModelConfiguration
    package var preprocessing: Preprocessing
    package var page: Int?
    package var checkpointsBlocks = false
    /// Nil for no, as in checkpoints from before there was a choice.
    package var freezesBackbone: Bool?
    /// A factor for each class in the loss; nil for all alike.
    package var classWeights: [Float]?
    /// How often photos of each data set are drawn, relative to each other; nil for all photos alike.
    package var proportions: [Float]?
    package var provenance: Provenance

    package init(
        data: DatasetOptions, configuration: ModelConfiguration, preprocessing: Preprocessing, provenance: Provenance
    ) {
        (self.data, self.configuration) = (data, configuration)
        (self.preprocessing, self.provenance) = (preprocessing, provenance)
    }

    package var folders: [String] {
        get { data.folders }
        set { data.folders = newValue }
    }

    package var problem: String? {
        let ofSets = proportions.flatMap { SetProportions.problem($0, sets: folders.count) }
        if let problem = data.problem ?? augmentation.problem ?? BatchMixing.problem(cutmix: cutmix) ?? ofSets {
            return problem
        }
        guard let classWeights else { return nil }
        let classes = configuration.decoder?.classes ?? 0
        guard classWeights.count == classes, classWeights.allSatisfy({ 0...1e6 ~= $0 }),
            classWeights.contains(where: { $0 > 0 })
        else {
            let found = classWeights.map { "\($0)" }.joined(separator: ",")
            return "`class-weights` is \(found), and must have a number from 0 to 1000000 for each of the \(classes) "
                + "classes, not all 0"
        }
        return nil
    }
}

/// Labelled photos, listed.
package struct SegmentationSource: TrainingData {
    package let dataset: SegmentationDataset
    /// None are held out where there is no validation split.
    let training, validation: any LabelledSource

    /// Throws ``DatasetError``.
    init(_ options: DatasetOptions, as reading: ImageReading) throws {
        dataset = try SegmentationDataset(options, as: reading)
        training = LabelledFiles(dataset, try dataset.images(.train).pairs)
        validation = LabelledFiles(dataset, try dataset.images(.val).pairs)
    }

    package var trainingCount: Int { training.count }
    package var validationCount: Int { validation.count }
    package var reading: ImageReading { dataset.reading }
    /// Photos to learn from in each data set.
    var trainingCounts: [Int] { training.counts(sets: dataset.options.folders.count) }
}

/// Learns to name the class of each pixel (BEiT §2.5): cross-entropy over the labelled pixels. Where data sets share their
/// background (``Preprocessing/sharesBackground``), that of a pixel which one calls so is the marginal cross-entropy of all that
/// it may be.
package final class SegmentationObjective: PlannedObjective {
    package let settings: SegmentationSettings
    package var model: any Module { segmenter }
    package let classes: [LabelClass]
    let segmenter: Segmenter
    let source: SegmentationSource
    let size: [Int]
    package let proportions: SetProportions
    private let training: SegmentationBatches
    /// What each set's background may be; empty where it is a class as any other.
    private let backgrounds: [SetBackground?]
    private let seed: UInt64
    /// What of the validation images has been warned of.
    var knownFailures: Set<String> = []
    /// The network of the last validation, for its pictures.
    var validated: WindowNetwork?

    package static var task: ModelTask { .segmentation }

    package static func source(_ settings: SegmentationSettings, in folder: RunFolder) throws -> SegmentationSource {
        try SegmentationSource(settings.data, as: settings.reading)
    }

    package init(
        _ settings: SegmentationSettings, _ source: SegmentationSource, _ model: Model, seed: UInt64, folder: RunFolder
    ) throws {
        guard case .segmentation(let segmenter) = model else { preconditionFailure("a model of another task") }
        (self.settings, self.source, self.segmenter, self.seed) = (settings, source, segmenter, seed)
        segmenter.backbone.checkpointsBlocks = settings.checkpointsBlocks
        if settings.freezesBackbone == true { segmenter.backbone.parameters.forEach { $0.parameter.freeze() } }
        size = settings.preprocessing.size
        classes = source.dataset.classes
        backgrounds = settings.preprocessing.sharesBackground == true ? source.dataset.backgrounds : []
        proportions =
            settings.proportions.map { SetProportions(source.trainingCounts, $0) }
            ?? SetProportions(source.trainingCount)
        training = SegmentationBatches(
            source.training, size: size,
            scaling: PixelScaling(mean: settings.preprocessing.mean, std: settings.preprocessing.std),
            BackgroundLabels(classes: classes.count, backgrounds)
        ) { Logger(label: "beit-seg").warning("\($0)") }
    }

    package var depth: Int { segmenter.backbone.configuration.depth }
    package var count: Int { source.trainingCount }
    package var validationCount: Int { source.validationCount }
    package var files: [String] { source.training.files }
    package var stretches: [Range<Int>] { source.training.stretches }
    package var fingerprint: UInt64 {
        source.training.names.map { $0.split(separator: "/").last.map(String.init) ?? "" }.fingerprint
    }

    package var loader: @Sendable ([(image: Int, place: Int)]) throws -> SegmentationBatch {
        { [training, seed, augmentation = settings.augmentation, cutmix = settings.cutmix ?? 0] in
            try training.training($0, seed: seed, augmentation, cutmix: cutmix)
        }
    }

    package func images(of batch: SegmentationBatch) -> [String] { batch.images }

    package func loss(_ batch: SegmentationBatch, _ tape: Tape) -> (value: Variable, counts: [Double]) {
        let loss = segmenter.loss(
            Variable(batch.pixels), labels: batch.labels, size: size, ignoreIndex: Int32(LabelMap.void),
            classWeights: settings.classWeights, groups: groups, tape)
        return (loss, [])
    }

    /// In the order of ``BackgroundLabels``.
    private var groups: [ClassGroup] {
        backgrounds.compactMap { $0 }.map { ClassGroup($0.all, named: $0.index) }
    }

    /// What may be background where data set number `set` says so; nil for nothing else.
    func background(of set: Int) -> SetBackground? { backgrounds.indices.contains(set) ? backgrounds[set] : nil }
}
