import Foundation
import Testing

@testable import BEiTTraining

@Suite struct EventFileTests {
    /// As TensorBoard's EventFileWriter writes them: `scripts/check-tensorboard.py --fixture`.
    @Test func recordsAreTensorBoardsToTheByte() throws {
        let url = try #require(Bundle.module.url(forResource: "Fixtures/tensorboard", withExtension: "tfevents"))
        let records =
            EventFile.version(wallTime: 1700000000.25) + EventFile.sessionStart(step: 301, wallTime: 1700000000.5)
            + EventFile.record(
                [("train/loss", 0.6931), ("train/learning_rate", 0)], step: 310, wallTime: 1700000001.75)
            + EventFile.record(
                [("val/" + String(repeating: "long name ", count: 20), -1.5e30)], step: 5_000_000_000,
                wallTime: 1700000002.125)
        #expect(try [UInt8](Data(contentsOf: url)) == records)
    }

    @Test func eachStartSortsBehindTheOnesBefore() throws {
        let folder = NSTemporaryDirectory() + "beit-seg-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let now = Date(timeIntervalSince1970: 1_700_000_000)
        let paths = try [now, now, now.addingTimeInterval(-90)].map {
            try EventFile(in: folder, firstStep: 1, now: $0).path
        }
        #expect(paths == paths.sorted() && Set(paths).count == 3)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).count == 3)
    }
}
