import ArgumentParser
import BEiTFiles
import BEiTPrediction

struct Logits: Command {
    static let configuration = CommandConfiguration(
        commandName: "logits",
        abstract: "Evaluate a model on pixels from an HDF5 file, to compare it with another program.",
        discussion: HelpText.discussion(
            """
            Reads pixel_values, [N, 3, H, W] in floating point and already normalised (for a tokenizer: mapped to 0.1 to
            0.9), and for masked image modeling bool_masked_pos, [N, patches]. Writes logits and the backbone's patch
            features [N, patches, width]; for a tokenizer logits and tokens.
            """,
            examples: "beit-seg logits -m model.h5 -i in.h5 -o out.h5"))

    @OptionGroup var model: ModelOptions

    @Option(name: .shortAndLong, help: ArgumentHelp("The file with the pixels.", valueName: "file"))
    var input: String

    @Option(name: .shortAndLong, help: ArgumentHelp("The file to write.", valueName: "file"))
    var output: String

    @OptionGroup var common: CommonOptions

    func execute() throws {
        let path = try model.path()
        try OutputCheck.check(write: output, reads: [path, input])
        let run = try LogitsRun(model: path, input: input, output: output, precision: model.precision.precision)
        try run.run { log.debug("\($0) of \(run.count) images") }
    }
}
