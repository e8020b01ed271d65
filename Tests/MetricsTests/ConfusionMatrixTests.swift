import BEiTDatasets
import Testing

@testable import BEiTMetrics

@Suite struct ConfusionMatrixTests {
    /// 3 classes, 10 pixels, worked by hand: class 2 is never labelled, one pixel is ignored.
    private let label: [UInt16] = [0, 0, 0, 1, 1, LabelMap.void, 0, 1, 1, 1]
    private let prediction: [UInt16] = [0, 0, 1, 1, 2, 9, 2, 1, 1, 0]

    @Test func countsRowsByTruthAndColumnsByPrediction() throws {
        var matrix = ConfusionMatrix(classes: 3)
        try matrix.add(label: label, prediction: prediction)
        #expect(matrix.rows == [[2, 1, 1], [1, 3, 1], [0, 0, 0]])
        #expect(matrix[0, 1] == 1 && matrix[1, 2] == 1 && matrix[2, 1] == 0)
        #expect(matrix.ignored == 1)
    }

    @Test func scoresFollowFromTheCounts() throws {
        var matrix = ConfusionMatrix(classes: 4)
        try matrix.add(label: label, prediction: prediction)
        let totals = matrix.totals
        #expect(totals.pixels == 9)
        #expect((0..<4).map(totals.iou) == [2 / 5.0, 3 / 6.0, 0, nil])
        #expect((0..<4).map(totals.accuracy) == [2 / 4.0, 3 / 5.0, nil, nil])
        #expect((0..<4).map(totals.precision) == [2 / 3.0, 3 / 4.0, 0, nil])
        #expect((0..<4).map(totals.dice) == [4 / 7.0, 6 / 9.0, 0, nil])
        #expect(totals.meanIoU == (2 / 5.0 + 3 / 6.0) / 3)
        #expect(totals.meanAccuracy == (2 / 4.0 + 3 / 5.0) / 2)
        #expect(totals.pixelAccuracy == 5 / 9.0)
        #expect(totals.frequencyWeightedIoU == 4 / 9.0 * (2 / 5.0) + 5 / 9.0 * (3 / 6.0))
    }

    @Test func mergingIsAddingAllPixels() throws {
        var whole = ConfusionMatrix(classes: 3)
        try whole.add(label: label, prediction: prediction)
        var first = ConfusionMatrix(classes: 3)
        try first.add(label: Array(label[..<4]), prediction: Array(prediction[..<4]))
        var second = ConfusionMatrix(classes: 3)
        try second.add(label: Array(label[4...]), prediction: Array(prediction[4...]))
        first.merge(second)
        #expect(first == whole)
    }

    @Test func valuesOutsideTheClassesAreNamedAndNothingIsAdded() {
        var matrix = ConfusionMatrix(classes: 3)
        #expect(throws: UnknownClass(place: .label, value: 3, classes: 3)) {
            try matrix.add(label: [0, 3], prediction: [0, 0])
        }
        #expect(throws: UnknownClass(place: .prediction, value: 7, classes: 3)) {
            try matrix.add(label: [0, 1], prediction: [0, 7])
        }
        #expect(throws: UnknownClass(place: .label, value: 255, classes: 3)) {
            try matrix.add(label: [255], prediction: [0])
        }
        #expect(matrix == ConfusionMatrix(classes: 3))
    }

    @Test func aVoidPredictionIsAnErrorOfItsTrueClass() throws {
        var matrix = ConfusionMatrix(classes: 2)
        try matrix.add(label: [0, 0, 1, 1, LabelMap.void], prediction: [0, LabelMap.void, 1, 1, LabelMap.void])
        let totals = matrix.totals
        #expect(totals.iou(0) == 0.5 && totals.iou(1) == 1 && totals.precision(0) == 1 && totals.accuracy(0) == 0.5)
        #expect(totals.pixels == 4 && totals.unpredicted == 1 && totals.pixelAccuracy == 0.75 && matrix.ignored == 1)
        #expect(matrix.rows == [[1, 0], [0, 2]])
        let image = ImageConfusion(label: [0, 0], prediction: [0, LabelMap.void])
        #expect(image.meanIoU == 0.5 && image.largestClass == 0 && image.largestError == nil)
    }

    /// A full matrix would take 28.8 GB.
    @Test func sixtyThousandClassesTakeNoMoreThanTheirPairs() throws {
        var matrix = ConfusionMatrix(classes: 60_000)
        try matrix.add(label: [59_999, 59_999, 3], prediction: [59_999, 2, 3])
        #expect(matrix[59_999, 2] == 1 && matrix[3, 3] == 1 && matrix.rows == nil)
        #expect(
            matrix.entries.map(\.truth) == [3, 59_999, 59_999] && matrix.entries.map(\.prediction) == [3, 2, 59_999])
        #expect(matrix.totals.meanIoU == 0.5)
    }

    @Test func withoutPixelsThereIsNoScore() {
        let totals = ConfusionMatrix(classes: 2).totals
        #expect(totals.meanIoU == nil && totals.pixelAccuracy == nil && totals.frequencyWeightedIoU == nil)
    }
}
