import BEiTCheckpoints
import BEiTDatasets
import BEiTFiles
import BEiTImageIO
import BEiTLayers
import BEiTMetrics
import BEiTModels
import BEiTOps
import BEiTProcesses
import BEiTTensorCore
import Logging

/// Everything that makes a classification run anew, beside the recipe.
package struct ClassificationSettings: TrainingSettings {
    /// Data folders.
    package var data: [String]
    package var augmentation: ClassificationAugmentation
    package var configuration: ModelConfiguration
    package var preprocessing: Preprocessing
    package var page: Int?
    /// How much of a validation photo is seen (see ``standardCropShare(size:)``).
    package var cropShare: Double
    package var checkpointsBlocks = false
    /// Nil for no, as in checkpoints from before there was a choice.
    package var freezesBackbone: Bool?
    package var provenance: Provenance

    package var folders: [String] {
        get { data }
        set { data = newValue }
    }

    package var problem: String? {
        if let problem = augmentation.problem { return problem }
        guard cropShare > 0, cropShare <= 1 else {
            return "`crop-share` is \(cropShare), and must be above 0 and at most 1"
        }
        // The photo is resized so that this share of its short side fills the network's input.
        let (size, most) = (Double(preprocessing.size.max() ?? 0), 8192.0)
        guard size / cropShare <= most else {
            return
                "`crop-share` \(cropShare) would enlarge each photo to \(Int(min(1e9, size / cropShare))) pixels a side; give at "
                + "least \(Float(size / most))"
        }
        return nil
    }
}

extension ClassFolders: TrainingData {
    package var trainingCount: Int { images(.train).count }
    package var validationCount: Int { images(.val).count }
}

/// Learns to name what a photo shows (BEiT §2.5): cross-entropy with the smoothed, mixed targets of DeiT's recipe.
package final class ClassificationObjective: PlannedObjective {
    package let settings: ClassificationSettings
    package var model: any Module { classifier }
    private let classifier: Classifier
    package let classes: [LabelClass]
    private let training: ClassificationBatches
    /// Without images if there is no validation split.
    private let validation: ClassificationBatches
    private let seed: UInt64
    package let fingerprint: UInt64

    package static var task: ModelTask { .classification }

    package static func source(_ settings: ClassificationSettings, in folder: RunFolder) throws -> ClassFolders {
        try ClassFolders(settings.data, DatasetSplit.allCases, as: settings.reading)
    }

    package init(
        _ settings: ClassificationSettings, _ source: ClassFolders, _ model: Model, seed: UInt64, folder: RunFolder
    ) {
        guard case .classification(let classifier) = model else { preconditionFailure("a model of another task") }
        (self.settings, self.classifier, self.seed) = (settings, classifier, seed)
        classes = source.classes.enumerated().map { LabelClass(name: $1, color: ColorMap.color($0 + 1)) }
        fingerprint = source.fingerprint
        classifier.backbone.checkpointsBlocks = settings.checkpointsBlocks
        if settings.freezesBackbone == true { classifier.backbone.parameters.forEach { $0.parameter.freeze() } }
        let form = settings.preprocessing
        let batches = { (split: DatasetSplit) in
            let images = source.images(split)
            return ClassificationBatches(
                PhotoPaths(images.map(\.path), as: source.reading), labels: images.map(\.label),
                classes: source.classes.count,
                size: form.size, mean: form.mean, std: form.std
            ) { Logger(label: "beit-seg").warning("\($0)") }
        }
        (training, validation) = (batches(.train), batches(.val))
    }

    package var depth: Int { classifier.backbone.configuration.depth }
    package var count: Int { training.photos.count }
    package var validationCount: Int { validation.photos.count }
    package var files: [String] { training.photos.files }
    package var stretches: [Range<Int>] { training.photos.stretches }

    package var loader: @Sendable ([(image: Int, place: Int)]) throws -> ClassificationBatch {
        { [training, seed, augmentation = settings.augmentation] in
            try training.training($0, seed: seed, augmentation)
        }
    }

    package func images(of batch: ClassificationBatch) -> [String] { batch.images }

    package func loss(_ batch: ClassificationBatch, _ tape: Tape) -> (value: Variable, counts: [Double]) {
        (tape.softmaxCrossEntropy(classifier(Variable(batch.pixels), tape), targets: batch.targets), [])
    }

    /// Top-1 and top-5 accuracy and the plain cross-entropy, over all photos of the split.
    package func validate(_ team: any Communicator) throws -> Validation? {
        let count = validation.photos.count
        guard count > 0 else { return nil }
        let size = 16
        let scores = try team.deal((count + size - 1) / size) { numbers in
            let batches = Prefetcher(0..<numbers.count, ahead: 2, threads: 2) {
                [validation, share = settings.cropShare] in
                let start = numbers[$0] * size
                return try validation.validation(start..<min(count, start + size), share: share)
            }
            return try numbers.map { _ in
                try Interruption.check()
                guard let batch = try batches.next() else { preconditionFailure("a batch for every number") }
                return score(batch)
            }
        }
        let ranks = scores.flatMap(\.ranks)
        let loss = scores.reduce(0.0) { $0 + Double(Float(bitPattern: $1.loss)) * Double($1.ranks.count) }
        let top1 = ranks.share(within: 1)
        return Validation(
            score: top1,
            metrics: ["val_top1": top1, "val_top5": ranks.share(within: 5), "val_loss": loss / Double(count)],
            decisive: "val_top1")
    }
    /// Of a validation batch.
    private struct BatchScore: Codable {
        var ranks: [Int]
        /// The bits of the mean: it may be no number.
        var loss: UInt32
    }

    private func score(_ batch: ClassificationBatch) -> BatchScore {
        let (logits, tape) = (classifier(Variable(batch.pixels), Tape(.inference)), Tape(.inference))
        let mean = tape.softmaxCrossEntropy(logits, targets: batch.targets).value.scalar
        return BatchScore(ranks: logits.value.ranks(of: batch.labels), loss: mean.bitPattern)
    }
}
