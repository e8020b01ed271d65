import Foundation

/// Rows of comma-separated values (RFC 4180, lines end with a line feed), the first with the columns' names.
package struct CSV {
    package private(set) var text: String

    package init(_ columns: [String]) { text = Self.line(columns) }

    package mutating func add(_ cells: [String]) { text += Self.line(cells) }

    private static func line(_ cells: [String]) -> String { cells.map(quoted).joined(separator: ",") + "\n" }

    private static func quoted(_ cell: String) -> String {
        guard cell.unicodeScalars.contains(where: { ",\"\n\r".unicodeScalars.contains($0) }) else { return cell }
        return "\"" + cell.replacingOccurrences(of: "\"", with: "\"\"") + "\""
    }
}
