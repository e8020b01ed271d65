import ArgumentParser
import BEiTCheckpoints
import BEiTFiles
import BEiTLayers
import BEiTModels
import BEiTPrediction
import Foundation

struct Export: ImageCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Write a model without its training state, smaller or for other programs.",
        discussion: HelpText.discussion(
            """
            Layouts: native, beit-seg's own; flat, HDF5 with the names of the official release; official, the same as
            safetensors; huggingface and timm, a folder that transformers and timm load (or the safetensors file alone,
            where the name ends so); keras, HDF5 for keras-cv-attention-models.

            int8 takes a quarter of the space of float32: matrices and kernels are bytes, with a scale for each output.
            Such a model computes in int8, which is faster where the processor multiplies bytes. --calibrate shows some
            photos to the model first, and makes the columns alike in which single channels are far larger than others.
            """,
            examples: "beit-seg export RUN/best.h5 -o model.h5 --as int8 --calibrate photos/",
            "beit-seg export RUN/best.h5 -o folder/ --layout huggingface"))

    @Argument(help: "The model.", completion: .file(extensions: ["h5"]))
    var model: String

    @Option(name: .shortAndLong, help: ArgumentHelp("The file or folder to write.", valueName: "file"))
    var output: String

    @Option(name: .customLong("as"), help: "Type of the weights: float32, float16, bfloat16 or int8.")
    var type = WeightType.float32

    @Option(help: "For whom: native, flat, official, huggingface, timm or keras.")
    var layout = ExportLayout.native

    @Option(
        help: ArgumentHelp(
            "For int8: a photo, a folder or a .txt list, of which \(Calibration.most) photos are shown to the model; repeatable.",
            valueName: "photos"))
    var calibrate: [String] = []

    @Flag(help: "Compress; saves little and loads slower.")
    var compress = false

    @OptionGroup(title: "Photos to calibrate with") var reading: ReadingOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        if type == .int8, layout != .native {
            throw ValidationError(
                "--as int8: only --layout native holds it; other programs know no scales, and read float16 and bfloat16"
            )
        }
        if type != .int8, !calibrate.isEmpty { throw ValidationError("--calibrate is for --as int8 alone") }
        if calibrate.isEmpty, let other = reading.givenOptions.first {
            throw ValidationError("\(other) is about the photos of --calibrate; leave it out")
        }
    }

    func execute() throws {
        if layout == .native { try OutputCheck.check(write: output, reads: [self.model]) }
        var (model, description) = try Checkpoint.load(self.model, for: .learning)
        if !calibrate.isEmpty { try show(photos: calibrate, to: model, description) }
        var files = [output]
        if layout == .native {
            description.provenance.parentSHA256 = try SHA256.hexDigest(ofFile: self.model)
            (description.provenance.version, description.provenance.command) = (beitSegVersion, commandLine)
            try Checkpoint.save(model.module, description, as: type, compress: compress, to: output)
        } else {
            let export = try BEiTCheckpoints.Export(model, description, for: layout)
            for file in export.files(for: output) { try OutputCheck.check(write: file, reads: [self.model]) }
            files = try export.write(to: output, as: type, compress: compress)
        }
        let bytes = FileSystem.status(of: files[0])?.size ?? 0
        log.info("\(files[0]): \(model.module.parameterCount) parameters as \(type.rawValue), \(fileSize(bytes))")
        files.dropFirst().forEach { log.info("\($0)") }
    }

    private func show(photos paths: [String], to model: Model, _ description: ModelDescription) throws {
        let found = try InputImages(paths)
        let calibration = try Calibration(of: model, description, file: self.model, reading: reading.choice)
        let count = try calibration.run(over: found.images) { log.warning("\($0)") }
        log.info("calibrated on \(count) of \(found.images.count.counted("photo"))")
    }
}

extension ExportLayout: ExpressibleByArgument {}
