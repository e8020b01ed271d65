import Checkpoints
import Datasets
import Foundation

/// What was scored, as a report says it.
public struct ScoreSource: Sendable {
    /// A few words for the title.
    public var subject: String
    public var facts: [(name: String, value: String)]

    public init(subject: String, facts: [(name: String, value: String)]) {
        (self.subject, self.facts) = (subject, facts)
    }
}

/// The page `report.html`: one file without scripts or anything from outside. The same scores give the same bytes.
struct ScorePage {
    let report: ScoreReport
    let score: SegmentationScore
    let gallery: ScoreGallery
    private let source: ScoreSource
    private let confusion: Picture

    /// Up to so many classes the confusion matrix is a table, beyond it is a picture.
    static let tabledClasses = 40

    init(
        _ report: ScoreReport, _ score: SegmentationScore, _ gallery: ScoreGallery, _ source: ScoreSource,
        confusion: Picture
    ) {
        (self.report, self.score, self.gallery) = (report, score, gallery)
        (self.source, self.confusion) = (source, confusion)
    }

    var html: String {
        let title = HTML.text("Segmentation score: \(source.subject)")
        let facts = (source.facts + extent).map {
            "<dt>\(HTML.text($0.name))</dt><dd>\(HTML.text($0.value))</dd>\n"
        }
        return """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8"/>
            <meta name="viewport" content="width=device-width, initial-scale=1"/>
            <meta name="color-scheme" content="light dark"/>
            <link rel="icon" href="data:,"/>
            <title>\(title)</title>
            <style>
            \(Self.style)
            </style>
            </head>
            <body>
            <main>
            <h1>\(title)</h1>
            <dl>
            \(facts.joined())</dl>
            \(totals)\(comparison)\(classes)\(matrix)\(pictures)\(failures)<footer>
            IoU is accumulated over all images, not averaged per image; a class that is neither labelled nor predicted is \
            left out of the means, and void pixels do not count. The interval behind mIoU is a bootstrap over images: \
            its 2.5 and 97.5 percent points. Written by beit-seg \(HTML.text(beitSegVersion)).
            </footer>
            </main>
            </body>
            </html>

            """
    }

    private var extent: [(name: String, value: String)] {
        let failed = report.failed.isEmpty ? "" : ", and \(HTML.count(report.failed.count)) that failed"
        return [
            ("images", HTML.count(report.images) + failed),
            ("pixels", "\(HTML.count(report.pixels)) that count, \(HTML.count(report.ignoredPixels)) void"),
        ]
    }

    // MARK: Totals

    private func tile(_ name: String, _ value: String, _ more: String = "", style: String = "") -> String {
        "<div class=\"tile \(style)\"><span>\(name)</span><b>\(value)</b>\(more)</div>\n"
    }

    private var totals: String {
        var interval = ""
        if let range = report.interval, let miou = report.miou.value {
            let width = HTML.length(range.upperBound - range.lowerBound)
            interval =
                "<div class=\"range\"><i style=\"width:\(HTML.length(miou))\"></i>"
                + "<u style=\"left:\(HTML.length(range.lowerBound));width:\(width)\"></u></div>"
                + "<span>95 %: \(percent(range.lowerBound)) to \(percent(range.upperBound))</span>"
        }
        return "<div class=\"tiles\">\n"
            + tile("mIoU, percent", percent(report.miou.value), interval, style: "wide")
            + tile("pixel accuracy", percent(report.pixelAccuracy.value))
            + tile("mean accuracy", percent(report.meanAccuracy.value))
            + tile("mean Dice", percent(report.meanDice.value))
            + tile("freq.-weighted IoU", percent(report.frequencyWeightedIoU.value))
            + "</div>\n"
    }

    // MARK: Classes

    private var classes: String {
        let rows = zip(report.classes, score.classes).map { c, info in
            HTML.row(
                [
                    "\(c.index) " + HTML.name(info.name, color: info.color), HTML.bar(c.iou.value),
                    "<b>\(percent(c.iou.value))</b>",
                ]
                .map(HTML.cell)
                    + [c.accuracy, c.precision, c.dice].map { HTML.cell(percent($0.value)) }
                    + [HTML.cell(HTML.count(c.pixels))])
        }
        return """
            <h2>Classes</h2>
            <p class="note">In percent. Accuracy is the share of the class's pixels that were found, precision the share \
            of the pixels predicted as the class that are of it.</p>
            \(HTML.table("bars", HTML.head(["class", "", "IoU", "accuracy", "precision", "Dice", "pixels"]), rows))
            """
    }

    // MARK: Comparison

    private var comparison: String {
        guard let comparison = report.comparison else { return "" }
        let keys =
            "<i class=\"key\"></i>A: \(HTML.text(comparison.model))<br/>"
            + "<i class=\"key b\"></i>B: \(HTML.text(comparison.other))"
        func row(_ name: String, _ first: Double?, _ second: Double?) -> String {
            let difference = ScoreComparison.difference(first, second)
            return HTML.row(
                [name, HTML.bar(first) + HTML.bar(second, "b"), percent(first), percent(second)].map(HTML.cell)
                    + [HTML.cell("<b>\(signedPercent(difference))</b>")])
        }
        let totals = comparison.rows.map { row(HTML.text($0.name), $0.first, $0.second) }
        let classes = comparison.classes.map {
            row(
                "\($0.index) " + HTML.name($0.name, color: score.classes[$0.index].color), $0.iou.value,
                $0.otherIoU.value)
        }
        let columns = ["", "A", "B", "B − A"]
        return """
            <h2>Comparison</h2>
            <p>\(keys)</p>
            <p>\(HTML.text(comparison.verdict)).</p>
            <p class="note">A paired bootstrap: both models are scored on the same draws of the images.</p>
            \(HTML.table("bars", HTML.head(["totals"] + columns), totals))
            <h3>IoU of each class</h3>
            \(HTML.table("bars", HTML.head(["class"] + columns), classes))
            """
    }

    // MARK: Failures

    private var failures: String {
        guard !report.failed.isEmpty else { return "" }
        let items = report.failed.map { "<li>\(HTML.text($0.reason))</li>\n" }
        return "<h2>Images that failed</h2>\n<ul class=\"failed\">\n\(items.joined())</ul>\n"
    }

    // MARK: Confusion matrix

    private var matrix: String {
        let table = score.classes.count <= Self.tabledClasses
        return """
            <h2>Confusion matrix</h2>
            <p class="note">A row is a true class, a column a predicted one; a cell is the share of the row's pixels, in \
            percent.\(table ? "" : " Indices are those of the table above; the darker, the larger the share.")</p>
            \(table ? confusionTable : "<div class=\"scroll\">\(HTML.image(confusion, "confusion matrix"))</div>")
            \(confusions)
            """
    }

    private var confusionTable: String {
        let columns = score.classes.enumerated().map { k, info in
            "<span title=\"\(HTML.text(info.name))\">\(HTML.swatch(info.color))\(k)</span>"
        }
        let totals = score.matrix.totals
        let rows = score.classes.enumerated().map { truth, info in
            HTML.row(
                [HTML.cell("\(truth) " + HTML.name(info.name, color: info.color))]
                    + score.classes.indices.map { confusionCell(truth, $0, of: totals.labelled[truth]) })
        }
        return HTML.table("matrix", HTML.head(["true class"] + columns), rows)
    }

    private func confusionCell(_ truth: Int, _ prediction: Int, of all: Int) -> String {
        let pixels = score.matrix[truth, prediction]
        guard all > 0, pixels > 0 else { return "<td class=\"none\">\(all > 0 ? "·" : "–")</td>" }
        let share = Double(pixels) / Double(all)
        let title = "\(score.classes[truth].name) as \(score.classes[prediction].name): \(HTML.count(pixels)) pixels"
        let shade = ConfusionPicture.shade(share)
        return "<td\(shade > 0.6 ? " class=\"hot\"" : "") style=\"background:rgba(var(--cell),"
            + String(format: "%.3f", shade) + ")\" title=\"\(HTML.text(title))\">"
            + String(format: "%.1f", 100 * share) + "</td>"
    }

    /// The pairs of classes that are confused on the most pixels.
    private var confusions: String {
        let matrix = score.matrix
        let totals = matrix.totals
        let pairs = matrix.counts.indices.filter {
            $0 / matrix.classes != $0 % matrix.classes && matrix.counts[$0] > 0
        }
        let largest = pairs.sorted { (-matrix.counts[$0], $0) < (-matrix.counts[$1], $1) }.prefix(8)
        guard !largest.isEmpty else { return "" }
        let rows = largest.map { place in
            let (truth, prediction) = (score.classes[place / matrix.classes], score.classes[place % matrix.classes])
            let share = Double(matrix.counts[place]) / Double(totals.labelled[place / matrix.classes])
            return HTML.row(
                [
                    HTML.name(truth.name, color: truth.color), HTML.name(prediction.name, color: prediction.color),
                    percent(share), HTML.count(matrix.counts[place]),
                ].map(HTML.cell))
        }
        return "<h3>Most confused</h3>\n"
            + HTML.table("pairs", HTML.head(["true class", "taken for", "% of the class", "pixels"]), rows)
    }
}
