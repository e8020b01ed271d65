import BEiTDatasets
import BEiTFiles
import Foundation

/// Two models on the same images, as `eval --compare` prints it; differences are the second's score less the first's.
package struct ScoreComparison: Encodable, Sendable {
    /// A class of the labels.
    package struct Class: Encodable, Sendable {
        /// In the first model.
        package let index: Int
        package let name: String
        package let iou, otherIoU, difference: Score

        enum CodingKeys: String, CodingKey {
            case index, name, iou, difference
            case otherIoU = "other_iou"
        }
    }

    /// The models' files.
    package let model, other: String
    package let miou, otherMIoU, difference: Score
    /// Of the difference: the 2.5 and 97.5 percent points of a paired bootstrap, in which both models are scored on the
    /// same draw of images.
    let interval: ClosedRange<Double>?
    /// The share of the draws in which the second model's mean IoU is higher.
    let betterShare: Score
    package let classes: [Class]
    /// Each with its own model's classes.
    let totals, otherTotals: ClassTotals

    static let resamples = 1000

    /// - Parameters:
    ///   - models: their files.
    ///   - classes: for each class of the labels its index in both models.
    /// - Precondition: both scores are of the same images.
    package init(
        _ score: SegmentationScore, _ other: SegmentationScore, models: (String, String), classes: [(Int, Int)],
        seed: UInt64
    ) {
        (model, self.other) = models
        let (totals, otherTotals) = (score.totals, other.totals)
        (self.totals, self.otherTotals) = (totals, otherTotals)
        (miou, otherMIoU) = (Score(value: totals.meanIoU), Score(value: otherTotals.meanIoU))
        difference = Score(value: Self.difference(totals.meanIoU, otherTotals.meanIoU))
        let draws = SegmentationScore.bootstrap([score, other], resamples: Self.resamples, seed: seed)
        let differences = draws.compactMap { Self.difference($0[0], $0[1]) }
        interval = SegmentationScore.interval(differences)
        betterShare = Score(
            value: differences.isEmpty ? nil : Double(differences.count { $0 > 0 }) / Double(differences.count))
        self.classes = classes.map { own, others in
            let (iou, otherIoU) = (totals.iou(own), otherTotals.iou(others))
            return Class(
                index: own, name: score.classes[own].name, iou: Score(value: iou), otherIoU: Score(value: otherIoU),
                difference: Score(value: Self.difference(iou, otherIoU)))
        }
    }

    package static func difference(_ first: Double?, _ second: Double?) -> Double? {
        guard let first, let second else { return nil }
        return second - first
    }

    enum CodingKeys: String, CodingKey {
        case model, other, miou, difference, classes
        case otherMIoU = "other_miou"
        case interval = "difference_ci95"
        case betterShare = "better_share"
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(model, forKey: .model)
        try container.encode(other, forKey: .other)
        try container.encode(miou, forKey: .miou)
        try container.encode(otherMIoU, forKey: .otherMIoU)
        try container.encode(difference, forKey: .difference)
        try container.encode(interval.map { [$0.lowerBound, $0.upperBound] }, forKey: .interval)
        try container.encode(betterShare, forKey: .betterShare)
        try container.encode(classes, forKey: .classes)
    }

    /// The totals of both models by name.
    package var rows: [(name: String, first: Double?, second: Double?)] {
        [
            ("mIoU", totals.meanIoU, otherTotals.meanIoU),
            ("pixel accuracy", totals.pixelAccuracy, otherTotals.pixelAccuracy),
            ("mean accuracy", totals.meanAccuracy, otherTotals.meanAccuracy),
            ("mean Dice", totals.meanDice, otherTotals.meanDice),
            ("frequency-weighted IoU", totals.frequencyWeightedIoU, otherTotals.frequencyWeightedIoU),
        ]
    }

    /// What the interval says of the difference, in a sentence.
    package var verdict: String {
        guard let interval, let share = betterShare.value else { return "no pixel counts" }
        let sure = interval.lowerBound > 0 || interval.upperBound < 0
        return "mIoU of B − A is \(signedPercent(difference.value)) (95 %: \(signedPercent(interval.lowerBound)) to "
            + "\(signedPercent(interval.upperBound))), which \(sure ? "excludes" : "includes") 0; "
            + "B is better in \(percent(share)) % of \(Self.resamples) draws of the images"
    }

    /// The IoU of each class and the totals side by side, in percent; a dash for 0/0.
    package var table: String {
        var table = TextTable.numbers(["IoU", "A", "B", "B − A"])
        func add(_ name: String, _ first: Double?, _ second: Double?) {
            table.add([name, percent(first), percent(second), signedPercent(Self.difference(first, second))])
        }
        for c in classes { add(c.name, c.iou.value, c.otherIoU.value) }
        table.add([])
        for row in rows { add(row.name, row.first, row.second) }
        return (["A: \(model)", "B: \(other)", ""] + table.lines + ["", verdict]).joined(separator: "\n")
    }
}
