import BEiTCheckpoints
import BEiTDatasets
import BEiTImageIO
import Testing

import BEiTMetrics
@testable import BEiTPrediction
@testable import BEiTScoring

/// A model that knows more classes than the labels.
@Suite struct ScoredClassesTests {
    private func score(scored: [UInt16]?) -> SegmentationScore {
        // Class 0: 6 of 8 pixels found; class 2: 3 of 4; one pixel of each was taken for class 1, which the labels lack.
        let label: [UInt16] = [0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2, 2]
        let prediction: [UInt16] = [0, 0, 0, 0, 0, 0, 1, 2, 2, 2, 2, 1]
        let image = SegmentationScore.Image(
            pair: LabelledImage(image: "a.jpg", mask: "a.png"),
            confusion: ImageConfusion(label: label, prediction: prediction))
        return SegmentationScore(classes: LabelClass.unnamed(3), scored: scored, images: [image], failed: [])
    }

    @Test func whatTheLabelsDoNotKnowIsAnErrorButNoClass() throws {
        let totals = score(scored: [0, 2]).totals
        #expect(totals.iou(1) == nil && totals.precision(1) == nil && totals.dice(1) == nil)
        #expect(totals.iou(0) == 6.0 / 8 && totals.iou(2) == 3.0 / 5)
        let mean = try #require(totals.meanIoU)
        #expect(abs(mean - (0.75 + 0.6) / 2) < 1e-12)
        #expect(totals.pixelAccuracy == 9.0 / 12)
        let interval = try #require(score(scored: [0, 2]).meanIoUInterval(resamples: 20))
        #expect(abs(interval.lowerBound - mean) < 1e-12 && abs(interval.upperBound - mean) < 1e-12)
    }

    @Test func itIsLeftOutOfTheTableAndSaid() {
        let table = ScoreReport(score(scored: [0, 2]), seed: 0).table
        #expect(!table.contains("class 1") && table.contains("class 2"))
        #expect(table.contains("16.67 % of the pixels were taken for one of the model's 1 other classes"))
    }

    @Test func predictedAloneCountsWhereTheLabelsKnowTheClass() {
        #expect(score(scored: nil).totals.iou(1) == 0)
        #expect(score(scored: nil).totals.meanIoU == (0.75 + 0 + 0.6) / 3)
    }
}
