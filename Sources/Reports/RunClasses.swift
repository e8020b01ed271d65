import BEiTImageIO
import BEiTMetrics

/// The part of a run's page that shows the IoU of each class over the validations.
struct RunClasses {
    private let classes: [LabelClass]
    private let validations: [LogLine]

    init(_ classes: [LabelClass], _ log: [LogLine]) {
        self.classes = classes
        validations = log.filter { line in line.metrics.keys.contains { LogLine.className($0) != nil } }
    }

    /// Nothing where no validation has them.
    var html: String {
        guard let last = validations.last else { return "" }
        let best = validations.last(where: \.best) ?? last
        let names = Set(validations.flatMap(\.metrics.keys).compactMap(LogLine.className))
        let known = classes.filter { names.contains($0.name) }
        let others = names.subtracting(known.map(\.name)).sorted().map {
            LabelClass(name: $0, color: RGBColor(128, 128, 128))
        }
        let rows = (known + others).map { info in
            let value = { (line: LogLine) in line.metrics[LogLine.key(ofClass: info.name)] }
            return HTML.row(
                [
                    HTML.name(info.name, color: info.color), HTML.bar(value(best)), "<b>\(percent(value(best)))</b>",
                    percent(value(last)), sparkline(validations.map(value)),
                ].map(HTML.cell))
        }
        let head = ["class", "", "best.h5", "last", "over the run"]
        return """
            <h2>IoU of each class</h2>
            <p class="note">In percent: of the best validation, after step \(best.step), and of the last one, after step \
            \(last.step). The small curves go from 0 to 100 percent; a dash stands for a class that is neither labelled \
            nor predicted.</p>
            \(HTML.table("bars classes", HTML.head(head), rows))
            """
    }

    /// A curve of 100 × 22 pixels from 0 to 1; gaps where there is no value.
    private func sparkline(_ values: [Double?]) -> String {
        let (width, height) = (100.0, 22.0)
        let places = values.enumerated().compactMap { place, value in
            value.map {
                (2 + (width - 4) * Double(place) / Double(max(1, values.count - 1)), height - 1 - (height - 2) * $0)
            }
        }
        guard let end = places.last else { return "" }
        let points = places.map { HTML.decimal($0.0) + "," + HTML.decimal($0.1) }.joined(separator: " ")
        return "<svg class=\"spark\" viewBox=\"0 0 100 22\" width=\"100\" height=\"22\" aria-hidden=\"true\">"
            + "<line class=\"grid\" x1=\"0\" x2=\"100\" y1=\"21.5\" y2=\"21.5\"/><polyline class=\"curve\" points=\"\(points)\"/>"
            + "<circle class=\"dot\" cx=\"\(HTML.decimal(end.0))\" cy=\"\(HTML.decimal(end.1))\" r=\"2\"/></svg>"
    }
}
