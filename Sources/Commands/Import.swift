import ArgumentParser
import BEiTCheckpoints
import BEiTDatasets
import BEiTFiles
import BEiTPrediction
import Foundation

struct Import: Command {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Make a model of weights from elsewhere.",
        discussion: HelpText.discussion(
            """
            Reads safetensors, PyTorch's .pth, .bin, .pt and .pkl, and HDF5 (Keras' weights, state dicts, beit-seg's own),
            with the names of the official release, Hugging Face, timm, mmsegmentation, keras-cv-attention-models or
            DALL-E; a folder as Hugging Face or timm publish it with what its config.json says. Nothing in a file is
            executed. What names, shapes and configuration do not say is given by --set. docs/weights.md has a command for
            every published model.
            """,
            examples: "beit-seg import beit_base_patch16_640_pt22k_ft22ktoade20k.pth -o ade20k.h5",
            "beit-seg import beit-base-patch16-224/ -o imagenet.h5"))

    @Argument(
        help: "A file, a folder as it is published, or the two files of a tokenizer.",
        completion: .file(extensions: ["h5", "pth", "bin", "safetensors", "pkl"]))
    var sources: [String]

    @Option(name: .shortAndLong, help: ArgumentHelp("The model to write.", valueName: "file"))
    var output: String

    @Option(
        name: .customLong("set"),
        help: ArgumentHelp(
            "A part of the architecture, such as backbone.heads=4 (repeatable).", valueName: "name=value"))
    var settings: [String] = []

    @Option(
        help: ArgumentHelp(
            "Class names and colors, one `name R G B` a line, or a list that is known: ade20k, imagenet-1k.",
            valueName: "file"))
    var classes: String?

    @Option(
        help: ArgumentHelp("Another input size, to which positions are resized.", valueName: "n|hxw"))
    var size: SizeArgument?

    @Option(name: .customLong("as"), help: "Type of the weights: float32, float16, bfloat16 or int8.")
    var type = WeightType.float32

    @Option(
        help: ArgumentHelp(
            "Pixels and the logits that another framework computed of them: says how far the model is from those, and "
                + "writes none that differs by more than a hundredth.", valueName: "file"))
    var check: String?

    @OptionGroup var report: JSONOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        if sources.count > 2 { throw ValidationError("one SOURCE, or two for the halves of a tokenizer") }
    }

    func execute() throws {
        var options = ImportOptions()
        options.settings = try ConfigurationPatch(settings: settings)
        options.classes = try classes.map { try KnownClasses.list($0) ?? ClassList.read($0, repeating: true) }
        (options.size, options.command) = (size?.sides, commandLine)
        let weights = try ForeignModel(sources)
        try OutputCheck.check(write: output, reads: sources + weights.files + [self.classes, check].compactMap { $0 })
        var (model, description, result) = try weights.load(options)
        result.assumed = result.assumed.map(OptionNames.spelled)
        result.check = try check.map { try LogitsCheck(model, description.configuration, against: $0).text }
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
            \(output.shown): \(task), from \(result.format) with names of the layout \(result.layout)
            used       \(result.used.count) parameters
            converted  \(list(result.converted))
            left out   \(leftOut(result.leftOut))
            missing    none
            resized    \(list(result.resized))
            assumed    \(result.assumed.isEmpty ? "nothing" : result.assumed.joined(separator: "; "))
            """ + (result.check.map { "\ncheck      \($0)" } ?? "")
    }
}

/// By reason, so that a hundred buffers are one entry.
private func leftOut(_ tensors: [ImportReport.LeftOut]) -> String {
    let groups = Dictionary(grouping: tensors, by: \.reason).sorted { $0.key < $1.key }
    if groups.isEmpty { return "none" }
    return groups.map { reason, all in
        let more = all.count > 3 ? " and \(all.count - 3) more" : ""
        return "\(all.prefix(3).map(\.name).joined(separator: ", "))\(more): \(reason)"
    }.joined(separator: "; ")
}

extension WeightType: ExpressibleByArgument {}

/// The command of this process as it was typed, for the provenance.
var commandLine: String { (["beit-seg"] + CommandLine.arguments.dropFirst()).joined(separator: " ") }
