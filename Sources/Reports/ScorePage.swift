import BEiTDatasets
import BEiTImageIO
import BEiTMetrics
import BEiTScoring
import Foundation

/// What was scored, as a report says it.
package struct ScoreSource: Sendable {
    /// A few words for the title.
    package var subject: String
    package var facts: [(name: String, value: String)]

    package init(subject: String, facts: [(name: String, value: String)]) {
        (self.subject, self.facts) = (subject, facts)
    }
}

/// The page `report.html`: one file without scripts or anything from outside. The same scores give the same bytes.
struct ScorePage {
    let report: ScoreReport
    let score: SegmentationScore
    let gallery: ScoreGallery
    private let source: ScoreSource

    package init(
        _ report: ScoreReport, _ score: SegmentationScore, _ gallery: ScoreGallery, _ source: ScoreSource
    ) {
        (self.report, self.score, self.gallery, self.source) = (report, score, gallery, source)
    }

    var html: String {
        HTML.page(
            title: "Segmentation score: \(source.subject)", facts: source.facts + extent,
            content: totals + comparison + classes + matrix + pictures + failures,
            footer: """
                IoU is accumulated over all images, not averaged per image; a class that is neither labelled nor \
                predicted is left out of the means, and void pixels do not count. The interval behind mIoU is a bootstrap \
                over images: its 2.5 and 97.5 percent points.
                """)
    }

    private var extent: [(name: String, value: String)] {
        let failed = report.failed.isEmpty ? "" : ", and \(HTML.count(report.failed.count)) that failed"
        return [
            ("images", HTML.count(report.images) + failed),
            ("pixels", "\(HTML.count(report.pixels)) that count, \(HTML.count(report.ignoredPixels)) void"),
        ]
    }

    // MARK: Totals

    private var totals: String {
        let interval = HTML.range(report.miou.value, report.interval)
        return "<div class=\"tiles\">\n"
            + HTML.tile("mIoU, percent", percent(report.miou.value), interval, style: "wide")
            + HTML.tile("pixel accuracy", percent(report.pixelAccuracy.value))
            + HTML.tile("mean accuracy", percent(report.meanAccuracy.value))
            + HTML.tile("mean Dice", percent(report.meanDice.value))
            + HTML.tile("freq.-weighted IoU", percent(report.frequencyWeightedIoU.value))
            + "</div>\n"
    }

    // MARK: Classes

    private var classes: String {
        let scored = zip(report.classes, score.classes).filter { $0.0.isScored }
        let rows = scored.map { row($0, $1) }
        let strangers = report.strangers.map { "<p class=\"note\">\($0).</p>" } ?? ""
        return """
            <h2>Classes</h2>
            <p class="note">In percent. Accuracy is the share of the class's pixels that were found, precision the share \
            of the pixels predicted as the class that are of it.</p>
            \(strangers)
            \(HTML.table("bars", HTML.head(["class", "", "IoU", "accuracy", "precision", "Dice", "pixels"]), rows))
            """
    }

    private func row(_ c: ScoreReport.Class, _ info: LabelClass) -> String {
        let name = "\(c.index) " + HTML.name(info.name, color: info.color)
        let cells = [name, HTML.bar(c.iou.value), "<b>\(percent(c.iou.value))</b>"]
        let others = [c.accuracy, c.precision, c.dice].map { percent($0.value) }
        return HTML.row((cells + others + [HTML.count(c.pixels)]).map(HTML.cell))
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

    private var failures: String { HTML.failures(report.failed.map(\.reason)) }

    // MARK: Confusion matrix

    private var matrix: String {
        ConfusionSection(score.matrix, score.classes, scored: score.scored, unit: "pixels").html
    }
}
