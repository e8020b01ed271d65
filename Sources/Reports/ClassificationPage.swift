import BEiTImageIO
import BEiTMetrics
import BEiTScoring
import Foundation

/// The page `report.html` of a classifier. The same scores give the same bytes.
struct ClassificationPage {
    private let report: ClassificationReport
    private let score: ClassificationScore
    private let gallery: ClassificationGallery
    private let source: ScoreSource

    package init(
        _ report: ClassificationReport, _ score: ClassificationScore, _ gallery: ClassificationGallery,
        _ source: ScoreSource
    ) {
        (self.report, self.score, self.gallery, self.source) = (report, score, gallery, source)
    }

    var html: String {
        let failed = report.failed.isEmpty ? "" : ", and \(HTML.count(report.failed.count)) that failed"
        return HTML.page(
            title: "Classification score: \(source.subject)",
            facts: source.facts + [("images", HTML.count(report.images) + failed)],
            content: totals + classes
                + ConfusionSection(score.matrix, score.classes, unit: "images").html + pictures
                + HTML.failures(report.failed.map(\.reason)),
            footer: """
                Top-1 is the share of images whose class is the most probable one, top-5 that of images whose class is \
                among the five most probable; mean accuracy gives each class the same weight. The intervals are a \
                bootstrap over images: its 2.5 and 97.5 percent points.
                """)
    }

    private var totals: String {
        "<div class=\"tiles\">\n"
            + HTML.tile(
                "top-1, percent", percent(report.top1.value), HTML.range(report.top1.value, report.interval),
                style: "wide")
            + HTML.tile(
                "top-5, percent", percent(report.top5.value), HTML.range(report.top5.value, report.top5Interval),
                style: "wide")
            + HTML.tile("mean accuracy", percent(report.meanAccuracy.value))
            + "</div>\n"
    }

    private var classes: String {
        let rows = zip(report.classes, score.classes).map { c, info in
            HTML.row(
                [
                    "\(c.index) " + HTML.name(info.name, color: info.color), HTML.bar(c.accuracy.value),
                    "<b>\(percent(c.accuracy.value))</b>", percent(c.top5.value), percent(c.precision.value),
                    HTML.count(c.images),
                ].map(HTML.cell))
        }
        return """
            <h2>Classes</h2>
            <p class="note">In percent. Top-1 is the share of the class's images that were found, precision the share of \
            the images predicted as the class that are of it.</p>
            \(HTML.table("bars", HTML.head(["class", "", "top-1", "top-5", "precision", "images"]), rows))
            """
    }

    private var pictures: String {
        let groups = [("Surest mistakes", gallery.worst), ("Surest hits", gallery.best)].filter { !$0.1.isEmpty }
        guard !groups.isEmpty else { return "" }
        let sections = groups.map { name, entries in
            "<h3>\(name)</h3>\n<div class=\"cards\">\n\(entries.map(figure).joined())</div>\n"
        }
        return "<h2>Images</h2>\n" + sections.joined()
    }

    private func figure(_ entry: ClassificationGallery.Entry) -> String {
        let image = entry.image
        let (truth, prediction) = (HTML.text(score.classes[image.truth].name), score.classes[image.prediction].name)
        let verdict =
            image.rank == 0
            ? "<b>\(truth)</b>\(share(image.confidence))"
            : "<b>\(HTML.text(prediction))</b>\(share(image.confidence))<br/><span>in truth \(truth): "
                + "\(share(image.truthProbability)), place \(image.rank + 1)</span>"
        let name = (image.path as NSString).lastPathComponent
        return """
            <figure>\(HTML.image(entry.picture, image.path))<figcaption>\(verdict)<br/>\
            <span title="\(HTML.text(image.path))">\(HTML.text(name))</span></figcaption></figure>

            """
    }

    private func share(_ probability: Float) -> String { String(format: "%.1f %%", 100 * Double(probability)) }
}
