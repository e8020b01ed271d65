import BEiTImageIO
import BEiTReports
import BEiTMetrics
import BEiTCheckpoints
import BEiTDatasets
import Foundation
import BEiTLayers
import BEiTModels
import BEiTOps
import BEiTTensorCore

/// Everything that makes a segmentation run anew, beside the recipe.
package struct SegmentationSettings: Codable, Sendable {
    package var data: DatasetOptions
    package var augmentation = Augmentation()
    package var configuration: ModelConfiguration
    package var preprocessing: Preprocessing
    /// Gradient checkpointing (see ``Backbone/checkpointsBlocks``).
    package var checkpointsBlocks = false
    /// A factor for each class in the loss; nil for all alike.
    package var classWeights: [Float]?
    package var provenance: Provenance

    package init(
        data: DatasetOptions, configuration: ModelConfiguration, preprocessing: Preprocessing, provenance: Provenance
    ) {
        (self.data, self.configuration) = (data, configuration)
        (self.preprocessing, self.provenance) = (preprocessing, provenance)
    }
}

/// Learns to name the class of each pixel (BEiT §2.5): cross-entropy over the labelled pixels.
package final class SegmentationObjective: Objective {
    package let settings: SegmentationSettings
    package var model: any Module { segmenter }
    let segmenter: Segmenter
    let classes: [LabelClass]
    let training: SegmentationBatches
    /// Without images if there is no validation split.
    let validation: SegmentationBatches
    private let seed: UInt64
    let size: [Int]

    /// Throws ``DatasetError``.
    package init(
        _ settings: SegmentationSettings, _ dataset: SegmentationDataset, _ segmenter: Segmenter, seed: UInt64
    ) throws {
        (self.settings, self.segmenter, self.seed) = (settings, segmenter, seed)
        segmenter.backbone.checkpointsBlocks = settings.checkpointsBlocks
        size = settings.preprocessing.size
        classes = dataset.classes
        let scaling = PixelScaling(mean: settings.preprocessing.mean, std: settings.preprocessing.std)
        let batches = { [size] (split: DatasetSplit) in
            SegmentationBatches(dataset, try dataset.images(split).pairs, size: size, scaling: scaling)
        }
        training = try batches(.train)
        validation = try batches(.val)
    }

    package var depth: Int { segmenter.backbone.configuration.depth }
    package var count: Int { training.images.count }
    package var fingerprint: UInt64 {
        training.images.map { ($0.image as NSString).lastPathComponent }.fingerprint
    }

    package var loader: @Sendable ([(image: Int, place: Int)]) throws -> SegmentationBatch {
        { [training, seed, augmentation = settings.augmentation] in
            try training.training($0, seed: seed, augmentation)
        }
    }

    package func images(of batch: SegmentationBatch) -> [String] { batch.images }

    package func loss(_ batch: SegmentationBatch, _ tape: Tape) -> Variable {
        let logits = segmenter(Variable(batch.pixels), tape)
        let void = Int32(LabelMap.void)
        guard Array(logits.shape[1...2]) != size else {
            return tape.softmaxCrossEntropy(
                logits, labels: batch.labels, ignoreIndex: void, classWeights: settings.classWeights)
        }
        return tape.resizedCrossEntropy(
            logits, labels: batch.labels, height: size[0], width: size[1], ignoreIndex: void,
            classWeights: settings.classWeights)
    }

    /// mIoU at the network's size: an estimate of the score on whole photos, of the same order.
    package func validate() throws -> Validation? {
        guard !validation.images.isEmpty else { return nil }
        var matrix = ConfusionMatrix(classes: classes.count)
        let batch = 8, count = validation.images.count
        let batches = Prefetcher(0..<(count + batch - 1) / batch, ahead: 2, threads: 2) { [validation] in
            try validation.validation($0 * batch..<min(count, ($0 + 1) * batch))
        }
        while let batch = try batches.next() {
            let logits = segmenter(Variable(batch.pixels), Tape(.inference)).value
            try matrix.add(
                label: batch.labels.map { UInt16($0) }, prediction: predictions(logits))
        }
        let totals = matrix.totals
        let score = totals.meanIoU ?? 0
        return Validation(score: score, metrics: ["val_miou": score, "val_pixel_accuracy": totals.pixelAccuracy ?? 0])
    }

    /// The class of each pixel of the network's size; where the logits `[B, h, w, K]` are coarser, that of the cell it
    /// lies in.
    func predictions(_ logits: Tensor) -> [UInt16] {
        let (batch, rows, columns) = (logits.shape[0], logits.shape[1], logits.shape[2])
        let cells = logits.argmax()
        return (0..<batch).flatMap { b in
            (0..<size[0]).flatMap { y in
                (0..<size[1]).lazy.map { [size] x in
                    UInt16(cells[(b * rows + y * rows / size[0]) * columns + x * columns / size[1]])
                }
            }
        }
    }

    package func description(metrics: [String: Double]) -> ModelDescription {
        var provenance = settings.provenance
        provenance.metrics = metrics
        return ModelDescription(
            task: .segmentation, configuration: settings.configuration, classes: classes,
            preprocessing: settings.preprocessing, provenance: provenance)
    }
}
