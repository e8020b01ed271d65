import BEiTImageIO
import BEiTScoring
import BEiTMetrics
import BEiTDatasets
import Foundation

/// The part of a page that shows what was taken for what.
struct ConfusionSection {
    private let matrix: ConfusionMatrix
    private let classes: [LabelClass]
    /// What is counted: pixels, images.
    private let unit: String
    private let picture: Picture
    /// Whether the labels know the class.
    private let scored: [Bool]

    /// Up to so many classes the confusion matrix is a table, beyond it is a picture.
    static let tabledClasses = 40

    /// - Parameter scored: whether the labels know the class; nil: all.
    package init(
        _ matrix: ConfusionMatrix, _ classes: [LabelClass], scored: [Bool]? = nil, unit: String, picture: Picture
    ) {
        (self.matrix, self.classes, self.unit, self.picture) = (matrix, classes, unit, picture)
        self.scored = scored ?? classes.map { _ in true }
    }

    var html: String {
        let isTable = classes.count <= Self.tabledClasses
        return """
            <h2>Confusion matrix</h2>
            <p class="note">A row is a true class, a column a predicted one; a cell is the share of the row's \(unit), in \
            percent.\(isTable ? "" : " Indices are those of the table above; the darker, the larger the share.")</p>
            \(isTable ? table : "<div class=\"scroll\">\(HTML.image(picture, "confusion matrix"))</div>")
            \(confusions)
            """
    }

    private var table: String {
        let columns = classes.enumerated().map { k, info in
            "<span title=\"\(HTML.text(info.name))\">\(HTML.swatch(info.color))\(k)</span>"
        }
        let totals = matrix.totals
        let rows = classes.enumerated().filter { scored[$0.offset] }.map { truth, info in
            HTML.row(
                [HTML.cell("\(truth) " + HTML.name(info.name, color: info.color))]
                    + classes.indices.map { cell(truth, $0, of: totals.labelled[truth]) })
        }
        return HTML.table("matrix", HTML.head(["true class"] + columns), rows)
    }

    private func cell(_ truth: Int, _ prediction: Int, of all: Int) -> String {
        let count = matrix[truth, prediction]
        guard all > 0, count > 0 else { return "<td class=\"none\">\(all > 0 ? "·" : "–")</td>" }
        let share = Double(count) / Double(all)
        let title = "\(classes[truth].name) as \(classes[prediction].name): \(HTML.count(count)) \(unit)"
        let shade = ConfusionPicture.shade(share)
        return "<td\(shade > 0.6 ? " class=\"hot\"" : "") style=\"background:rgba(var(--cell),"
            + String(format: "%.3f", shade) + ")\" title=\"\(HTML.text(title))\">"
            + String(format: "%.1f", 100 * share) + "</td>"
    }

    /// The pairs of classes that are confused most often.
    private var confusions: String {
        let totals = matrix.totals
        let pairs = matrix.entries.filter { $0.truth != $0.prediction && $0.count > 0 }
        let largest = pairs.sorted { (-$0.count, $0.truth, $0.prediction) < (-$1.count, $1.truth, $1.prediction) }
        guard !largest.isEmpty else { return "" }
        let rows = largest.prefix(8).map { pair in
            let (truth, prediction) = (classes[pair.truth], classes[pair.prediction])
            let share = Double(pair.count) / Double(totals.labelled[pair.truth])
            return HTML.row(
                [
                    HTML.name(truth.name, color: truth.color), HTML.name(prediction.name, color: prediction.color),
                    percent(share), HTML.count(pair.count),
                ].map(HTML.cell))
        }
        return "<h3>Most confused</h3>\n"
            + HTML.table("pairs", HTML.head(["true class", "taken for", "% of the class", unit]), rows)
    }
}
