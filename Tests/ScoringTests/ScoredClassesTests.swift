import BEiTCheckpoints
import BEiTDatasets
import BEiTFiles
import BEiTImageIO
import Testing

@testable import BEiTMetrics
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

    /// On background (class 0) the model may see what the labels lack; elsewhere that is an error.
    @Test func onBackgroundWhatTheLabelsLackCountsAsBackground() throws {
        let names = ["background", "wall", "cat"]
        let background = try #require(
            SetBackground([names[0], names[2]].map { LabelClass.named([$0])[0] }, at: [0, 2], of: 3))
        #expect(background.all == [0, 1])
        let plain = score(scored: [0, 2])
        let images = plain.images.map {
            SegmentationScore.Image(pair: $0.pair, confusion: $0.confusion.excusing(background))
        }
        let score = SegmentationScore(classes: LabelClass.named(names), scored: [0, 2], images: images, failed: [])
        #expect(score.totals.iou(0) == 7.0 / 8 && score.totals.iou(2) == 3.0 / 5 && score.excused == 1)
        #expect(score.totals.pixels == plain.totals.pixels && score.totals.predicted[1] == 1)
        let report = ScoreReport(score, seed: 0)
        #expect(
            report.table.contains(
                "8.33 % of the pixels were taken for one of the model's 1 other classes, not counting 8.33 %"))
        #expect(try JSONText.line(report).contains("\"other_classes_on_background\":1"))
        #expect(try !JSONText.line(ScoreReport(plain, seed: 0)).contains("other_classes"))
        // Where nothing of it was found before, and where there is nothing to excuse.
        let lost = ImageConfusion(label: [2, 0, 0], prediction: [1, 1, 1]).excusing(background)
        #expect(lost.entries == [.init(truth: 0, prediction: 0, pixels: 2), .init(truth: 2, prediction: 1, pixels: 1)])
        #expect(lost.excusing(nil) == lost && lost.excusing(background) == lost)
    }

    @Test func predictedAloneCountsWhereTheLabelsKnowTheClass() {
        #expect(score(scored: nil).totals.iou(1) == 0)
        #expect(score(scored: nil).totals.meanIoU == (0.75 + 0 + 0.6) / 3)
    }
}
