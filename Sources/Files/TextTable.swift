/// A table as plain text: columns as wide as their widest cell, a blank between them.
package struct TextTable {
    package enum Alignment: Sendable { case left, right }

    private let alignments: [Alignment]
    private let gap: String
    private var widths: [Int]
    private var rows: [[String]] = []

    /// - Parameters:
    ///   - alignments: one for each column; a row may have fewer cells.
    ///   - widths: the least width of each column, in columns of a terminal.
    ///   - gap: between two columns.
    package init(_ alignments: [Alignment], widths: [Int] = [], gap: String = " ") {
        self.alignments = alignments
        self.gap = gap
        self.widths = alignments.indices.map { $0 < widths.count ? widths[$0] : 0 }
    }

    /// A column of names, and numbers behind it.
    package static func numbers(_ heads: [String]) -> TextTable {
        var table = TextTable(
            heads.indices.map { $0 == 0 ? .left : .right }, widths: heads.indices.map { $0 == 0 ? 5 : 8 })
        table.add(heads)
        return table
    }

    package mutating func add(_ cells: [String]) {
        precondition(cells.count <= alignments.count, "\(cells.count) cells for \(alignments.count) columns")
        for (place, cell) in cells.enumerated() { widths[place] = max(widths[place], cell.terminalColumns) }
        rows.append(cells)
    }

    /// A line for each row; none ends with a blank.
    package var lines: [String] { rows.map(line) }

    /// A row by itself, in the widths so far, for a table that appears row by row.
    package func line(_ cells: [String]) -> String {
        let text = cells.enumerated().map { place, cell in
            let padding = String(repeating: " ", count: max(0, widths[place] - cell.terminalColumns))
            return alignments[place] == .left ? cell + padding : padding + cell
        }.joined(separator: gap)
        return String(text.reversed().drop { $0 == " " }.reversed())
    }
}
