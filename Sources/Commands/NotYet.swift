import BEiTFiles
import Foundation

/// Words of the contract that this version does not know yet: whoever types one learns that, and what to do meanwhile.
struct NotYet {
    /// The commands that will know it; none: the word is a command.
    private let commands: Set<String>
    /// A command, or an option.
    private let word: String
    /// Those values of the option that are meant; none: the option itself.
    private let values: Set<String>
    private let meanwhile: String

    private static let all: [NotYet] = [
        NotYet("pack", "folders of images are read as they are")
    ]

    private init(_ word: String, of commands: Set<String> = [], values: Set<String> = [], _ meanwhile: String) {
        (self.word, self.commands, self.values, self.meanwhile) = (word, commands, values, meanwhile)
    }

    /// A sentence about the first such word among `arguments`; nil where there is none.
    /// - Parameter command: what was called, such as `tokenizer encode`; empty where no command was.
    static func explanation(_ command: String, _ arguments: [String]) -> String? {
        guard !command.isEmpty else {
            let first = arguments.first { !$0.hasPrefix("-") }
            return all.first { $0.commands.isEmpty && $0.word == first }?.sentence("")
        }
        for (place, argument) in arguments.enumerated() where argument.hasPrefix("--") {
            let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
            let value = parts.count > 1 ? parts[1] : arguments.dropFirst(place + 1).first ?? ""
            let found = all.first {
                $0.commands.contains(command) && $0.word == parts.first
                    && ($0.values.isEmpty || $0.values.contains(value))
            }
            if let found { return found.sentence(found.values.isEmpty ? "" : " " + value) }
        }
        return nil
    }

    private func sentence(_ value: String) -> String {
        "\(commands.isEmpty ? "the command `\(word)`" : word + value) is not there yet in this version; \(meanwhile)"
    }
}
