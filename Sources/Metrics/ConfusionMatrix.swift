import BEiTDatasets

/// A value in a label or a prediction that is no class.
package struct UnknownClass: Error, Equatable {
    package enum Place: String, Sendable { case label, prediction }
    package var place: Place
    package var value: Int
    /// K: the classes are 0 ..< K.
    package var classes: Int

    package init(place: Place, value: Int, classes: Int) {
        (self.place, self.value, self.classes) = (place, value, classes)
    }
}

/// Pixels counted by true and by predicted class, over any number of images.
///
/// Kept sparse: of K² pairs a set of images shows few, and K may be 65,534.
package struct ConfusionMatrix: Equatable, Sendable {
    /// K.
    package let classes: Int
    /// By pair of true and predicted class, see ``key(_:_:)``.
    private var counts: [UInt32: Int] = [:]
    /// Pixels whose label said that they do not count.
    package private(set) var ignored = 0

    package init(classes: Int) {
        precondition((1...LabelMap.maximumClasses).contains(classes), "\(classes) classes")
        self.classes = classes
    }

    private static func key(_ truth: Int, _ prediction: Int) -> UInt32 { UInt32(truth) << 16 | UInt32(prediction) }

    /// Adds the pixels of an image; those labelled ``LabelMap/void`` do not count, whatever was predicted there, and those
    /// predicted void are errors of their true class.
    ///
    /// - Throws: ``UnknownClass``, and nothing is added then.
    /// - Precondition: both have the same number of pixels.
    package mutating func add(label: [UInt16], prediction: [UInt16]) throws(UnknownClass) {
        try add(ImageConfusion(label: label, prediction: prediction))
    }

    /// Adds the pixels of an image. Throws ``UnknownClass``, and nothing is added then.
    package mutating func add(_ image: ImageConfusion) throws(UnknownClass) {
        for entry in image.entries {
            let (truth, guess) = (Int(entry.truth), Int(entry.prediction))
            guard truth < classes else { throw UnknownClass(place: .label, value: truth, classes: classes) }
            guard guess < classes || entry.prediction == LabelMap.void else {
                throw UnknownClass(place: .prediction, value: guess, classes: classes)
            }
        }
        for entry in image.entries {
            add(entry.pixels, truth: Int(entry.truth), prediction: Int(entry.prediction))
        }
        ignored += image.ignored
    }

    /// Adds `count` pixels of class `truth` that were taken for class `prediction`.
    package mutating func add(_ count: Int, truth: Int, prediction: Int) {
        counts[Self.key(truth, prediction), default: 0] += count
    }

    /// Adds `count` pixels whose label says that they do not count.
    package mutating func addIgnored(_ count: Int) { ignored += count }

    /// Adds the counts of `other`, which has the same classes.
    package mutating func merge(_ other: ConfusionMatrix) {
        precondition(classes == other.classes, "\(other.classes) classes into \(classes)")
        counts.merge(other.counts, uniquingKeysWith: +)
        ignored += other.ignored
    }

    /// Pixels of class `truth` that were taken for class `prediction`.
    package subscript(truth: Int, prediction: Int) -> Int { counts[Self.key(truth, prediction)] ?? 0 }

    /// The pairs of classes that occur, by true, then by predicted class.
    package var entries: [(truth: Int, prediction: Int, count: Int)] {
        counts.sorted { $0.key < $1.key }.map { (Int($0.key >> 16), Int($0.key & 0xFFFF), $0.value) }
            .filter { $0.prediction < classes }
    }

    /// More classes would make a matrix of gigabytes.
    package static let mostInFull = 2048

    /// `[K][K]`, a row a true class, a column a predicted one; nil for more than ``mostInFull`` classes.
    package var rows: [[Int]]? {
        guard classes <= Self.mostInFull else { return nil }
        var rows = [[Int]](repeating: [Int](repeating: 0, count: classes), count: classes)
        for entry in entries { rows[entry.truth][entry.prediction] = entry.count }
        return rows
    }

    /// What the scores are made of.
    package var totals: ClassTotals {
        var totals = ClassTotals(classes: classes)
        for (pair, count) in counts {
            let (truth, prediction) = (Int(pair >> 16), Int(pair & 0xFFFF))
            totals.add(count, truth: truth, prediction: prediction)
        }
        return totals
    }
}

/// Pixels of each class, and the scores that follow from them.
///
/// Counts are summed over all images before a score is computed. A score that would be 0/0 is nil and is left out of the
/// means; a class that is predicted but nowhere labelled has IoU 0 (mmsegmentation's `IoUMetric`).
package struct ClassTotals: Equatable, Sendable {
    /// Pixels of the class that were predicted as such: the diagonal of the confusion matrix.
    package var correct: [Int]
    /// Pixels labelled as the class: its rows' sums.
    package var labelled: [Int]
    /// Pixels predicted as the class: its columns' sums.
    package var predicted: [Int]
    /// Whether the class has scores. One that the labels do not know at all (a model may know more classes than a data
    /// set) has none, and its pixels are errors of the classes that they belong to.
    package var scored: [Bool]

    package init(classes: Int) {
        let zeros = [Int](repeating: 0, count: classes)
        (correct, labelled, predicted) = (zeros, zeros, zeros)
        scored = [Bool](repeating: true, count: classes)
    }

    /// Counts `count` pixels; a prediction that is no class is an error of the true class.
    mutating func add(_ count: Int, truth: Int, prediction: Int) {
        labelled[truth] += count
        if prediction < classes { predicted[prediction] += count }
        if truth == prediction { correct[truth] += count }
    }

    package var classes: Int { correct.count }
    /// Pixels that count and were predicted as no class.
    package var unpredicted: Int { pixels - predicted.reduce(0, +) }
    /// Pixels that count.
    package var pixels: Int { labelled.reduce(0, +) }

    /// Intersection over union of label and prediction.
    package func iou(_ k: Int) -> Double? {
        ratio(correct[k], labelled[k] + predicted[k] - correct[k], of: k)
    }
    /// The share of the class's pixels that were found (recall).
    package func accuracy(_ k: Int) -> Double? { ratio(correct[k], labelled[k], of: k) }
    /// The share of the pixels predicted as the class that are of it.
    package func precision(_ k: Int) -> Double? { ratio(correct[k], predicted[k], of: k) }
    /// Twice the intersection over the sum of both areas (the F1 score).
    package func dice(_ k: Int) -> Double? { ratio(2 * correct[k], labelled[k] + predicted[k], of: k) }

    package var meanIoU: Double? { mean(iou) }
    package var meanAccuracy: Double? { mean(accuracy) }
    package var meanDice: Double? { mean(dice) }
    /// The share of all pixels that were predicted rightly.
    package var pixelAccuracy: Double? { ratio(correct.reduce(0, +), pixels) }
    /// The IoU of the labelled classes, weighted by their pixels.
    package var frequencyWeightedIoU: Double? {
        guard pixels > 0 else { return nil }
        return (0..<classes).reduce(0) { $0 + Double(labelled[$1]) / Double(pixels) * (iou($1) ?? 0) }
    }

    private func mean(_ score: (Int) -> Double?) -> Double? {
        let scores = (0..<classes).compactMap(score)
        return scores.isEmpty ? nil : scores.reduce(0, +) / Double(scores.count)
    }

    private func ratio(_ part: Int, _ whole: Int, of k: Int) -> Double? { scored[k] ? ratio(part, whole) : nil }
    private func ratio(_ part: Int, _ whole: Int) -> Double? { whole == 0 ? nil : Double(part) / Double(whole) }
}
