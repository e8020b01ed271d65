import ArgumentParser
import Foundation

/// What is said of arguments that the parser refuses: one line, with the word that was probably meant.
struct UsageError {
    private let root: any ParsableCommand.Type
    private let arguments: [String]
    /// The command that was called and its name, without the program's.
    private let command: any ParsableCommand.Type
    private let name: [String]

    init(_ arguments: [String], root: any ParsableCommand.Type) {
        var (command, name) = (root, [String]())
        for argument in arguments {
            let next = command.configuration.subcommands.first { $0.configuration.commandName == argument }
            guard let next else { break }
            (command, name) = (next, name + [argument])
        }
        (self.root, self.arguments, self.command, self.name) = (root, arguments, command, name)
    }

    /// - Parameter message: the parser's.
    func line(_ message: String) -> String {
        let text = unknownCommand ?? unknownOption ?? oneLine(message)
        return "\(text); see `\((["beit-seg"] + name + ["--help"]).joined(separator: " "))`"
    }

    /// The arguments of the command.
    private var rest: [String] { Array(arguments.dropFirst(name.count)) }

    private var unknownCommand: String? {
        let known = command.configuration.subcommands.compactMap { $0.configuration.commandName }
        guard !known.isEmpty, let word = rest.first, !word.hasPrefix("-") else { return nil }
        let meant = Self.nearest(to: word, among: known).map { ". Did you mean '\($0)'?" }
        return "Unknown command '\(word)'" + (meant ?? "; there are " + known.joined(separator: ", "))
    }

    /// The parser looks at what is missing first, and so would tell whoever writes `--dta` that `--data` is missing.
    private var unknownOption: String? {
        let known = Set(
            root.helpMessage(for: command, includeHidden: true, columns: 200).matches(of: /--[a-z][a-z0-9-]*/).map {
                String($0.output)
            } + ["--help", "--version"])
        let names = rest.prefix { $0 != "--" }.filter { $0.hasPrefix("--") }.map { String($0.prefix { $0 != "=" }) }
        guard let unknown = names.first(where: { !known.contains($0) }) else { return nil }
        let meant = Self.nearest(to: unknown, among: known.sorted()).map { ". Did you mean '\($0)'?" }
        return "Unknown option '\(unknown)'" + (meant ?? "")
    }

    /// The word of `known` that a slip or two make of `word`; nil where none is near.
    static func nearest(to word: String, among known: [String]) -> String? {
        let near = known.map { (name: $0, distance: distance(Array(word), Array($0))) }.min {
            $0.distance < $1.distance
        }
        guard let near, near.distance <= max(1, word.count / 3) else { return nil }
        return near.name
    }

    /// Letters left out, put in, replaced or exchanged with the next one that make `b` of `a`.
    private static func distance(_ a: [Character], _ b: [Character]) -> Int {
        var rows = [Array(0...b.count)]
        for i in a.indices {
            var row = [i + 1]
            for j in b.indices {
                var best = min(row[j], rows[i][j + 1]) + 1
                best = min(best, rows[i][j] + (a[i] == b[j] ? 0 : 1))
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, rows[i - 1][j - 1] + 1) }
                row.append(best)
            }
            rows.append(row)
        }
        return rows[a.count][b.count]
    }

    /// The parser's message in one line, without the full stop that only some have.
    private func oneLine(_ message: String) -> String {
        let lines = message.split(whereSeparator: \.isNewline).map(String.init)
        let items = lines.dropFirst().map { $0.hasPrefix("  - ") ? String($0.dropFirst(4)) : $0 }
        let text = ([lines.first ?? ""] + [items.joined(separator: ", ")]).filter { !$0.isEmpty }.joined(separator: " ")
        // `--lr -1` looks like two options.
        let hint = text.hasPrefix("Missing value for '--") ? " (one that begins with - is written --option=-1)" : ""
        return (text.hasSuffix(".") ? String(text.dropLast()) : text) + hint
    }
}
