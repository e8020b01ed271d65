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
        let blocks = text.components(separatedBy: "```").enumerated().filter { $0.offset % 2 == 1 }.map(\.element)
        return blocks.filter { $0.hasPrefix("sh\n") }.flatMap { block in
            block.replacingOccurrences(of: "\\\n", with: " ").split(separator: "\n")
        }.map { line in
            line.prefix { $0 != "#" && $0 != ">" && $0 != "|" }.split(separator: " ").map(String.init)
        }.filter { $0.first == "beit-seg" && !$0.contains("…") }
    }

    private func isPath(_ word: String) -> Bool {
        word.contains("/") || [".h5", ".jpg", ".png", ".txt", ".html"].contains { word.hasSuffix($0) }
    }

    @Test(arguments: documents) func everyCommandIsUnderstood(_ document: String) throws {
        let folder = try Scratch()
        for words in try commands(document) {
            // The files are not there; that is found after the options have been understood.
            let moved = words.dropFirst().map { isPath($0) ? folder[$0.replacingOccurrences(of: "./", with: "")] : $0 }
            guard moved != Array(words.dropFirst()) else { continue }
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
