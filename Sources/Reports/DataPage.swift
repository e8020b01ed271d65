import BEiTDatasets
import BEiTFiles
import BEiTImageIO
import BEiTScoring
import Foundation

/// The page of a data set: what ``DatasetSurvey`` found, and some of its photos beside their masks.
package struct DataPage {
    private let survey: DatasetSurvey
    private let folders: [String]
    private let sheet: RGBImage?

    package init(_ survey: DatasetSurvey, folders: [String], sheet: RGBImage?) {
        (self.survey, self.folders, self.sheet) = (survey, folders, sheet)
    }

    /// Throws where the sheet cannot be encoded.
    package func html() throws -> String {
        let facts = survey.splits.map { (name: $0.name ?? "photos", value: extent($0)) }
        return HTML.page(
            title: "Data: \(folders.joined(separator: ", "))",
            facts: survey.mapping.map { (name: "labels", value: $0) } + facts,
            content: oddities + classes + (try pictures) + leaks
                + HTML.failures(survey.failed.map { "\($0.image): \($0.reason)" }, of: "Photos"),
            footer: "Shares are of the pixels that count; void pixels do not.")
    }

    private func extent(_ split: DatasetSurvey.Split) -> String {
        let sizes = split.sizes.prefix(3).map { "\($0.width)×\($0.height) (\($0.images))" }
        let more = split.sizes.count > 3 ? " and \(split.sizes.count - 3) more sizes" : ""
        return "\(split.pairs.count.counted("photo")), " + sizes.joined(separator: ", ") + more
    }

    private var oddities: String {
        let lines = survey.oddities + survey.notes.filter(\.isWarning).map(\.text)
        guard !lines.isEmpty else { return "<h2>Odd</h2>\n<p class=\"note\">Nothing.</p>\n" }
        return "<h2>Odd</h2>\n<ul class=\"failed\">\n" + lines.map { "<li>\(HTML.text($0))</li>\n" }.joined()
            + "</ul>\n"
    }

    private var classes: String {
        let heads =
            ["class"]
            + survey.splits.flatMap { split in
                let name = HTML.text(split.name.map { $0 + ": " } ?? "")
                return ["\(name)share of the pixels", "", "\(name)photos"]
            }
        let rows = survey.classes.enumerated().map { index, info in
            let name = "\(index) " + HTML.name(info.name, color: info.color)
            let cells = survey.splits.flatMap { split in
                let share = split.share(of: index)
                return [HTML.decimal(100 * share, 2) + " %", HTML.bar(share), HTML.count(split.images[index])]
            }
            return HTML.row(([name] + cells).map(HTML.cell))
        }
        return "<h2>Classes</h2>\n" + HTML.table("", HTML.head(heads), rows)
    }

    private var pictures: String {
        get throws {
            guard let sheet else { return "" }
            return "<h2>Photos and masks</h2>\n<div class=\"gallery\"><figure>"
                + HTML.image(try Picture(jpeg: sheet), "photos beside their masks") + "</figure></div>\n"
        }
    }

    private var leaks: String {
        guard !survey.twins.isEmpty else { return "" }
        let most = 100
        let rows = survey.twins.prefix(most).map { twins in
            let names = zip([twins.first, twins.second], twins.splits ?? ["", ""]).map { path, split in
                HTML.text(split.isEmpty ? path.shown : "\(split): \(path.shown)")
            }
            let kind = twins.distance.map { "\($0) of 128 bits differ" } ?? "the same file"
            return HTML.row((names + [kind]).map(HTML.cell))
        }
        let more = survey.twins.count > most ? "<p class=\"note\">and \(survey.twins.count - most) more</p>\n" : ""
        return "<h2>Photos that belong on one side</h2>\n"
            + HTML.table("facts", HTML.head(["photo", "photo", "why"]), rows) + more
    }
}
