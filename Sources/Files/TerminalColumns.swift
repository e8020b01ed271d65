extension Character {
    /// Columns that a terminal takes for it: 2 for wide characters (Unicode's East Asian Width W and F, pictographs), 0 for
    /// marks that stand alone and for controls, else 1.
    package var terminalColumns: Int {
        guard let first = unicodeScalars.first else { return 0 }
        if first.value < 0x20 || (0x7F..<0xA0).contains(first.value) { return 0 }
        if unicodeScalars.contains(where: { $0.value == 0xFE0F || Self.isWide($0.value) }) { return 2 }
        return first.properties.generalCategory == .nonspacingMark || first.properties.generalCategory == .format
            ? 0 : 1
    }

    private static func isWide(_ value: UInt32) -> Bool {
        value >= 0x1100 && wide.contains { $0.contains(value) }
    }

    /// Blocks, not single characters: what is not assigned within them does not occur.
    private static let wide: [ClosedRange<UInt32>] = [
        0x1100...0x115F, 0x231A...0x231B, 0x23E9...0x23EC, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF,
        0x4E00...0xA4CF, 0xA960...0xA97C, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60,
        0xFFE0...0xFFE6, 0x17000...0x18CFF, 0x1B000...0x1B2FF, 0x1F1E6...0x1F1FF, 0x1F300...0x1F64F,
        0x1F680...0x1F6FF, 0x1F900...0x1FAFF, 0x20000...0x3FFFD,
    ]
}

extension String {
    /// Columns that a terminal takes for it.
    package var terminalColumns: Int { reduce(0) { $0 + $1.terminalColumns } }

    /// The beginning that fits into `columns` of a terminal, with … where something is left out.
    package func truncated(toColumns columns: Int) -> String {
        guard terminalColumns > columns else { return self }
        var (result, used) = ("", 0)
        for character in self {
            used += character.terminalColumns
            if used > columns - 1 { break }
            result.append(character)
        }
        return columns > 0 ? result + "…" : ""
    }
}
