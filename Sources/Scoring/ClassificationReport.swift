import BEiTDatasets
import BEiTFiles
import BEiTImageIO
import BEiTMetrics
import BEiTPrediction
import Foundation

/// A score as `eval --top1 --json` prints it. Every share is in 0…1; what would be 0/0 is null.
package struct ClassificationReport: Encodable, Sendable {
    package struct Class: Encodable, Sendable {
        package let index: Int
        let name: String
        /// The share of its photos that were found (recall), and that have it among the first five.
        package let accuracy, top5: Score
        /// The share of the photos predicted as the class that are of it.
        package let precision: Score
        package let images: Int
    }

    package let images: Int
    package let top1, top5, meanAccuracy: Score
    package let interval, top5Interval: ClosedRange<Double>?
    package let classes: [Class]
    /// Nil for too many classes; then ``confusions`` has the pairs that occur.
    let confusionMatrix: [[Int]]?
    let confusions: [[Int]]?
    package let failed: [ScoreReport.Failure]

    package init(_ score: ClassificationScore, seed: UInt64) {
        let totals = score.matrix.totals
        images = score.images.count
        (top1, top5) = (Score(value: score.accuracy(within: 1)), Score(value: score.accuracy(within: 5)))
        (interval, top5Interval) = (score.interval(within: 1, seed: seed), score.interval(within: 5, seed: seed))
        meanAccuracy = Score(value: totals.meanAccuracy)
        let top5s = score.classAccuracies(within: 5)
        classes = score.classes.enumerated().map { k, info in
            Class(
                index: k, name: info.name, accuracy: Score(value: totals.accuracy(k)), top5: Score(value: top5s[k]),
                precision: Score(value: totals.precision(k)), images: totals.labelled[k])
        }
        confusionMatrix = score.matrix.rows
        confusions = confusionMatrix == nil ? score.matrix.entries.map { [$0.truth, $0.prediction, $0.count] } : nil
        failed = score.failed.map { ScoreReport.Failure(path: $0.path, reason: $0.reason) }
    }

    enum CodingKeys: String, CodingKey {
        case images, top1, top5, classes, failed
        case interval = "top1_ci95"
        case top5Interval = "top5_ci95"
        case meanAccuracy = "mean_accuracy"
        case confusionMatrix = "confusion_matrix"
        case confusions = "confusion_pairs"
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(images, forKey: .images)
        try container.encode(top1, forKey: .top1)
        try container.encode(interval.map { [$0.lowerBound, $0.upperBound] }, forKey: .interval)
        try container.encode(top5, forKey: .top5)
        try container.encode(top5Interval.map { [$0.lowerBound, $0.upperBound] }, forKey: .top5Interval)
        try container.encode(meanAccuracy, forKey: .meanAccuracy)
        try container.encode(classes, forKey: .classes)
        try container.encode(confusionMatrix, forKey: .confusionMatrix)
        try container.encodeIfPresent(confusions, forKey: .confusions)
        try container.encode(failed, forKey: .failed)
    }

    /// A line for each class and the totals, in percent; a dash for 0/0.
    package var table: String {
        func spread(_ range: ClosedRange<Double>?) -> String {
            range.map { " (95 %: \(percent($0.lowerBound)) to \(percent($0.upperBound)))" } ?? ""
        }
        var table = TextTable.numbers(["class", "top-1", "top-5", "precision", "images"])
        for c in classes {
            table.add([c.name] + [c.accuracy, c.top5, c.precision].map { percent($0.value) } + ["\(c.images)"])
        }
        let totals = [
            "top-1 \(percent(top1.value))\(spread(interval))", "top-5 \(percent(top5.value))\(spread(top5Interval))",
            "mean accuracy of the classes \(percent(meanAccuracy.value))",
            images.counted("image") + (failed.isEmpty ? "" : "; \(failed.count.counted("image")) failed"),
        ]
        return (table.lines + [""] + totals).joined(separator: "\n")
    }

    /// `per-class.csv`: shares in 0…1 with all their digits, an empty cell for 0/0.
    package var perClassTable: String {
        var table = CSV(["index", "name", "accuracy", "top5", "precision", "images"])
        for c in classes {
            let scores = [c.accuracy, c.top5, c.precision].map { cell($0.value) }
            table.add([String(c.index), c.name] + scores + [String(c.images)])
        }
        return table.text
    }
}

extension ClassificationScore {
    /// `per-image.csv`; `rank` is the true class's place among all by their probability, from 1.
    package var perImageTable: String {
        var table = CSV(["path", "class", "predicted", "probability", "class_probability", "rank"])
        for image in images {
            table.add([
                image.path, classes[image.truth].name, classes[image.prediction].name, "\(image.confidence)",
                "\(image.truthProbability)", String(image.rank + 1),
            ])
        }
        return table.text
    }
}
