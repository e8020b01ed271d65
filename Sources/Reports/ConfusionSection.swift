import BEiTImageIO
import BEiTMetrics
import Foundation

/// The part of a page that shows what was taken for what.
struct ConfusionSection {
    private let matrix: ConfusionMatrix
    private let cells: ConfusionCells
    private let classes: [LabelClass]
    /// What is counted: pixels, images.
    private let unit: String
    /// Whether the labels know the class.
    private let scored: [Bool]

    /// Up to so many classes that occur the confusion matrix is a table, beyond it is a picture.
    static let tabledClasses = 40

    /// - Parameter scored: whether the labels know the class; nil: all.
    init(_ matrix: ConfusionMatrix, _ classes: [LabelClass], scored: [Bool]? = nil, unit: String) {
        (self.matrix, self.classes, self.unit) = (matrix, classes, unit)
        self.scored = scored ?? classes.map { _ in true }
        cells = ConfusionCells(matrix)
    }

    var html: String {
        let isTable = cells.shown.count <= Self.tabledClasses
        let absent = classes.count - cells.occurring
        let rest = absent == 0 ? "" : " \(absent) of the \(classes.count) classes are neither labelled nor predicted."
        let most = cells.shown.count == cells.occurring ? "" : " Shown are the \(cells.shown.count) commonest classes."
        return """
            <h2>Confusion matrix</h2>
            <p class="note">A row is a true class, a column a predicted one; a cell is the share of the row's \(unit)\
            \(isTable ? ", in percent." : ": the darker, the larger.")\(rest)\(most)</p>
            \(isTable ? table : "<div class=\"scroll\">\(ConfusionDrawing(cells, classes).svg)</div>")
            \(confusions)
            """
    }

    private var table: String {
        let columns = cells.shown.map { index in
            "<th class=\"up\"><span>\(HTML.swatch(classes[index].color))\(HTML.text(classes[index].name))</span></th>"
        }
        let rows = cells.shown.indices.filter { scored[cells.shown[$0]] }.map { row in
            let info = classes[cells.shown[row]]
            return HTML.row(
                [HTML.cell(HTML.name(info.name, color: info.color))] + cells.shown.indices.map { cell(row, $0) })
        }
        let head = "<thead>" + HTML.row(["<th>true class</th>"] + columns) + "</thead>\n"
        return HTML.table("matrix", head, rows)
    }

    private func cell(_ row: Int, _ column: Int) -> String {
        guard let share = cells.share(row, column), share > 0 else {
            return "<td class=\"none\">\(cells.share(row, column) == nil ? "–" : "·")</td>"
        }
        let (truth, prediction) = (classes[cells.shown[row]].name, classes[cells.shown[column]].name)
        let title = "\(truth) as \(prediction): \(HTML.count(cells.count(row, column))) \(unit)"
        let shade = ConfusionCells.shade(share)
        return "<td\(shade > 0.6 ? " class=\"hot\"" : "") style=\"background:rgba(var(--cell),"
            + HTML.decimal(shade, 3) + ")\" title=\"\(HTML.text(title))\">" + HTML.decimal(100 * share) + "</td>"
    }

    /// The pairs of classes that are confused most often.
    private var confusions: String {
        let totals = cells.totals
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
