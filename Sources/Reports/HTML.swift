import BEiTImageIO
import BEiTScoring
import Foundation

/// Pieces of pages. What comes from files and arguments goes through ``text(_:)``.
enum HTML {
    /// `text` for use between tags and in attributes with double quotes; control characters become U+FFFD.
    static func text(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            case "\n", "\t": result.unicodeScalars.append(scalar)
            default:
                let isControl =
                    scalar.value < 32 || (0x7F...0x9F).contains(scalar.value) || scalar.value & 0xFFFE == 0xFFFE
                result.unicodeScalars.append(isControl ? "\u{FFFD}" : scalar)
            }
        }
        return result
    }

    /// Pictures of a few pixels are shown larger.
    static func image(_ picture: Picture, _ description: String) -> String {
        let scale = max(1, 240 / max(picture.width, picture.height))
        return "<img src=\"\(picture.uri)\" width=\"\(scale * picture.width)\" height=\"\(scale * picture.height)\" "
            + "alt=\"\(text(description))\"/>"
    }

    /// A name that is cut off where it is long, with its class's colour before it.
    static func name(_ name: String, color: RGBColor) -> String {
        swatch(color) + "<span class=\"name\" title=\"\(text(name))\">\(text(name))</span>"
    }

    static func swatch(_ color: RGBColor) -> String {
        "<i class=\"swatch\" style=\"background:rgb(\(color.red),\(color.green),\(color.blue))\"></i>"
    }

    /// A bar whose full length is 1.
    static func bar(_ share: Double?, _ style: String = "") -> String {
        "<span class=\"bar \(style)\"><i style=\"width:\(length(share ?? 0))\"></i></span>"
    }

    static func length(_ share: Double) -> String { String(format: "%.2f%%", 100 * share) }

    /// 1234567 as 1,234,567.
    static func count(_ number: Int) -> String {
        var digits = String(number)
        var place = digits.count - 3
        while place > 0 {
            digits.insert(",", at: digits.index(digits.startIndex, offsetBy: place))
            place -= 3
        }
        return digits
    }

    /// A number with so many digits behind the point.
    static func decimal(_ number: Double, _ digits: Int = 1) -> String { String(format: "%.*f", digits, number) }

    static func row(_ cells: [String]) -> String { "<tr>" + cells.joined() + "</tr>\n" }
    static func head(_ cells: [String]) -> String { "<thead>" + row(cells.map { "<th>\($0)</th>" }) + "</thead>\n" }
    static func cell(_ content: String) -> String { "<td>\(content)</td>" }

    /// A part that can be folded away.
    static func details(_ title: String, _ content: String, isOpen: Bool = false) -> String {
        "<details\(isOpen ? " open=\"open\"" : "")><summary>\(text(title))</summary>\n\(content)</details>\n"
    }

    /// Classes with their colours.
    /// - Parameter more: further items.
    static func legend(_ classes: [LabelClass], _ more: String = "") -> String {
        let items = classes.map { "<li>\(swatch($0.color))\(text($0.name))</li>\n" }
        return "<ul class=\"chips\">\n\(items.joined())\(more)</ul>\n"
    }

    /// A table that scrolls by itself where the page is narrower.
    static func table(_ style: String, _ head: String, _ rows: [String]) -> String {
        "<div class=\"scroll\"><table class=\"\(style)\">\n\(head)<tbody>\n\(rows.joined())</tbody></table></div>\n"
    }
}
