import ArgumentParser
import BEiTCheckpoints
import BEiTFiles
import Foundation
import BEiTLayers

struct Export: Command {
    enum Layout: String, CaseIterable, ExpressibleByArgument {
        /// beit-seg's own.
        case native
        /// Bare weights under their official names.
        case flat
    }

    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Write a model without its training state, smaller or for other programs.",
        discussion: HelpText.discussion(
            examples: "beit-seg export RUN/best.h5 -o model.h5 --as float16",
            "beit-seg export RUN/best.h5 -o weights.h5 --layout flat"))

    @Argument(help: "The model.", completion: .file(extensions: ["h5"]))
    var model: String

    @Option(name: .shortAndLong, help: ArgumentHelp("The file to write.", valueName: "file"))
    var output: String

    @Option(name: .customLong("as"), help: "Type of the weights: float32 or float16.")
    var type = WeightType.float32

    @Option(help: "native, or flat: bare weights under the names of the official release.")
    var layout = Layout.native

    @Flag(help: "Compress; saves little and loads slower.")
    var compress = false

    @OptionGroup var common: CommonOptions

    func execute() throws {
        try OutputCheck.check(write: output, reads: [self.model])
        var (model, description) = try Checkpoint.load(self.model, frozen: false)
        switch layout {
        case .native:
            description.provenance.parentSHA256 = try SHA256.hexDigest(ofFile: self.model)
            (description.provenance.version, description.provenance.command) = (beitSegVersion, commandLine)
            try Checkpoint.save(model.module, description, as: type, compress: compress, to: output)
        case .flat:
            try Checkpoint.saveFlat(model, as: type, compress: compress, to: output)
        }
        let bytes = FileSystem.status(of: output)?.size ?? 0
        log.info("\(output): \(model.module.parameterCount) parameters as \(type.rawValue), \(fileSize(bytes))")
    }
}
