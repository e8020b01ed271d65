import BEiTDatasets
import BEiTFiles
import BEiTMetrics
import BEiTPrediction
import Foundation

/// A score as `eval --miou --json` prints it. Every share is in 0…1; what would be 0/0 is null.
package struct ScoreReport: Encodable, Sendable {
    package struct Class: Encodable, Sendable {
        package let index: Int
        let name: String
        package let iou, accuracy, precision, dice: Score
        /// Labelled as the class.
        package let pixels: Int
        /// Whether the labels know it.
        package let isScored: Bool
        /// Predicted as the class.
        let predicted: Int

        enum CodingKeys: String, CodingKey { case index, name, iou, accuracy, precision, dice, pixels }
    }

    package struct Failure: Encodable, Sendable {
        package let path, reason: String
    }

    package let images, pixels, ignoredPixels: Int
    package let miou: Score
    package let interval: ClosedRange<Double>?
    package let pixelAccuracy, meanAccuracy, meanDice, frequencyWeightedIoU: Score
    package let classes: [Class]
    /// Nil for too many classes; then ``confusions`` has the pairs that occur.
    let confusionMatrix: [[Int]]?
    let confusions: [[Int]]?
    /// Pixels that count and were predicted as no class.
    let unpredicted: Int
    /// Pixels of the background that were taken for a class which the labels lack, and count as background.
    let excused: Int
    package let failed: [Failure]
    /// With another model on the same images.
    package var comparison: ScoreComparison?

    package init(_ score: SegmentationScore, seed: UInt64) {
        let totals = score.totals
        (images, pixels, ignoredPixels) = (score.images.count, totals.pixels, score.matrix.ignored)
        miou = Score(value: totals.meanIoU)
        interval = score.meanIoUInterval(seed: seed)
        pixelAccuracy = Score(value: totals.pixelAccuracy)
        meanAccuracy = Score(value: totals.meanAccuracy)
        meanDice = Score(value: totals.meanDice)
        frequencyWeightedIoU = Score(value: totals.frequencyWeightedIoU)
        classes = score.classes.enumerated().map { k, info in
            Class(
                index: k, name: info.name, iou: Score(value: totals.iou(k)), accuracy: Score(value: totals.accuracy(k)),
                precision: Score(value: totals.precision(k)), dice: Score(value: totals.dice(k)),
                pixels: totals.labelled[k], isScored: totals.scored[k], predicted: totals.predicted[k])
        }
        confusionMatrix = score.matrix.rows
        confusions = confusionMatrix == nil ? score.matrix.entries.map { [$0.truth, $0.prediction, $0.count] } : nil
        (unpredicted, excused) = (totals.unpredicted, score.excused)
        failed = score.failed.map { Failure(path: $0.path, reason: $0.reason) }
    }

    enum CodingKeys: String, CodingKey {
        case images, pixels, miou, classes, failed, comparison
        case ignoredPixels = "ignored_pixels"
        case interval = "miou_ci95"
        case pixelAccuracy = "pixel_accuracy"
        case meanAccuracy = "mean_accuracy"
        case meanDice = "mean_dice"
        case frequencyWeightedIoU = "frequency_weighted_iou"
        case confusionMatrix = "confusion_matrix"
        case confusions = "confusion_pairs"
        case unpredicted = "pixels_predicted_void"
        case excused = "other_classes_on_background"
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(images, forKey: .images)
        try container.encode(pixels, forKey: .pixels)
        try container.encode(ignoredPixels, forKey: .ignoredPixels)
        try container.encode(miou, forKey: .miou)
        try container.encode(interval.map { [$0.lowerBound, $0.upperBound] }, forKey: .interval)
        try container.encode(pixelAccuracy, forKey: .pixelAccuracy)
        try container.encode(meanAccuracy, forKey: .meanAccuracy)
        try container.encode(meanDice, forKey: .meanDice)
        try container.encode(frequencyWeightedIoU, forKey: .frequencyWeightedIoU)
        try container.encode(classes, forKey: .classes)
        try container.encode(confusionMatrix, forKey: .confusionMatrix)
        try container.encodeIfPresent(confusions, forKey: .confusions)
        if unpredicted > 0 { try container.encode(unpredicted, forKey: .unpredicted) }
        if excused > 0 { try container.encode(excused, forKey: .excused) }
        try container.encode(failed, forKey: .failed)
        try container.encodeIfPresent(comparison, forKey: .comparison)
    }

    /// A line for each class and the totals, in percent; a dash for 0/0. With another model both side by side.
    package var table: String {
        if let comparison { return [comparison.table, extent].joined(separator: "\n") }
        var table = TextTable.numbers(["class", "IoU", "accuracy", "precision", "Dice", "pixels"])
        for c in classes where c.isScored {
            table.add([c.name] + [c.iou, c.accuracy, c.precision, c.dice].map { percent($0.value) } + ["\(c.pixels)"])
        }
        let spread = interval.map { String(format: " (95 %%: %.2f to %.2f)", 100 * $0.lowerBound, 100 * $0.upperBound) }
        let totals = [
            "mIoU \(percent(miou.value))\(spread ?? "")", "pixel accuracy \(percent(pixelAccuracy.value))",
            "mean accuracy \(percent(meanAccuracy.value))", "mean Dice \(percent(meanDice.value))",
            "frequency-weighted IoU \(percent(frequencyWeightedIoU.value))", strangers, extent,
        ].compactMap { $0 }
        return (table.lines + [""] + totals).joined(separator: "\n")
    }

    /// What was predicted that the labels do not know; nil where the model's classes are theirs.
    package var strangers: String? {
        let strangers = classes.filter { !$0.isScored }
        guard !strangers.isEmpty else { return nil }
        let share = { (count: Int) in percent(Double(count) / Double(max(1, self.pixels))) }
        let mistaken = strangers.reduce(0) { $0 + $1.predicted }
        return "\(share(mistaken)) % of the pixels were taken for one of the model's \(strangers.count) other classes"
            + (excused > 0 ? ", not counting \(share(excused)) % on background, where that is no error" : "")
    }

    private var extent: String {
        "\(images.counted("image")), \(pixels.counted("pixel")), \(ignoredPixels) ignored"
            + (unpredicted > 0 ? ", \(unpredicted) predicted as void" : "")
            + (failed.isEmpty ? "" : "; \(failed.count.counted("image")) failed")
    }
}
