import BEiTImageIO

/// The contents of a label map: a line `VALUE CLASS` for each value of the masks, CLASS the name of a class, or
/// `void`. A line `VALUE CLASS R G B` makes a class of that colour, for a class that is in no data set's list.
struct LabelMapFile {
    struct Rule {
        var value: Int
        var name: String
        var color: RGBColor?
        var isVoid: Bool { name == "void" }
    }

    let path: String
    private(set) var rules: [Rule] = []

    /// Throws ``DatasetError``.
    static func read(_ path: String) throws -> LabelMapFile {
        var file = LabelMapFile(path: path)
        for line in try readText(path, of: "label map").split(separator: "\n") {
            var words = line.split(whereSeparator: \.isWhitespace).map(String.init)
            guard var first = words.first, !first.hasPrefix("#") else { continue }
            if let mark = first.last, ":,=".contains(mark) { first.removeLast() }
            let numbers = words.count > 4 ? words.suffix(3).compactMap(UInt8.init) : []
            if numbers.count == 3 { words.removeLast(3) }
            guard let value = UInt16(first), words.count > 1 else {
                throw file.error("`\(line)` is not `VALUE CLASS`, VALUE a number from 0 to 65535")
            }
            guard !file.rules.contains(where: { $0.value == Int(value) }) else {
                throw file.error("gives the value \(value) twice")
            }
            file.rules.append(
                Rule(
                    value: Int(value), name: words.dropFirst().joined(separator: " "),
                    color: numbers.count == 3 ? RGBColor(numbers[0], numbers[1], numbers[2]) : nil))
        }
        guard file.rules.contains(where: { !$0.isVoid }) else { throw file.error("names no class") }
        return file
    }

    /// The classes that it brings along.
    var newClasses: [LabelClass] {
        rules.compactMap { rule in rule.color.map { LabelClass(name: rule.name, color: $0) } }
    }

    /// For people: each class with its values.
    var summary: String {
        var names: [String] = []
        for rule in rules where !names.contains(rule.name) { names.append(rule.name) }
        return names.map { name in
            rules.filter { $0.name == name }.map { String($0.value) }.joined(separator: " ") + " → \(name)"
        }.joined(separator: ", ")
    }

    /// That a rule names a class nobody knows.
    /// - Parameter extensible: whether a line with a colour would make a class of it.
    func stranger(_ rule: Rule, _ known: [LabelClass], extensible: Bool) -> DatasetError {
        let names = known.prefix(30).map(\.name).joined(separator: ", ")
        let remedy = "; a new class has its colour behind it: `\(rule.value) \(rule.name) 255 0 0`"
        return error(
            "`\(rule.value) \(rule.name)` names none of the classes (\(names)) nor `void`" + (extensible ? remedy : ""))
    }

    private func error(_ reason: String) -> DatasetError { DatasetError(.invalid, path: path, reason: reason) }
}
