import ArgumentParser

/// The library speaks of a setting by the word that it has on the command line, between backticks; here it gets its dashes.
enum OptionNames {
    /// Of all commands, without dashes.
    private static let all: Set<String> = names(of: Program.self)

    private static func names(of command: any ParsableCommand.Type) -> Set<String> {
        let help = Program.helpMessage(for: command, includeHidden: true, columns: 200)
        let own = Set(help.matches(of: /--([a-z][a-z0-9-]*)/).map { String($0.output.1) })
        return command.configuration.subcommands.reduce(own) { $0.union(names(of: $1)) }
    }

    /// `text` with the options in it as they are typed.
    static func spelled(_ text: String) -> String {
        guard text.contains("`") else { return text }
        return text.replacing(/`([a-z][a-z-]*)`/) {
            all.contains(String($0.output.1)) ? "--\($0.output.1)" : String($0.output.0)
        }
    }
}
