import BEiTCheckpoints
import BEiTMetrics

/// What the pages of reports have in common.
extension HTML {
    /// A page in one file, without scripts or anything from outside.
    /// - Parameters:
    ///   - title, facts, footer: plain text.
    ///   - content: sections.
    static func page(
        title: String, facts: [(name: String, value: String)], content: String, footer: String
    ) -> String {
        let title = text(title)
        let facts = facts.map { "<dt>\(text($0.name))</dt><dd>\(text($0.value))</dd>\n" }
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
            \(style)
            </style>
            </head>
            <body>
            <main>
            <h1>\(title)</h1>
            <dl>
            \(facts.joined())</dl>
            \(content)<footer>
            \(text(footer)) Written by beit-seg \(text(beitSegVersion)).
            </footer>
            </main>
            </body>
            </html>

            """
    }

    /// A number in large letters under its name.
    static func tile(_ name: String, _ value: String, _ more: String = "", style: String = "") -> String {
        "<div class=\"tile \(style)\"><span>\(name)</span><b>\(value)</b>\(more)</div>\n"
    }

    /// A score's bar and interval, for a tile.
    static func range(_ score: Double?, _ interval: ClosedRange<Double>?) -> String {
        guard let score, let interval else { return "" }
        let width = length(interval.upperBound - interval.lowerBound)
        return "<div class=\"range\"><i style=\"width:\(length(score))\"></i>"
            + "<u style=\"left:\(length(interval.lowerBound));width:\(width)\"></u></div>"
            + "<span>95 %: \(percent(interval.lowerBound)) to \(percent(interval.upperBound))</span>"
    }

    /// What failed, a reason each.
    static func failures(_ reasons: [String], of things: String = "Images") -> String {
        guard !reasons.isEmpty else { return "" }
        let items = reasons.map { "<li>\(text($0))</li>\n" }
        return "<h2>\(things) that failed</h2>\n<ul class=\"failed\">\n\(items.joined())</ul>\n"
    }
}
