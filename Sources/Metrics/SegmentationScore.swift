import BEiTDatasets
import BEiTImageIO
import BEiTTensorCore
import Foundation

/// The score of masks against labels, over a set of images.
package struct SegmentationScore: Sendable {
    package struct Image: Sendable {
        package var pair: LabelledImage
        package var confusion: ImageConfusion

        package init(pair: LabelledImage, confusion: ImageConfusion) {
            (self.pair, self.confusion) = (pair, confusion)
        }
    }
    package struct Failure: Sendable, Equatable {
        package var path: String
        /// One line, which names the path.
        package var reason: String

        package init(path: String, reason: String) { (self.path, self.reason) = (path, reason) }
    }
    package let classes: [LabelClass]
    /// Whether the labels know the class; see ``ClassTotals/scored``.
    package let scored: [Bool]
    package let images: [Image]
    package let failed: [Failure]
    package let matrix: ConfusionMatrix
    /// Pixels of the background that count as found for what they were taken for; see ``ImageConfusion/excused``.
    package var excused: Int { images.reduce(0) { $0 + $1.confusion.excused } }

    /// - Parameter scored: the indices of the classes that the labels know; nil: all.
    /// - Precondition: `classes` has every index that the images hold.
    package init(classes: [LabelClass], scored: [UInt16]? = nil, images: [Image], failed: [Failure]) {
        (self.classes, self.images, self.failed) = (classes, images, failed)
        let known = scored.map { Set($0.map { Int($0) }) }
        self.scored = classes.indices.map { known?.contains($0) ?? true }
        var matrix = ConfusionMatrix(classes: classes.count)
        for image in images {
            for entry in image.confusion.entries {
                matrix.add(entry.pixels, truth: Int(entry.truth), prediction: Int(entry.prediction))
            }
            matrix.addIgnored(image.confusion.ignored)
        }
        self.matrix = matrix
    }

    /// What the scores are made of.
    package var totals: ClassTotals {
        var totals = matrix.totals
        totals.scored = scored
        return totals
    }

    /// The 2.5 and 97.5 percent points of the mean IoU when images are drawn with replacement, as many as there are
    /// (Efron's percentile bootstrap): how far another sample of such images might score. Nil if no pixel counts.
    package func meanIoUInterval(resamples: Int = 1000, seed: UInt64 = 0) -> ClosedRange<Double>? {
        Self.interval(Self.bootstrap([self], resamples: resamples, seed: seed).compactMap { $0[0] })
    }

    /// The mean IoU of each score when images are drawn with replacement, as many as there are; a draw takes the same
    /// images for all scores, so that what they have in common cancels out of their difference.
    ///
    /// - Precondition: the scores are of the same images.
    static func bootstrap(_ scores: [SegmentationScore], resamples: Int, seed: UInt64) -> [[Double?]] {
        let count = scores.first?.images.count ?? 0
        precondition(scores.allSatisfy { $0.images.count == count }, "scores of different images")
        var generator = Philox(seed: seed)
        return (0..<resamples).map { _ in
            var totals = scores.map { score in
                var totals = ClassTotals(classes: score.classes.count)
                totals.scored = score.scored
                return totals
            }
            for _ in 0..<count {
                let image = generator.integer(below: count)
                for (place, score) in scores.enumerated() { score.images[image].confusion.add(to: &totals[place]) }
            }
            return totals.map(\.meanIoU)
        }
    }

    /// The 2.5 and 97.5 percent points of `values`, interpolated; nil if there are none.
    package static func interval(_ values: [Double]) -> ClosedRange<Double>? {
        let values = values.sorted()
        guard !values.isEmpty else { return nil }
        func point(_ share: Double) -> Double {
            let place = share * Double(values.count - 1)
            let low = Int(place)
            let high = min(low + 1, values.count - 1)
            return values[low] + (place - Double(low)) * (values[high] - values[low])
        }
        return point(0.025)...point(0.975)
    }
}
