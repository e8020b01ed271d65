import ArgumentParser
import BEiTCheckpoints
import BEiTDatasets
import BEiTFiles
import Foundation

struct Import: Command {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Make a model of weights from elsewhere.",
        discussion: HelpText.discussion(
            """
            Reads HDF5 files that hold a PyTorch state dict under the names of the official BEiT release, one dataset a
            parameter; for a tokenizer, the files of its encoder and decoder. What names, shapes and a config.json beside
            the file do not say is given by --set.
            """,
            examples: "beit-seg import weights.h5 -o model.h5 --set decoder.norm_groups=32 --classes classes.txt"))

    @Argument(help: "The file, or the two files of a tokenizer.", completion: .file(extensions: ["h5"]))
    var sources: [String]

    @Option(name: .shortAndLong, help: ArgumentHelp("The model to write.", valueName: "file"))
    var output: String

    @Option(
        name: .customLong("set"),
        help: ArgumentHelp(
            "A part of the architecture, such as backbone.heads=4 (repeatable).", valueName: "name=value"))
    var settings: [String] = []

    @Option(help: ArgumentHelp("Class names and colors, one `name R G B` a line.", valueName: "file"))
    var classes: String?

    @Option(
        help: ArgumentHelp("Another input size, to which positions are resized.", valueName: "n|hxw"))
    var size: SizeArgument?

    @Option(name: .customLong("as"), help: "Type of the weights: float32 or float16.")
    var type = WeightType.float32

    @OptionGroup var report: JSONOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        if sources.count > 2 { throw ValidationError("one SOURCE, or two for the halves of a tokenizer") }
    }

    func execute() throws {
        let companions = sources.map { $0.parent.joined("config.json") }
        try OutputCheck.check(write: output, reads: sources + companions + (classes.map { [$0] } ?? []))
        let settings = try Settings(settings)
        let classes = try classes.map { try ClassList.read($0, repeating: true) }
        let (model, description, result) = try ForeignModel(sources).load(
            settings: settings, classes: classes, size: size?.sides, command: commandLine)
        try Checkpoint.save(model.module, description, as: type, to: output)
        if report.json {
            try Console.print(json: result)
        } else {
            Console.print(lines: text(result, task: description.task.rawValue))
        }
    }

    private func text(_ result: ImportReport, task: String) -> String {
        func list(_ names: [String]) -> String { names.isEmpty ? "none" : names.joined(separator: ", ") }
        return """
            \(output.shown): \(task)
            used       \(result.used.count) tensors
            converted  \(list(result.converted))
            left out   \(list(result.leftOut))
            missing    none
            resized    \(list(result.resized))
            assumed    \(result.assumed.isEmpty ? "nothing" : result.assumed.joined(separator: "; "))
            """
    }
}

extension WeightType: ExpressibleByArgument {}

/// The command of this process as it was typed, for the provenance.
var commandLine: String { (["beit-seg"] + CommandLine.arguments.dropFirst()).joined(separator: " ") }
