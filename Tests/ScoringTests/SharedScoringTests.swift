import BEiTCheckpoints
import BEiTDatasets
import BEiTFiles
import BEiTImageIO
import BEiTMetrics
import BEiTProcesses
import BEiTTeams
import BEiTTensorCore
import Foundation
import Testing

@testable import BEiTPrediction
@testable import BEiTScoring

/// Scores that several processes find together, which are threads here, beside those of one.
@Suite struct SharedScoringTests {
    private let folder = NSTemporaryDirectory() + "beit-seg-" + UUID().uuidString

    /// Masks, and predictions that differ from them here and there; one of another size.
    private func masks(_ count: Int) throws {
        var draw = Philox(seed: 4)
        for number in 0..<count {
            let side = 10 + number % 5
            let truth = (0..<side * side).map { _ in UInt16(draw.integer(below: 3)) }
            let wrong = number % 4
            let guess = truth.map { draw.integer(below: 9) < wrong ? 0 : $0 }
            for (kind, values, width) in [("truth", truth, side), ("guess", guess, number == 5 ? 1 : side)] {
                let mask = IndexMask(width: width, height: values.count / width, values: values)
                try writePNG(mask, to: "\(folder)/\(kind)/\(number + 100).png")
            }
        }
    }

    @Test(arguments: [2, 3, 4]) func severalFindWhatOneFinds(_ size: Int) throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try masks(40)
        func score(_ team: any Communicator) throws -> (score: SegmentationScore, shown: [[String]]) {
            let set = try LabelledSet(predictions: folder + "/guess", masks: folder + "/truth", LabelRules())
            let gallery = ScoreGallery()
            let score = try Scoring(set, by: team, gallery: gallery).scorePredictions()
            let shown = [gallery.best, gallery.worst, gallery.apart].map {
                $0.map { "\($0.pair.image) \($0.pictures)" }
            }
            return (score, shown)
        }
        let alone = try score(SingleProcess())
        #expect(alone.score.images.count == 39 && alone.score.failed.count == 1)
        for result in ThreadTeam(size).run(score) {
            let found = try result.get()
            #expect(found.score.images.map(\.confusion) == alone.score.images.map(\.confusion))
            #expect(found.score.images.map(\.pair) == alone.score.images.map(\.pair))
            #expect(found.score.failed.map(\.reason) == alone.score.failed.map(\.reason))
            #expect(found.shown == alone.shown)
        }
    }
}
