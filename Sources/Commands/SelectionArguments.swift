import ArgumentParser
import BEiTPrediction

/// Which of a model's classes results have, and by what names.
struct SelectionArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Make one class of several, by their names, or give one another name; repeatable. Their probabilities are added up.",
            valueName: "name,name=new"))
    var merge: [String] = []

    @Option(
        help: ArgumentHelp(
            "Keep these classes alone, by their names after --merge; other pixels have no class. Repeatable.",
            valueName: "name,name"))
    var only: [String] = []

    @Option(
        help: ArgumentHelp("Pixels whose class is less probable than this have no class, 0 to 1.", valueName: "share"))
    var minConfidence: Double?

    @Option(
        help: ArgumentHelp(
            "Pixels of a class's connected region that is smaller than this have no class.", valueName: "pixels"))
    var minArea: Int?

    @Option(
        help: ArgumentHelp(
            "The value in masks of pixels without a class: 0 to 65535, also a class (default: 255; 65535 where 255 is a class).",
            valueName: "value"))
    var void: Int?

    func validate() throws {
        if let minConfidence, !(0...1).contains(minConfidence) {
            throw ValidationError("--min-confidence \(minConfidence) is not 0 to 1")
        }
        if let minArea, !(1...1 << 31).contains(minArea) {
            throw ValidationError("--min-area \(minArea) is no number of pixels")
        }
        if let void, !(0...65_535).contains(void) { throw ValidationError("--void \(void) is not 0 to 65535") }
        if void != nil, only.isEmpty, (minConfidence ?? 0) == 0, (minArea ?? 1) == 1 {
            throw ValidationError(
                "--void is for pixels without a class: it needs --only, --min-confidence or --min-area")
        }
        _ = try selection
    }

    var selection: ClassSelection {
        get throws {
            var selection = ClassSelection()
            selection.merges = try merge.map(Self.merge)
            if !only.isEmpty { selection.only = try only.flatMap { try Self.names($0, "--only") } }
            selection.minimumConfidence = minConfidence ?? 0
            selection.leastArea = minArea ?? 1
            selection.void = void
            return selection
        }
    }

    private static func merge(_ text: String) throws -> ClassSelection.Merge {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[1].allSatisfy(\.isWhitespace) else {
            throw ValidationError("--merge \(text) is not NAME,NAME=NEW, such as cat,dog=animal")
        }
        return ClassSelection.Merge(try names(String(parts[0]), "--merge"), as: String(parts[1]))
    }

    private static func names(_ text: String, _ option: String) throws -> [String] {
        let names = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard names.allSatisfy({ !$0.allSatisfy(\.isWhitespace) }) else {
            throw ValidationError("\(option) \(text) has a name that is empty")
        }
        return names
    }

    /// The options as they were typed.
    func given() -> String {
        let numbers = [
            minConfidence.map { "--min-confidence \($0)" }, minArea.map { "--min-area \($0)" },
            void.map { "--void \($0)" },
        ]
        return (merge.map { "--merge \($0)" } + only.map { "--only \($0)" } + numbers.compactMap { $0 })
            .joined(separator: " ")
    }
}
