import BEiTImageIO
import BEiTReports
import BEiTMetrics
import BEiTCheckpoints
import BEiTFiles
import Foundation

/// `report.html`: the curves of a run, what it learned with, and pictures. One file, without links to others.
struct RunReport {
    var title: String
    var steps: Int
    /// Lines of `log.jsonl`.
    var log: [LogLine]
    /// Tables of what the run is made of.
    var facts: [(heading: String, rows: [(name: String, value: String)])]
    var classes: [LabelClass] = []
    var pictures: [ReportPicture] = []

    var html: String {
        let body = [header, charts, gallery, validations, tables].filter { !$0.isEmpty }
        return """
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>\(escaped(title))</title>
            <style>\(RunReport.style)</style></head><body><main>
            \(body.joined(separator: "\n"))
            </main></body></html>

            """
    }

    // MARK: Parts

    private var header: String {
        let last = log.last
        var lines = ["step \(last?.step ?? 0) of \(steps), epoch \(String(format: "%.1f", last?.epoch ?? 0))"]
        if let best = log.last(where: \.best) {
            let metrics = best.metrics.sorted { $0.key < $1.key }.map { "\(metric($0.key)) \(fixed($0.value))" }
            lines.append("best after step \(best.step): " + metrics.joined(separator: ", "))
        }
        return "<h1>\(escaped(title))</h1>\n" + lines.map { "<p>\(escaped($0))</p>" }.joined(separator: "\n")
    }

    private var charts: String {
        let perStep = log.last.map { $0.step > 0 ? $0.epoch / Double($0.step) : 0 } ?? 0
        let best = log.last(where: \.best)?.step
        let curve = { (key: String, ofValidation: Bool) in
            CurveChart(
                title: name(key, ofValidation: ofValidation),
                points: log.compactMap { line in
                    (ofValidation ? line.metrics : line.values)[key].map { .init(step: line.step, value: $0) }
                }, kind: ofValidation ? .marked : key == "lr" ? .smooth : .noisy, best: ofValidation ? best : nil,
                epochsPerStep: perStep)
        }
        let known = ["loss", "lr", "grad_norm", "images_per_s"]
        let others = Set(log.flatMap(\.values.keys)).subtracting(known).sorted()
        let metrics = Set(log.flatMap(\.metrics.keys)).sorted()
        let curves =
            [curve("loss", false)] + metrics.map { curve($0, true) } + others.map { curve($0, false) }
            + known.dropFirst().map { curve($0, false) }
        let figures = curves.compactMap { curve in
            curve.svg.map { "<figure><figcaption>\(escaped(curve.title))</figcaption>\n\($0)</figure>" }
        }
        return figures.isEmpty ? "" : "<section class=\"charts\">\n\(figures.joined(separator: "\n"))\n</section>"
    }

    private var gallery: String {
        guard !pictures.isEmpty else { return "" }
        let figures = pictures.map { picture in
            "<figure><img alt=\"\(escaped(picture.caption))\" src=\"data:image/png;base64,"
                + "\(Data(picture.png).base64EncodedString())\"><figcaption>\(escaped(picture.caption))</figcaption></figure>"
        }
        let legend = classes.map { one in
            let color = "\(one.color.red) \(one.color.green) \(one.color.blue)"
            return "<li><i style=\"background:rgb(\(color))\"></i>\(escaped(one.name))</li>"
        }
        return "<h2>Pictures</h2>\n" + (legend.isEmpty ? "" : "<ul class=\"legend\">\(legend.joined())</ul>\n")
            + "<section class=\"pictures\">\n\(figures.joined(separator: "\n"))\n</section>"
    }

    private var validations: String {
        let lines = log.filter { !$0.metrics.isEmpty }
        guard !lines.isEmpty else { return "" }
        let keys = Set(lines.flatMap(\.metrics.keys)).sorted()
        let head = ["step", "epoch"] + keys.map(metric)
        let rows = lines.map { line in
            let cells =
                ["\(line.step)", String(format: "%.1f", line.epoch)]
                + keys.map { key in line.metrics[key].map(fixed) ?? "" }
            return "<tr\(line.best ? " class=\"best\"" : "")>" + cells.map { "<td>\($0)</td>" }.joined() + "</tr>"
        }
        return
            "<details><summary>Validations (each best so far in bold)</summary><div class=\"scroll\"><table class=\"numbers\">"
            + "<tr>\(head.map { "<th>\(escaped($0))</th>" }.joined())</tr>\n\(rows.joined(separator: "\n"))</table></div></details>"
    }

    private var tables: String {
        facts.filter { !$0.rows.isEmpty }.map { heading, rows in
            let lines = rows.map { "<tr><th>\(breakable($0.name))</th><td>\(escaped($0.value))</td></tr>" }
            return
                "<details open=\"open\"><summary>\(escaped(heading))</summary><table>\(lines.joined(separator: "\n"))</table></details>"
        }.joined(separator: "\n")
    }

    /// A long name may go on in another line behind a point or an underscore, not within a word.
    private func breakable(_ name: String) -> String {
        escaped(name).replacingOccurrences(of: ".", with: ".<wbr/>").replacingOccurrences(of: "_", with: "_<wbr/>")
    }

    private func name(_ key: String, ofValidation: Bool) -> String {
        switch key {
        case "loss": "Training loss"
        case "lr": "Learning rate"
        case "grad_norm": "Gradient norm, before clipping"
        case "images_per_s": "Images per second"
        case _ where key.hasPrefix("val_") || ofValidation: "Validation: " + metric(key)
        default: key.replacingOccurrences(of: "_", with: " ")
        }
    }

    private func metric(_ key: String) -> String {
        (key.hasPrefix("val_") ? String(key.dropFirst(4)) : key).replacingOccurrences(of: "_", with: " ")
            .replacingOccurrences(of: "miou", with: "mIoU")
    }

    private func fixed(_ value: Double) -> String { String(format: "%.4f", value) }

    private static let style = """
        :root{color-scheme:light dark;--ink:#1b1f24;--soft:#5b6470;--page:#fff;--card:#f5f6f8;--grid:#dde1e6;--line:#1f6feb;--mark:#c2410c}
        @media(prefers-color-scheme:dark){:root{--ink:#e8eaed;--soft:#a0a8b3;--page:#15181c;--card:#1e2227;--grid:#333941;--line:#6ea8fe;--mark:#fb923c}}
        body{margin:0;background:var(--page);color:var(--ink);font:16px/1.45 system-ui,sans-serif}
        main{max-width:72rem;margin:0 auto;padding:1rem}
        h1{font-size:1.4rem;margin:.2rem 0;overflow-wrap:anywhere}h2{font-size:1.1rem}p{margin:.2rem 0;color:var(--soft)}
        .charts,.pictures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,21rem),1fr));gap:1rem;margin:1rem 0}
        .pictures{grid-template-columns:repeat(auto-fit,minmax(min(100%,30rem),1fr))}
        figure{margin:0;background:var(--card);border-radius:.5rem;padding:.6rem}figcaption{font-weight:600;overflow-wrap:anywhere}
        .pictures figcaption{font-weight:400;color:var(--soft);font-size:.85rem}
        svg,img{width:100%;height:auto;display:block}svg text{font-size:11px;fill:var(--soft)}
        .grid{stroke:var(--grid)}.curve,.raw{fill:none;stroke:var(--line);stroke-width:2;stroke-linejoin:round}
        .raw{stroke-width:1;opacity:.35}.dot{fill:var(--line)}.best{fill:var(--mark)}
        .legend{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:.3rem 1rem}.legend i{display:inline-block;width:.9em;height:.9em;margin-right:.35em;vertical-align:-.1em;border:1px solid var(--grid)}
        details{margin:.8rem 0}summary{font-weight:600;cursor:pointer}.scroll{overflow-x:auto}
        table{border-collapse:collapse;font-size:.9rem}th,td{text-align:left;padding:.15rem .8rem .15rem 0;vertical-align:top;font-weight:400;overflow-wrap:anywhere}
        th{color:var(--soft)}details th{white-space:nowrap}@media(max-width:600px){details>table th{white-space:normal;min-width:9rem}}tr.best td{font-weight:700}.numbers td,.numbers th{font-variant-numeric:tabular-nums;white-space:nowrap}
        """
}

/// A line of `log.jsonl`: of a step, with numbers by name, or of a validation, with metrics.
struct LogLine: Decodable {
    var step: Int
    var epoch: Double
    var values: [String: Double] = [:]
    var metrics: [String: Double] = [:]
    var best = false

    private struct Key: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    /// Numbers that are no curve.
    private static let places: Set<String> = ["step", "steps", "epoch", "seconds_left", "best", "metrics"]

    init(from decoder: any Decoder) throws {
        let line = try decoder.container(keyedBy: Key.self)
        step = try line.decode(Int.self, forKey: Key(stringValue: "step"))
        epoch = try line.decodeIfPresent(Double.self, forKey: Key(stringValue: "epoch")) ?? 0
        let counted = try line.decodeIfPresent([String: Double].self, forKey: Key(stringValue: "metrics")) ?? [:]
        let validated = try line.decodeIfPresent(Bool.self, forKey: Key(stringValue: "best"))
        best = validated ?? false
        // A step may count something beside the loss.
        if validated == nil { values = counted } else { metrics = counted }
        for key in line.allKeys where !LogLine.places.contains(key.stringValue) {
            values[key.stringValue] = try? line.decode(Double.self, forKey: key)
        }
    }

    /// The lines of a log that can be read.
    static func read(_ path: String) -> [LogLine] {
        let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").compactMap {
            try? JSONText.decode(LogLine.self, from: $0.utf8, of: path)
        }
    }
}

/// A value's parts by name, for people: `optimizer.beta` for what is inside another.
func listing(_ value: some Encodable) throws -> [(name: String, value: String)] {
    try JSONText.decode(Tree.self, from: JSONText.line(value).utf8, of: "settings").rows(below: "")
}

private indirect enum Tree: Decodable {
    case leaf(String)
    case list([Tree])
    case object([String: Tree])

    init(from decoder: any Decoder) throws {
        if let object = try? [String: Tree](from: decoder) {
            self = .object(object)
        } else if let list = try? [Tree](from: decoder) {
            self = .list(list)
        } else {
            let value = try decoder.singleValueContainer()
            let whole =
                (try? value.decode(Int.self)).map { "\($0)" } ?? (try? value.decode(UInt64.self)).map { "\($0)" }
            self = .leaf(
                (try? value.decode(Bool.self)).map { $0 ? "yes" : "no" } ?? whole
                    ?? (try? value.decode(Double.self)).map { "\($0)" } ?? (try? value.decode(String.self)) ?? "none")
        }
    }

    func rows(below name: String) -> [(name: String, value: String)] {
        switch self {
        case .leaf(let text): [(name, text)]
        case .list(let parts):
            [
                (
                    name,
                    parts.flatMap { $0.rows(below: "") }.map { $0.name.isEmpty ? $0.value : "\($0.name) \($0.value)" }
                        .joined(separator: ", ")
                )
            ]
        case .object(let parts):
            parts.isEmpty && !name.isEmpty
                ? [(name, "yes")]
                : parts.sorted { $0.key < $1.key }.flatMap {
                    $0.value.rows(below: name.isEmpty ? $0.key : "\(name).\($0.key)")
                }
        }
    }
}
