import BEiTCheckpoints
import Foundation
import BEiTImageIO
@testable import BEiTReports
import Testing

#if canImport(FoundationXML)
    import FoundationXML
#endif

@testable import BEiTTraining

@Suite struct RunReportTests {
    private func line(_ text: String) throws -> LogLine {
        try JSONDecoder().decode(LogLine.self, from: Data(text.utf8))
    }

    private func report() throws -> RunReport {
        let steps = try (1...40).map {
            try line(
                #"{"step": \#($0 * 10), "steps": 400, "epoch": \#(Double($0) / 10), "loss": \#(2 / Double($0)), "lr": 0.1, "kl": 3}"#
            )
        }
        let validation = try line(#"{"step": 400, "epoch": 4, "best": true, "metrics": {"val_miou": 0.5}}"#)
        return RunReport(
            title: "a < b & c", steps: 400, log: steps + [validation],
            facts: [("Recipe", [(name: "batch", value: "<16>")])],
            classes: [LabelClass(name: "sky", color: RGBColor(1, 2, 3))],
            pictures: [try ReportPicture("one", RGBImage(width: 1, height: 1, pixels: [1, 2, 3]))])
    }

    /// An XML parser sees to it that every element is closed and every text escaped.
    private final class Structure: NSObject, XMLParserDelegate {
        var names: [String: Int] = [:]
        var text = ""
        func parser(
            _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
            attributes: [String: String]
        ) { names[name, default: 0] += 1 }
        func parser(_ parser: XMLParser, foundCharacters string: String) { text += string }
    }

    @Test func itIsWellFormedAndHasItsParts() throws {
        let html = try report().html
        let start = try #require(html.range(of: "<main>")), end = try #require(html.range(of: "</main>"))
        // Void elements of HTML are closed for the parser.
        let text = html[start.lowerBound..<end.upperBound].replacingOccurrences(
            of: "(<img[^>]*)>", with: "$1/>", options: .regularExpression)
        let parser = XMLParser(data: Data(text.utf8))
        let structure = Structure()
        parser.delegate = structure
        #expect(parser.parse(), "\(String(describing: parser.parserError))")
        // Loss, validation, KL and learning rate: what the log has, whatever its name; and the loss smoothed.
        #expect(structure.names["svg"] == 4)
        #expect(structure.names["img"] == 1)
        #expect(html.contains("class=\"raw\"") && html.contains("data:image/png;base64,iVBOR"))
        for text in ["a < b & c", "<16>", "best after step 400: mIoU 0.5000", "step 400 of 400, epoch 4.0"] {
            #expect(structure.text.contains(text), "\(text)")
        }
        #expect(!html.contains("http"))
    }

    @Test func placesInTheChartAreThoseOfTheValues() throws {
        let chart = CurveChart(
            title: "x", points: [(0, 1.0), (50, 2), (100, .nan), (100, 3)].map { .init(step: $0.0, value: $0.1) },
            kind: .marked, best: 50, epochsPerStep: 0.5)
        let svg = try #require(chart.svg)
        // 52…342 across, 10…162 down, with a margin of 4 % of the values' span at each end.
        #expect(svg.contains("points=\"52.0,156.4 197.0,86.0 342.0,15.6\""), "\(svg)")
        #expect(svg.contains("<circle class=\"best\" cx=\"197.0\" cy=\"86.0\""))
        let alone = CurveChart(
            title: "x", points: [.init(step: 8, value: 4.5)], kind: .noisy, best: nil, epochsPerStep: 1)
        let point = try #require(alone.svg)
        #expect(point.contains("<circle") && point.contains(">4.5<"), "one point is to be seen")
        #expect(CurveChart(title: "x", points: [], kind: .noisy, best: nil, epochsPerStep: 0).svg == nil)
    }

    @Test func settingsAreListedByName() throws {
        struct Inner: Encodable { var flag = true, list: [Float] = [0.4, 1] }
        struct Outer: Encodable { var seed = UInt64.max, inner = Inner(), name = "a", nothing: Int? }
        let rows = try listing(Outer())
        #expect(rows.map(\.name) == ["inner.flag", "inner.list", "name", "seed"])
        #expect(rows.map(\.value) == ["yes", "0.4, 1", "a", "18446744073709551615"])
    }
}
