import Checkpoints
import Datasets
import Foundation
import TensorCore

/// The score of masks against labels, over a set of images.
public struct SegmentationScore: Sendable {
    public struct Image: Sendable {
        public var pair: LabelledImage
        public var confusion: ImageConfusion
    }
    public struct Failure: Sendable, Equatable {
        public var path: String
        /// One line, which names the path.
        public var reason: String
    }
    public let classes: [ClassInfo]
    public let images: [Image]
    public let failed: [Failure]
    public let matrix: ConfusionMatrix

    /// - Precondition: `classes` has every index that the images hold.
    init(classes: [ClassInfo], images: [Image], failed: [Failure]) {
        (self.classes, self.images, self.failed) = (classes, images, failed)
        var matrix = ConfusionMatrix(classes: classes.count)
        for image in images { image.confusion.add(to: &matrix) }
        self.matrix = matrix
    }

    /// The 2.5 and 97.5 percent points of the mean IoU when images are drawn with replacement, as many as there are
    /// (Efron's percentile bootstrap): how far another sample of such images might score. Nil if no pixel counts.
    public func meanIoUInterval(resamples: Int = 1000, seed: UInt64 = 0) -> ClosedRange<Double>? {
        var generator = Philox(seed: seed)
        let scores = (0..<resamples).compactMap { _ in
            var totals = ClassTotals(classes: classes.count)
            for _ in images { images[generator.integer(below: images.count)].confusion.add(to: &totals) }
            return totals.meanIoU
        }.sorted()
        guard !scores.isEmpty else { return nil }
        func point(_ share: Double) -> Double {
            let place = share * Double(scores.count - 1)
            let low = Int(place)
            let high = min(low + 1, scores.count - 1)
            return scores[low] + (place - Double(low)) * (scores[high] - scores[low])
        }
        return point(0.025)...point(0.975)
    }
}
