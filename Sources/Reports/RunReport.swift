import BEiTImageIO
import Foundation

/// `report.html` of a training run: its curves, what it learned with, and pictures. One file, without links to others.
package struct RunReport {
    package var title: String
    /// Updates in the whole run.
    package var steps: Int
    /// Lines of `log.jsonl`.
    package var log: [LogLine]
    /// Tables of what the run is made of.
    package var facts: [(heading: String, rows: [(name: String, value: String)])]
    package var classes: [LabelClass]
    package var pictures: [ReportPicture]

    package init(
        title: String, steps: Int, log: [LogLine], facts: [(heading: String, rows: [(name: String, value: String)])],
        classes: [LabelClass] = [], pictures: [ReportPicture] = []
    ) {
        (self.title, self.steps, self.log) = (title, steps, log)
        (self.facts, self.classes, self.pictures) = (facts, classes, pictures)
    }

    package var html: String {
        HTML.page(
            title: title, facts: progress,
            content: tiles + curves + RunClasses(classes, log).html + gallery + validations + tables,
            footer: """
                A noisy curve is smoothed (the pale line is as measured), and the best validation so far, which is kept as \
                best.h5, is marked.
                """)
    }

    private var progress: [(name: String, value: String)] {
        let last = log.last
        let done = "\(last?.step ?? 0) of \(steps), epoch \(String(format: "%.1f", last?.epoch ?? 0))"
        let best = log.last(where: \.best).map { [(name: "best", value: "after step \($0.step)")] }
        return [(name: "steps", value: done)] + (best ?? [])
    }

    /// The best validation, and where the loss is.
    private var tiles: String {
        let best = log.last(where: \.best)
        let metrics = (best?.metrics ?? [:]).filter { !$0.key.contains("/") }.sorted { $0.key < $1.key }
        var tiles = metrics.prefix(4).map { HTML.tile("best: " + Metric($0.key).title, Metric($0.key).text($0.value)) }
        if let loss = log.last(where: { $0.values["loss"] != nil })?.values["loss"] {
            tiles.append(HTML.tile("training loss, last", Metric("loss").text(loss)))
        }
        return tiles.isEmpty ? "" : "<div class=\"tiles\">\n\(tiles.joined())</div>\n"
    }

    // MARK: Curves

    private var curves: String {
        let known = ["loss", "lr", "grad_norm", "images_per_s", "data_wait"]
        let others = Set(log.flatMap(\.values.keys)).subtracting(known).sorted()
        let metrics = Set(log.flatMap(\.metrics.keys)).subtracting(["val_loss"]).sorted()
        let charts =
            [loss] + metrics.filter { LogLine.className($0) == nil }.map(validation) + others.map(measured)
            + known.dropFirst().map(measured)
        let figures = charts.compactMap { chart in
            chart.svg.map { svg in
                let note = chart.note.map { " <span>\($0)</span>" } ?? ""
                return "<figure><figcaption><b>\(HTML.text(chart.title))</b>\(note)</figcaption>\n\(svg)</figure>\n"
            }
        }
        return figures.isEmpty ? "" : "<h2>Curves</h2>\n<div class=\"charts\">\n\(figures.joined())</div>\n"
    }

    /// Training and validation loss in one picture.
    private var loss: CurveChart {
        let validation = points("val_loss", \.metrics)
        return chart(
            validation.isEmpty ? "Training loss" : "Loss in training (line) and validation (dots)",
            [.init(points("loss", \.values), .noisy), .init(validation, .marked)])
    }

    private func validation(_ key: String) -> CurveChart {
        chart(
            "Validation: " + Metric(key).title, [.init(points(key, \.metrics), .marked)], fromZero: Metric(key).isShare)
    }

    private func measured(_ key: String) -> CurveChart {
        chart(
            Metric(key).heading, [.init(points(key, \.values), key == "lr" ? .smooth : .noisy)],
            fromZero: Metric(key).isShare || ["lr", "images_per_s", "data_wait"].contains(key))
    }

    private func chart(_ title: String, _ series: [CurveChart.Series], fromZero: Bool = false) -> CurveChart {
        let perStep = log.last.map { $0.step > 0 ? $0.epoch / Double($0.step) : 0 } ?? 0
        return CurveChart(
            title: title, series, fromZero: fromZero, best: log.last(where: \.best)?.step, epochsPerStep: perStep)
    }

    private func points(_ key: String, _ numbers: (LogLine) -> [String: Double]) -> [CurveChart.Point] {
        log.compactMap { line in numbers(line)[key].map { .init(step: line.step, value: Metric(key).scaled($0)) } }
    }

    // MARK: Pictures and tables

    private var gallery: String {
        guard !pictures.isEmpty else { return "" }
        let figures = pictures.map { picture in
            "<figure><img alt=\"\(HTML.text(picture.caption))\" src=\"data:image/png;base64,"
                + "\(Data(picture.png).base64EncodedString())\"/><figcaption>\(HTML.text(picture.caption))</figcaption>"
                + "</figure>\n"
        }
        let legend = classes.isEmpty ? "" : HTML.legend(classes)
        return "<h2>Pictures</h2>\n\(legend)<div class=\"gallery\">\n\(figures.joined())</div>\n"
    }

    private var validations: String {
        let lines = log.filter { !$0.metrics.isEmpty }
        guard !lines.isEmpty else { return "" }
        let keys = Set(lines.flatMap(\.metrics.keys)).filter { LogLine.className($0) == nil }.sorted()
        let rows = lines.map { line in
            let cells =
                ["\(line.step)", String(format: "%.1f", line.epoch)]
                + keys.map { key in line.metrics[key].map(Metric(key).text) ?? "" }
            return "<tr\(line.best ? " class=\"best\"" : "")>" + cells.map(HTML.cell).joined() + "</tr>\n"
        }
        let head = HTML.head(["step", "epoch"] + keys.map { HTML.text(Metric($0).title) })
        return HTML.details("Validations (each best so far in bold)", HTML.table("", head, rows))
    }

    private var tables: String {
        facts.filter { !$0.rows.isEmpty }.map { heading, rows in
            HTML.details(
                heading,
                HTML.table(
                    "facts", "",
                    rows.map { HTML.row(["<th>\(breakable($0.name))</th>", HTML.cell(HTML.text($0.value))]) }),
                isOpen: true)
        }.joined()
    }

    /// A long name may go on in another line behind a point or an underscore, not within a word.
    private func breakable(_ name: String) -> String {
        HTML.text(name).replacingOccurrences(of: ".", with: ".<wbr/>").replacingOccurrences(of: "_", with: "_<wbr/>")
    }
}

/// How a number of the log is shown.
struct Metric {
    private let key: String

    init(_ key: String) { self.key = key }

    /// Whether it is a share in 0…1, shown in percent.
    var isShare: Bool { ["iou", "accuracy", "top1", "top5"].contains { key.contains($0) } }

    func scaled(_ value: Double) -> Double { isShare ? 100 * value : value }

    /// Counts are whole, and need no decimals.
    func text(_ value: Double) -> String {
        String(format: isShare ? "%.2f" : key.hasPrefix("codes_") ? "%.0f" : "%.4f", scaled(value))
    }

    var title: String {
        let name = (key.hasPrefix("val_") ? String(key.dropFirst(4)) : key).replacingOccurrences(of: "_", with: " ")
            .replacingOccurrences(of: "miou/", with: "mIoU of ").replacingOccurrences(of: "miou", with: "mIoU")
            .replacingOccurrences(of: "top", with: "top-")
        return isShare ? name + ", percent" : name
    }

    /// Its title where it stands by itself.
    var heading: String {
        switch key {
        case "loss": "Training loss"
        case "lr": "Learning rate"
        case "grad_norm": "Gradient norm, before clipping"
        case "images_per_s": "Images per second"
        case "data_wait": "Share of the time spent waiting for data"
        default: key.hasPrefix("val_") ? "Validation: " + title : title
        }
    }
}
