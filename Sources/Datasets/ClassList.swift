import BEiTFiles
import BEiTImageIO
import Foundation

/// The classes of a data set, in the order of their indices.
package enum ClassList {
    /// Reads `classes.txt`, a line for each class: `name R G B`. The colour may be left out or be `R G B A`, `R,G,B` or
    /// `#RRGGBB`; a name may contain spaces; empty lines and lines that begin with `#` do not count. CVAT's and labelme's
    /// lists (`name:R,G,B`) are read as well. What could mean two things is refused.
    ///
    /// - Parameter repeating: whether several classes may have one name (ImageNet has two kinds of crane).
    /// - Throws: ``DatasetError``.
    package static func read(_ path: String, repeating: Bool = false) throws -> [LabelClass] {
        try parse(readText(path, of: "class list"), path, repeating: repeating)
    }

    /// The text that ``read(_:repeating:)`` takes for these classes. Throws ``DatasetError`` where there is none.
    package static func text(_ classes: [LabelClass], path: String) throws -> String {
        let colors = { (color: RGBColor) in [color.red, color.green, color.blue] }
        let plain = classes.map { "\($0.name) \(colors($0.color).map(String.init).joined(separator: " "))\n" }
        // A name that ends in a number is told from its colour by a sign before that.
        let marked = classes.map { "\($0.name) #\(colors($0.color).map { String(format: "%02x", $0) }.joined())\n" }
        for text in [plain.joined(), marked.joined()] where (try? parse(text, path)) == classes { return text }
        let odd = classes.first { (try? parse("\($0.name) #000000", path))?.first?.name != $0.name }
        throw DatasetError(
            .invalid, path: path,
            reason: "no list of classes can have these names" + (odd.map { ", such as \($0.name)" } ?? "")
                + "; give them names of letters")
    }

    private static func parse(_ text: String, _ path: String, repeating: Bool = false) throws -> [LabelClass] {
        func error(_ reason: String) -> DatasetError { DatasetError(.invalid, path: path, reason: reason) }
        if let first = text.first(where: { !$0.isWhitespace }), "{[<".contains(first) {
            throw error("is no list of classes, a line `name R G B` for each")
        }
        var lines: [ClassLine] = []
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            guard let parsed = ClassLine(line.trimmingCharacters(in: .whitespaces), isFirst: lines.isEmpty) else {
                continue
            }
            if let problem = parsed.problem { throw error("line \(number + 1) `\(line)` \(problem)") }
            lines.append(parsed)
        }
        if let problem = ClassLine.problem(of: lines) { throw error(problem) }
        ClassLine.dropColumns(of: &lines)
        let result = lines.enumerated().map { index, line in
            LabelClass(name: line.name, color: line.color ?? ColorMap.color(index))
        }
        guard !result.isEmpty else { throw error("names no class") }
        guard !repeating else { return result }
        let repeated = Dictionary(grouping: result, by: \.name).first { $0.value.count > 1 }
        if let repeated { throw error("names the class \(repeated.key) twice") }
        return result
    }
}

/// A line of a class list.
private struct ClassLine {
    /// Words of the name; the numbers behind them.
    private var words: [String]
    private var numbers: [Int]
    private(set) var color: RGBColor?
    /// What is wrong, as the end of a sentence that begins with the line.
    private(set) var problem: String?

    private static let form = "is not `name R G B` with values 0 to 255"

    var name: String { words.joined(separator: " ") }

    /// Nil for what is no class: an empty line, a comment, the heading of a table.
    init?(_ line: String, isFirst: Bool) {
        (words, numbers) = ([], [])
        if line.isEmpty { return nil }
        if line.hasPrefix("#") {
            guard let first = line.split(separator: " ").first, Self.hex(first) != nil, line.contains(" ") else {
                return nil
            }
            problem = "begins with a colour, as a comment would; write `name #RRGGBB`"
            return
        }
        if isFirst, Self.isHeading(line) { return nil }
        if readColons(line) { return }
        let marks = CharacterSet.whitespaces.union(CharacterSet(charactersIn: ",;"))
        let all = line.components(separatedBy: marks).filter { !$0.isEmpty }
        if let last = all.last, last.hasPrefix("#") {
            words = Array(all.dropLast())
            color = Self.hex(Substring(last))
            if color == nil || words.isEmpty { problem = Self.form + ", nor `name #RRGGBB`" }
            return
        }
        let tail = all.reversed().prefix { Double($0) != nil }.count
        if tail < 2 {
            // One number may belong to the name (`lane 2`); more are a colour that is not right. A name may have commas.
            words = tail == 0 ? [line] : all
            let isWrong = all.count { Double($0) != nil } > 1 || line.hasSuffix(",") || tail == 1 && line.contains(",")
            if isWrong { problem = Self.form }
            return
        }
        let values = all.suffix(tail).map { UInt8($0).map { Int($0) } }
        (words, numbers) = (Self.words(of: line, before: all.suffix(tail), marks), values.compactMap { $0 })
        if words.isEmpty || tail == 2 || tail > 5 || values.suffix(3).contains(nil) || numbers.count < tail {
            problem = Self.form
        }
        if tail == 3, problem == nil { useNumbers() }
    }

    /// The words before the numbers at the end; a name may have commas.
    private static func words(of line: String, before numbers: ArraySlice<String>, _ marks: CharacterSet) -> [String] {
        let name = numbers.reversed().reduce(line) { rest, number in
            String(rest.trimmingCharacters(in: marks).dropLast(number.count))
        }
        return name.trimmingCharacters(in: marks).split(whereSeparator: \.isWhitespace).map(String.init)
    }

    /// `name:R,G,B` and what CVAT adds behind it. Returns whether the line is of that form.
    private mutating func readColons(_ line: String) -> Bool {
        let parts = line.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count > 1, let name = parts.first?.trimmingCharacters(in: .whitespaces), !name.isEmpty else {
            return false
        }
        let values = parts[1].split(separator: ",", omittingEmptySubsequences: false).map {
            UInt8($0.trimmingCharacters(in: .whitespaces))
        }
        if values.count == 3 {
            words = [name]
            guard let red = values[0], let green = values[1], let blue = values[2] else {
                problem = "is not `name:R,G,B` with values 0 to 255"
                return true
            }
            color = RGBColor(red, green, blue)
            return true
        }
        guard parts.count > 2, parts[1].isEmpty else { return false }
        words = [name]
        return true
    }

    private static func hex(_ text: Substring) -> RGBColor? {
        var digits = text.dropFirst().compactMap(\.hexDigitValue)
        guard text.hasPrefix("#"), digits.count == text.count - 1 else { return nil }
        if digits.count == 3 { digits = digits.flatMap { [$0, $0] } }
        guard digits.count == 6 || digits.count == 8 else { return nil }
        let bytes = stride(from: 0, to: 6, by: 2).map { UInt8(16 * digits[$0] + digits[$0 + 1]) }
        return RGBColor(bytes[0], bytes[1], bytes[2])
    }

    private static func isHeading(_ line: String) -> Bool {
        let words = line.lowercased().split { $0 == "," || $0 == ";" || $0.isWhitespace }.map(String.init)
        return [["r", "g", "b"], ["red", "green", "blue"]].contains(Array(words.dropFirst().prefix(3)))
    }

    private mutating func useNumbers(droppingAlpha: Bool = false) {
        if droppingAlpha { numbers.removeLast() }
        let bytes = numbers.suffix(3).map { UInt8($0) }
        words += numbers.dropLast(3).map(String.init)
        color = RGBColor(bytes[0], bytes[1], bytes[2])
        numbers = []
    }

    // MARK: The list as a whole

    /// What cannot be told of a list, in one sentence.
    static func problem(of lines: [ClassLine]) -> String? {
        let colored = lines.filter { $0.color != nil || !$0.numbers.isEmpty }
        let quads = lines.filter { $0.numbers.count > 3 }
        if quads.count > 1, quads.count == colored.count, !haveAlpha(lines), quads.allSatisfy({ $0.numbers.count == 4 })
        {
            return
                "has four numbers in each line, which may be R G B A, or a name with a number and R G B; leave alpha out"
        }
        if quads.contains(where: { $0.numbers.count > 4 }), !haveAlpha(lines) { return "has lines of five numbers" }
        if lines.count > 1, let numbers = leadingNumbers(of: lines), numbers == Array(1...numbers.count) {
            return "numbers its classes from 1, so that 0 may be a class or void; leave the numbers out"
        }
        return nil
    }

    /// Whether every colour is followed by an alpha.
    private static func haveAlpha(_ lines: [ClassLine]) -> Bool {
        let numbers = lines.map(\.numbers).filter { !$0.isEmpty }
        return lines.allSatisfy { $0.color == nil } && numbers.count > 1
            && numbers.allSatisfy { $0.count > 3 && ($0.last == 255 || $0.last == 0) }
            && numbers.contains { $0.last == 255 }
    }

    /// The number that each line begins with, before a name.
    private static func leadingNumbers(of lines: [ClassLine]) -> [Int]? {
        let numbers = lines.map { line -> Int? in
            let words = line.name.split(separator: " ")
            guard words.count > 1, Double(words[1]) == nil, let first = words.first else { return nil }
            return Int(first.hasSuffix(":") || first.hasSuffix(".") ? first.dropLast() : first)
        }
        return numbers.contains(nil) ? nil : numbers.compactMap { $0 }
    }

    /// Alpha, and the numbers 0, 1, … of the classes, are no part of colours and names.
    static func dropColumns(of lines: inout [ClassLine]) {
        let haveAlpha = haveAlpha(lines)
        for place in lines.indices where !lines[place].numbers.isEmpty {
            lines[place].useNumbers(droppingAlpha: haveAlpha)
        }
        guard lines.count > 1, leadingNumbers(of: lines) == Array(lines.indices) else { return }
        for place in lines.indices {
            let name = lines[place].name
            lines[place].words = [name.drop { !$0.isWhitespace }.trimmingCharacters(in: .whitespaces)]
        }
    }
}

/// The text of a small file that must be there, its lines ended by line feeds. Throws ``DatasetError``.
func readText(_ path: String, of what: String) throws -> String {
    guard let bytes = try? FileSystem.read(path, atMost: 1 << 26) else {
        throw DatasetError(.missing, path: path, reason: "there is no such \(what), or it cannot be read")
    }
    // The byte order mark of Windows' editors.
    let text = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes[3...] : bytes[...]
    guard let text = String(validating: text, as: UTF8.self) else {
        throw DatasetError(.invalid, path: path, reason: "the \(what) is not UTF-8 text")
    }
    return text.replacingOccurrences(of: "\r\n", with: "\n").replacingOccurrences(of: "\r", with: "\n")
}
