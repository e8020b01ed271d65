import BEiTImageIO
import Foundation
import Testing

@testable import BEiTReports

#if canImport(FoundationXML)
    import FoundationXML
#endif

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
        let validations = try [
            #"{"step": 200, "epoch": 2, "best": true, "metrics": {"val_miou": 0.5, "val_loss": 1.5, "val_iou/sky": 0.75}}"#,
            #"{"step": 400, "epoch": 4, "best": false, "metrics": {"val_miou": 0.4, "val_loss": 1.6, "val_iou/sky": 0.5, "val_iou/<x>": 0.2}}"#,
        ].map(line)
        return RunReport(
            title: "a < b & c", steps: 400, log: steps + validations,
            facts: [("Recipe", [(name: "batch", value: "<16>")])],
            classes: [
                LabelClass(name: "sky", color: RGBColor(1, 2, 3)), LabelClass(name: "sea", color: RGBColor(4, 5, 6)),
            ],
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
        let text = html[start.lowerBound..<end.upperBound]
        let parser = XMLParser(data: Data(text.utf8))
        let structure = Structure()
        parser.delegate = structure
        #expect(parser.parse(), "\(String(describing: parser.parserError))")
        // Loss, mIoU, KL and learning rate: what the log has, whatever its name; and a small curve for each class.
        #expect(structure.names["svg"] == 4 + 2)
        #expect(structure.names["img"] == 1)
        #expect(html.contains("class=\"raw\"") && html.contains("data:image/png;base64,iVBOR"))
        for text in [
            "a < b & c", "<16>", "after step 200", "400 of 400, epoch 4.0", "best: mIoU, percent", "50.00",
            "Loss in training (line) and validation (dots)",
        ] {
            #expect(structure.text.contains(text), "\(text)")
        }
        #expect(!html.contains("http"))
    }

    /// Classes in their order, others behind them; the IoU of the best validation, and of the last.
    @Test func classesHaveTheirIoU() throws {
        let html = try report().html
        let section = html.components(separatedBy: "<h2>IoU of each class</h2>")[1].components(separatedBy: "</table>")[
            0]
        let rows = section.components(separatedBy: "<tr>").dropFirst(2)
        #expect(rows.count == 2)
        #expect(rows.first?.contains("<b>75.00</b></td><td>50.00</td>") == true, "\(rows)")
        #expect(rows.last?.contains("&lt;x&gt;</span></td>") == true)
        #expect(rows.last?.contains("<b>–</b></td><td>20.00</td>") == true)
        #expect(
            try RunReport(title: "", steps: 1, log: [line(#"{"step": 1}"#)], facts: []).html.contains("each class")
                == false)
    }

    private func points(_ values: [(Int, Double)]) -> [CurveChart.Point] {
        values.map { .init(step: $0.0, value: $0.1) }
    }

    @Test func placesInTheChartAreThoseOfTheValues() throws {
        let chart = CurveChart(
            title: "x", [.init(points([(0, 1.0), (50, 2), (100, .nan), (100, 3)]), .marked)], best: 50,
            epochsPerStep: 0.5)
        let svg = try #require(chart.svg)
        // 52…342 across, 10…162 down from 0, with a margin of 4 % above the largest.
        #expect(svg.contains("points=\"52.0,113.3 197.0,64.6 342.0,15.8\""), "\(svg)")
        #expect(svg.contains("<circle class=\"best\" cx=\"197.0\" cy=\"64.6\""))
        #expect(svg.contains(">best 2</text>") && chart.note == nil)
        let alone = CurveChart(title: "x", [.init(points([(8, 4.5)]), .noisy)], epochsPerStep: 1)
        let point = try #require(alone.svg)
        #expect(point.contains("<circle") && point.contains(">4.5<"), "one point is to be seen")
        #expect(CurveChart(title: "x", [.init([], .noisy)], epochsPerStep: 0).svg == nil)
    }

    /// An axis that is not an even one from 0 says so.
    @Test(
        arguments: [
            ([4.3, 3.1], false, "axis without 0"), ([4.3, 3.1], true, nil), ([4.3, 0.1], false, nil),
            ([-5, -4], false, "axis without 0"), ([-5, 4], true, nil), ([100, 1], false, "logarithmic axis"),
        ] as [([Double], Bool, String?)])
    func axesAreHonest(_ values: [Double], _ fromZero: Bool, _ note: String?) throws {
        let series = CurveChart.Series(points([(1, values[0]), (2, values[1])]), .noisy)
        let chart = CurveChart(title: "x", [series], fromZero: fromZero, epochsPerStep: 1)
        #expect(chart.note == note)
        #expect(try #require(chart.svg).contains("class=\"cut\"") == (note == "axis without 0"))
    }

    @Test func settingsAreListedByName() throws {
        struct Inner: Encodable { var flag = true, list: [Float] = [0.4, 1] }
        struct Outer: Encodable { var seed = UInt64.max, inner = Inner(), name = "a", nothing: Int? }
        let rows = try listing(Outer())
        #expect(rows.map(\.name) == ["inner.flag", "inner.list", "name", "seed"])
        #expect(rows.map(\.value) == ["yes", "0.4, 1", "a", "18446744073709551615"])
    }
}
