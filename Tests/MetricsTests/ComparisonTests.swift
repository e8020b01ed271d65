import BEiTDatasets
import BEiTImageIO
import BEiTTensorCore
import Foundation
import Testing

@testable import BEiTMetrics

/// The bootstrap of a difference, against enumeration and against a plain calculation on pixels.
@Suite struct ComparisonTests {
    /// Labels and what two models make of them, 4 classes, a row an image.
    private static let labels: [[UInt16]] = [
        [0, 0, 1, 1, 2, 2, 3, 3], [0, 1, 1, 1, 1, 2, .max, .max], [3, 3, 3, 0, 0, 0, 0, 2], [2, 2, 1, 1, 1, 1, 1, 0],
    ]
    private static let first: [[UInt16]] = [
        [0, 0, 1, 1, 2, 0, 3, 3], [0, 1, 1, 2, 2, 2, 0, 0], [3, 3, 0, 0, 0, 0, 0, 0], [2, 1, 1, 1, 1, 1, 1, 0],
    ]
    private static let second: [[UInt16]] = [
        [0, 0, 1, 1, 2, 2, 3, 3], [0, 1, 1, 1, 1, 0, 3, 3], [3, 0, 0, 0, 0, 0, 1, 2], [2, 2, 1, 1, 1, 3, 3, 0],
    ]

    private func score(_ predictions: [[UInt16]], images: Int) -> SegmentationScore {
        let images = (0..<images).map { i in
            SegmentationScore.Image(
                pair: LabelledImage(image: "\(i).jpg", mask: "\(i).png"),
                confusion: ImageConfusion(label: Self.labels[i], prediction: predictions[i]))
        }
        return SegmentationScore(classes: LabelClass.unnamed(4), images: images, failed: [])
    }

    private func comparison(images: Int, seed: UInt64 = 5) -> ScoreComparison {
        ScoreComparison(
            score(Self.first, images: images), score(Self.second, images: images), models: ("a.h5", "b.h5"),
            classes: (0..<4).map { ($0, $0) }, seed: seed)
    }

    /// The mean IoU over the pixels of all `images`, class by class, by the definition.
    private func meanIoU(_ predictions: [[UInt16]], _ images: [Int]) -> Double {
        let pixels = images.flatMap { Array(zip(Self.labels[$0], predictions[$0])) }.filter { $0.0 != .max }
        let scores = (0..<4).compactMap { k -> Double? in
            let either = pixels.count { $0.0 == k || $0.1 == k }
            return either == 0 ? nil : Double(pixels.count { $0.0 == k && $0.1 == k }) / Double(either)
        }
        return scores.reduce(0, +) / Double(scores.count)
    }

    private func difference(_ images: [Int]) -> Double { meanIoU(Self.second, images) - meanIoU(Self.first, images) }

    /// Of two images there are four equally likely draws, so that each end of the interval is one of three values.
    @Test func twoImages() throws {
        let found = comparison(images: 2)
        let draws = [[0, 0], [0, 1], [1, 0], [1, 1]].map(difference)
        #expect(Set(draws).count == 3 && draws.contains { $0 < 0 } && draws.contains { $0 > 0 })
        let interval = try #require(found.interval)
        #expect(abs(interval.lowerBound - (draws.min() ?? 0)) < 1e-12)
        #expect(abs(interval.upperBound - (draws.max() ?? 0)) < 1e-12)
        let share = Double(draws.count { $0 > 0 }) / 4
        #expect(abs(try #require(found.betterShare.value) - share) < 0.05)
        #expect(abs(try #require(found.difference.value) - difference([0, 1])) < 1e-12)
    }

    /// The same draws, scored on the pixels.
    @Test(arguments: [0, 5, 77] as [UInt64]) func fourImages(_ seed: UInt64) throws {
        let found = comparison(images: 4, seed: seed)
        var generator = Philox(seed: seed)
        let draws = (0..<1000).map { _ in difference((0..<4).map { _ in generator.integer(below: 4) }) }
        let sorted = draws.sorted()
        let interval = try #require(found.interval)
        // Points 24.975 and 974.025 of 0...999.
        #expect(abs(interval.lowerBound - (0.025 * sorted[24] + 0.975 * sorted[25])) < 1e-12)
        #expect(abs(interval.upperBound - (0.975 * sorted[974] + 0.025 * sorted[975])) < 1e-12)
        let better = draws.count { $0 > 1e-12 }
        #expect(abs(try #require(found.betterShare.value) * 1000 - Double(better)) < 0.5)
        for (k, info) in found.classes.enumerated() {
            #expect(
                info.index == k
                    && info.difference.value == ScoreComparison.difference(info.iou.value, info.otherIoU.value))
        }
    }

    /// Pairing matters: what both models find hard cancels out, so the interval is narrower than of two free draws.
    @Test func theSameDrawServesBoth() throws {
        let (first, second) = (score(Self.first, images: 4), score(Self.second, images: 4))
        let draws = SegmentationScore.bootstrap([first, second], resamples: 200, seed: 3)
        let alone = SegmentationScore.bootstrap([second], resamples: 200, seed: 3)
        #expect(draws.map { $0[1] } == alone.map { $0[0] })
        #expect(
            first.meanIoUInterval(resamples: 200, seed: 3) == SegmentationScore.interval(draws.compactMap { $0[0] }))
    }

    @Test func aModelAgainstItself() {
        let score = score(Self.first, images: 4)
        let found = ScoreComparison(
            score, score, models: ("a.h5", "a.h5"), classes: (0..<4).map { ($0, $0) }, seed: 1)
        #expect(found.difference.value == 0 && found.interval == 0...0 && found.betterShare.value == 0)
        #expect(found.verdict.contains("includes 0"))
    }

    /// Classes in another order, with others between them, are compared by name.
    @Test func classesInAnotherOrder() {
        let turned: [UInt16] = [4, 2, 0, 1]  // class k of the first is turned[k] of the second
        let images = (0..<4).map { i in
            SegmentationScore.Image(
                pair: LabelledImage(image: "\(i).jpg", mask: "\(i).png"),
                confusion: ImageConfusion(
                    label: Self.labels[i].map { $0 == .max ? $0 : turned[Int($0)] },
                    prediction: Self.second[i].map { turned[Int($0)] }))
        }
        let other = SegmentationScore(classes: LabelClass.unnamed(5), images: images, failed: [])
        let found = ScoreComparison(
            score(Self.first, images: 4), other, models: ("a.h5", "b.h5"),
            classes: turned.enumerated().map { ($0, Int($1)) },
            seed: 5)
        let plain = comparison(images: 4)
        #expect(found.interval == plain.interval)
        #expect(found.classes.map(\.otherIoU.value) == plain.classes.map(\.otherIoU.value))
    }

    /// By itself an image is scored as a set of one.
    @Test(arguments: 0..<4) func oneImage(_ i: Int) throws {
        let confusion = ImageConfusion(label: Self.labels[i], prediction: Self.second[i])
        var totals = ClassTotals(classes: 4)
        confusion.add(to: &totals)
        #expect(confusion.meanIoU == totals.meanIoU && confusion.pixelAccuracy == totals.pixelAccuracy)
        #expect(abs(try #require(confusion.meanIoU) - meanIoU(Self.second, [i])) < 1e-12)
    }
}
