import BEiTImageIO
import BEiTReports
import BEiTMetrics
import BEiTCheckpoints
import BEiTDatasets
import BEiTLayers
import Logging
import BEiTModels
import BEiTOps
import BEiTTensorCore

/// Everything that makes a classification run anew, beside the recipe.
package struct ClassificationSettings: Codable, Sendable {
    /// Data folders.
    package var data: [String]
    package var augmentation: ClassificationAugmentation
    package var configuration: ModelConfiguration
    package var preprocessing: Preprocessing
    /// How much of a validation photo is seen (see ``standardCropShare(size:)``).
    package var cropShare: Double
    /// Gradient checkpointing (see ``Backbone/checkpointsBlocks``).
    package var checkpointsBlocks = false
    package var provenance: Provenance
}

/// Learns to name what a photo shows (BEiT §2.5): cross-entropy with the smoothed, mixed targets of DeiT's recipe.
package final class ClassificationObjective: Objective {
    package let settings: ClassificationSettings
    package var model: any Module { classifier }
    private let classifier: Classifier
    private let classes: [String]
    private let training: ClassificationBatches
    /// Without images if there is no validation split.
    private let validation: ClassificationBatches
    private let seed: UInt64
    package let fingerprint: UInt64

    package init(_ settings: ClassificationSettings, _ dataset: ClassFolders, _ classifier: Classifier, seed: UInt64) {
        (self.settings, self.classifier, self.seed) = (settings, classifier, seed)
        (classes, fingerprint) = (dataset.classes, dataset.fingerprint)
        classifier.backbone.checkpointsBlocks = settings.checkpointsBlocks
        let form = settings.preprocessing
        let batches = { (split: DatasetSplit) in
            ClassificationBatches(
                dataset.images(split), classes: dataset.classes.count, size: form.size, mean: form.mean, std: form.std
            ) { Logger(label: "beit-seg").warning("\($0)") }
        }
        (training, validation) = (batches(.train), batches(.val))
    }

    package var depth: Int { classifier.backbone.configuration.depth }
    package var count: Int { training.images.count }

    package var loader: @Sendable ([(image: Int, place: Int)]) throws -> ClassificationBatch {
        { [training, seed, augmentation = settings.augmentation] in
            try training.training($0, seed: seed, augmentation)
        }
    }

    package func images(of batch: ClassificationBatch) -> [String] { batch.images }

    package func loss(_ batch: ClassificationBatch, _ tape: Tape) -> Variable {
        tape.softmaxCrossEntropy(classifier(Variable(batch.pixels), tape), targets: batch.targets)
    }

    /// Top-1 and top-5 accuracy and the plain cross-entropy, over all photos of the split.
    package func validate() throws -> Validation? {
        let count = validation.images.count
        guard count > 0 else { return nil }
        let size = 16
        let batches = Prefetcher(0..<(count + size - 1) / size, ahead: 2, threads: 2) {
            [validation, share = settings.cropShare] in
            try validation.validation($0 * size..<min(count, ($0 + 1) * size), share: share)
        }
        var (ranks, loss): ([Int], Double) = ([], 0)
        while let batch = try batches.next() {
            let (logits, tape) = (classifier(Variable(batch.pixels), Tape(.inference)), Tape(.inference))
            ranks += logits.value.ranks(of: batch.labels)
            let mean = tape.softmaxCrossEntropy(logits, targets: batch.targets).value.scalar
            loss += Double(mean) * Double(batch.labels.count)
        }
        let top1 = ranks.share(within: 1)
        return Validation(
            score: top1,
            metrics: ["val_top1": top1, "val_top5": ranks.share(within: 5), "val_loss": loss / Double(count)])
    }

    package func description(metrics: [String: Double]) -> ModelDescription {
        var provenance = settings.provenance
        provenance.metrics = metrics
        return ModelDescription(
            task: .classification, configuration: settings.configuration,
            classes: classes.enumerated().map { LabelClass(name: $1, color: ColorMap.color($0 + 1)) },
            preprocessing: settings.preprocessing, provenance: provenance)
    }
}
