import BEiTFiles
import Foundation

extension ClassInfo {
    /// Pascal VOC's color of class `index`: the bits of the index, spread over red, green and blue from the highest.
    package static func standardColor(_ index: Int) -> [UInt8] {
        var color: [UInt8] = [0, 0, 0]
        for bit in 0..<8 {
            for channel in 0..<3 where index >> (3 * bit + channel) & 1 == 1 { color[channel] |= 0x80 >> UInt8(bit) }
        }
        return color
    }

    /// Classes whose names nobody has told.
    package static func unnamed(_ count: Int) -> [ClassInfo] {
        (0..<count).map { ClassInfo(name: "class \($0)", color: standardColor($0)) }
    }

    /// Reads a list of classes, one `name R G B` or `name` a line in the order of their indices; empty lines and lines
    /// that begin with `#` do not count.
    ///
    /// Throws ``ImportError/badClasses(file:reason:)``, or `FileError` where the file cannot be read.
    package static func list(_ file: String) throws -> [ClassInfo] {
        guard let data = FileManager.default.contents(atPath: file) else { throw FileError.system(file, doing: "read") }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw ImportError.badClasses(file: file, reason: "it is no text in UTF-8")
        }
        var classes: [ClassInfo] = []
        for line in text.split(whereSeparator: \.isNewline) where !line.hasPrefix("#") {
            let words = line.split(whereSeparator: \.isWhitespace)
            guard !words.isEmpty else { continue }
            let color = words.suffix(3).compactMap { UInt8($0) }
            let isColored = words.count > 3 && color.count == 3
            let name = words.dropLast(isColored ? 3 : 0).joined(separator: " ")
            classes.append(ClassInfo(name: name, color: isColored ? color : standardColor(classes.count)))
        }
        guard !classes.isEmpty else { throw ImportError.badClasses(file: file, reason: "there is no class in it") }
        return classes
    }
}
