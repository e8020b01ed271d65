/// What a command's help says above its options.
enum HelpText {
    /// The argument parser breaks longer lines wherever a blank stands, which would tear examples apart.
    private static let columns = 79

    /// Paragraphs, with blank lines between them, and below them commands to copy, each on lines of its own.
    /// - Parameter text: where a line ends within a paragraph means nothing.
    static func discussion(_ text: String = "", examples: String...) -> String {
        let paragraphs = text.split(separator: "\n\n").map { $0.split(separator: "\n").joined(separator: " ") }
        let heading = examples.count == 1 ? "Example:" : "Examples:"
        return (paragraphs + [([heading] + examples.map(folded)).joined(separator: "\n")]).joined(separator: "\n\n")
    }

    /// A command on as many lines as it needs, for a shell: an option stays with its values.
    private static func folded(_ command: String) -> String {
        var lines: [String] = []
        var line = " "
        for part in parts(command) {
            // Two columns for the backslash.
            if line.count + 1 + part.count > columns - 2 {
                lines.append(line + " \\")
                line = "     "
            }
            line += " " + part
        }
        return (lines + [line]).joined(separator: "\n")
    }

    /// What may not be torn apart: an option with its values.
    private static func parts(_ command: String) -> [String] {
        command.split(separator: " ").reduce(into: []) { parts, word in
            if parts.isEmpty || word.hasPrefix("-") {
                parts.append(String(word))
            } else {
                parts[parts.count - 1] += " " + word
            }
        }
    }
}
