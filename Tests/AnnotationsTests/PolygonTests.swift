import BEiTFiles
import Foundation
import Testing

@testable import BEiTAnnotations

/// Random shapes with the pixels that the COCO API, labelme and OpenCV give them (`scripts/make-polygon-fixtures.py`).
@Suite struct PolygonTests {
    private struct Case: Decodable {
        var rule: String
        var width, height: Int
        var outlines: [[Double]]?
        var type: String?
        var points: [[Double]]?
        var counts: String

        func shape() throws -> Shape {
            if let points, let type {
                return try LabelmeReader.shape(
                    .object(["shape_type": .text(type), "points": .list(points.map(JSONValue.numbers))]))
            }
            return .outlines(try (outlines ?? []).map { try Outline($0) }, rule == "coco" ? .coco : .openCV)
        }
    }

    private static func cases() throws -> [Case] {
        let many = FileSystem.environment("BEIT_SEG_POLYGONS")
        let file = try many ?? #require(Bundle.module.path(forResource: "Fixtures/polygons", ofType: "json"))
        return try JSONText.decode(from: FileSystem.read(file), of: file)
    }

    @Test(arguments: ["coco", "labelme", "opencv"]) func pixelsAreThoseOfTheTool(_ rule: String) throws {
        let cases = try Self.cases().filter { $0.rule == rule }
        #expect(cases.count > 70)
        var wrong = 0
        for (number, test) in cases.enumerated() {
            var (ours, theirs) = (
                Canvas(width: test.width, height: test.height, 0), Canvas(width: test.width, height: test.height, 0)
            )
            try test.shape().paint(1, on: &ours, "")
            let counts = try RunLengths.decoded(test.counts)
            try RunLengths.check(counts, width: test.width, height: test.height)
            try Shape.columns(counts: counts, width: test.width, height: test.height).paint(1, on: &theirs, "")
            if ours.values != theirs.values {
                wrong += 1
                let difference = zip(ours.values, theirs.values).count { $0 != $1 }
                if wrong < 4 { Issue.record("case \(number) of \(rule): \(difference) pixels differ; \(test)") }
            }
        }
        #expect(wrong == 0, "of \(cases.count)")
    }
}
