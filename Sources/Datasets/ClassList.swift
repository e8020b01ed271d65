import Foundation
import BEiTImageIO

/// The classes of a data set, in the order of their indices.
package enum ClassList {
    /// Reads `classes.txt`: a line `name R G B` for each class; the colour may be left out, a name may contain spaces,
    /// and empty lines and lines that begin with `#` do not count. Throws ``DatasetError``.
    ///
    /// - Parameter repeating: whether several classes may have one name (ImageNet has two kinds of crane).
    package static func read(_ path: String, repeating: Bool = false) throws -> [LabelClass] {
        let text = try readText(path, of: "class list")
        var result: [LabelClass] = []
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let words = line.split(whereSeparator: \.isWhitespace).map(String.init)
            guard let first = words.first, !first.hasPrefix("#") else { continue }
            let numbers = words.count > 3 ? words.suffix(3).compactMap(UInt8.init) : []
            let color = numbers.count == 3 ? numbers : []
            // One number may belong to the name (`lane 2`); more are a colour that is not right.
            guard color.count == 3 || words.count(where: { Int($0.trimming(",;")) != nil }) < 2 else {
                throw DatasetError(
                    .invalid, path: path,
                    reason: "line \(number + 1) `\(line)` is not `name R G B` with values 0 to 255")
            }
            let name = words.dropLast(color.count).joined(separator: " ")
            result.append(
                LabelClass(
                    name: name,
                    color: color.count == 3 ? RGBColor(color[0], color[1], color[2]) : ColorMap.color(result.count)))
        }
        guard !result.isEmpty else { throw DatasetError(.invalid, path: path, reason: "names no class") }
        guard !repeating else { return result }
        let repeated = Dictionary(grouping: result, by: \.name).first { $0.value.count > 1 }
        if let repeated { throw DatasetError(.invalid, path: path, reason: "names the class \(repeated.key) twice") }
        return result
    }
}

extension String {
    fileprivate func trimming(_ characters: String) -> String {
        trimmingCharacters(in: CharacterSet(charactersIn: characters))
    }
}

/// The text of a small file that must be there. Throws ``DatasetError``.
func readText(_ path: String, of what: String) throws -> String {
    guard let bytes = FileManager.default.contents(atPath: path) else {
        throw DatasetError(.missing, path: path, reason: "there is no such \(what), or it cannot be read")
    }
    guard let text = String(data: bytes, encoding: .utf8) else {
        throw DatasetError(.invalid, path: path, reason: "the \(what) is not UTF-8 text")
    }
    return text.replacingOccurrences(of: "\r\n", with: "\n")
}
