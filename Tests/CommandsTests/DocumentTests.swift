import Foundation
import Testing

/// Commands in README and `docs/` are understood by the program.
@Suite struct DocumentTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private static let documents: [String] = {
        let docs =
            (try? FileManager.default.contentsOfDirectory(atPath: root.appendingPathComponent("docs").path)) ?? []
        return ["README.md", "models/README.md"] + docs.filter { $0.hasSuffix(".md") }.sorted().map { "docs/" + $0 }
    }()

    /// The commands in blocks of shell commands, each as its words.
    private func commands(_ document: String) throws -> [[String]] {
        let text = try String(contentsOf: Self.root.appendingPathComponent(document), encoding: .utf8)
        var commands: [[String]] = []
        for (place, block) in text.components(separatedBy: "```").enumerated() where place % 2 == 1 {
            guard block.hasPrefix("sh\n") else { continue }
            for line in block.replacingOccurrences(of: "\\\n", with: " ").split(separator: "\n") {
                let command = line.prefix { character in !"#>|".contains(character) }
                let words = command.split(separator: " ").map(String.init)
                if words.first == "beit-seg", !words.contains("…") { commands.append(words) }
            }
        }
        return commands
    }

    private func isPath(_ word: String) -> Bool {
        let endings: [String] = [".h5", ".jpg", ".png", ".txt", ".html"]
        return word.contains("/") || endings.contains { ending in word.hasSuffix(ending) }
    }

    @Test(arguments: documents) func everyCommandIsUnderstood(_ document: String) throws {
        let folder = try Scratch()
        for words in try commands(document) {
            // The files are not there; that is found after the options have been understood.
            let arguments = Array(words.dropFirst())
            let moved = arguments.map { (word: String) -> String in isPath(word) ? folder[word] : word }
            guard moved != arguments else { continue }
            let run = try Program(arguments: moved)
            #expect(run.status != 64, "\(words.joined(separator: " ")): \(run.errors)")
        }
    }

    /// Links between the documents lead somewhere.
    @Test(arguments: documents) func linksLeadSomewhere(_ document: String) throws {
        let text = try String(contentsOf: Self.root.appendingPathComponent(document), encoding: .utf8)
        let folder = Self.root.appendingPathComponent(document).deletingLastPathComponent()
        for link in text.matches(of: /\]\(([^)#:]+)(#[^)]*)?\)/) {
            let target = folder.appendingPathComponent(String(link.output.1)).path
            #expect(FileManager.default.fileExists(atPath: target), "\(document): \(link.output.1)")
        }
    }
}
