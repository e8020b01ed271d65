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
package struct ConfusionMatrix: Equatable, Sendable {
    /// K.
    package let classes: Int
    /// `[K, K]`: the row is the true class, the column the predicted one.
    package private(set) var counts: [Int]
    /// Pixels whose label said that they do not count.
    package private(set) var ignored = 0

    package init(classes: Int) {
        precondition(classes > 0, "no classes")
        self.classes = classes
        counts = [Int](repeating: 0, count: classes * classes)
    }

    /// Adds the pixels of an image; those labelled `ignore` do not count, whatever was predicted there.
    ///
    /// - Throws: ``UnknownClass``, and nothing is added then.
    /// - Precondition: both have the same number of pixels.
    package mutating func add(label: [UInt16], prediction: [UInt16], ignore: UInt16? = LabelMap.void)
        throws(UnknownClass)
    {
        precondition(label.count == prediction.count, "\(label.count) labels for \(prediction.count) pixels")
        var image = ConfusionMatrix(classes: classes)
        for (truth, guess) in zip(label, prediction) {
            if truth == ignore {
                image.ignored += 1
                continue
            }
            let (row, column) = (Int(truth), Int(guess))
            guard row < classes else { throw UnknownClass(place: .label, value: row, classes: classes) }
            guard column < classes else { throw UnknownClass(place: .prediction, value: column, classes: classes) }
            image.counts[row * classes + column] += 1
        }
        merge(image)
    }

    /// Adds `count` pixels of class `truth` that were taken for class `prediction`.
    package mutating func add(_ count: Int, truth: Int, prediction: Int) {
        counts[truth * classes + prediction] += count
    }

    /// Adds `count` pixels whose label says that they do not count.
    package mutating func addIgnored(_ count: Int) { ignored += count }

    /// Adds the counts of `other`, which has the same classes.
    package mutating func merge(_ other: ConfusionMatrix) {
        precondition(classes == other.classes, "\(other.classes) classes into \(classes)")
        for index in counts.indices { counts[index] += other.counts[index] }
        ignored += other.ignored
    }

    /// Pixels of class `truth` that were taken for class `prediction`.
    package subscript(truth: Int, prediction: Int) -> Int { counts[truth * classes + prediction] }

    /// What the scores are made of.
    package var totals: ClassTotals {
        var totals = ClassTotals(classes: classes)
        for truth in 0..<classes {
            for prediction in 0..<classes {
                let count = self[truth, prediction]
                totals.labelled[truth] += count
                totals.predicted[prediction] += count
                if truth == prediction { totals.correct[truth] = count }
            }
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

    package var classes: Int { correct.count }
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
