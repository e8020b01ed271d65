import ArgumentParser
import Checkpoints
import Evaluation
import Files
import Foundation
import Models

/// How photos are shown to a segmentation model; `predict` and `eval` share it.
struct InferenceArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Resize photos until their short side has this many pixels (default: the model's own); windows slide over what is larger than the model's size.",
            valueName: "pixels"))
    var size: Int?

    @Flag(help: "Slide windows over the photo's own pixels, without resizing it.")
    var slide = false

    @Option(help: ArgumentHelp("Slide windows of this side, in pixels of the photo.", valueName: "pixels"))
    var crop: Int?

    @Option(help: ArgumentHelp("From one window to the next (default: two thirds of a window).", valueName: "pixels"))
    var stride: Int?

    @Option(
        help: ArgumentHelp(
            "Average the probabilities over sizes, as factors: 0.75,1,1.25.", valueName: "factors"))
    var scales: String?

    @Flag(help: "Average over the photo and its mirror image.")
    var flip = false

    @Option(help: ArgumentHelp("Windows of a photo that go through the network together.", valueName: "n"))
    var batch = 4

    func validate() throws {
        if [size != nil, slide, crop != nil].count(where: { $0 }) > 1 {
            throw ValidationError("--size, --slide and --crop exclude each other")
        }
        let numbers = [
            ("size", size, 1...65_536), ("crop", crop, 1...65_536), ("stride", stride, 1...65_536),
            ("batch", batch, 1...1024),
        ]
        for case (let name, let value?, let range) in numbers where !range.contains(value) {
            throw ValidationError("--\(name) \(value) is not \(range.lowerBound) to \(range.upperBound)")
        }
        _ = try factors
    }

    private var factors: [Double] {
        get throws {
            guard let scales else { return [1] }
            let factors = scales.split(separator: ",", omittingEmptySubsequences: false).map { Double($0) ?? 0 }
            guard factors.allSatisfy({ $0 >= 0.1 && $0 <= 10 }) else {
                throw ValidationError("--scales \(scales) is not a list of factors from 0.1 to 10, such as 0.75,1,1.25")
            }
            return factors
        }
    }

    var options: InferenceOptions {
        get throws {
            var options = InferenceOptions()
            options.resizing =
                size.map { .shortSide($0) } ?? crop.map { .crop($0) } ?? (slide ? .none : .toWindow)
            (options.stride, options.flips, options.batch) = (stride, flip, batch)
            options.scales = try factors
            return options
        }
    }
}

extension InferenceArguments {
    /// The options that change results, as they were typed.
    var given: String {
        let numbers = [("size", size), ("crop", crop), ("stride", stride)].compactMap { name, value in
            value.map { "--\(name) \($0)" }
        }
        let others = [slide ? "--slide" : nil, scales.map { "--scales \($0)" }, flip ? "--flip" : nil]
        return (numbers + others.compactMap { $0 }).joined(separator: " ")
    }
}

extension ModelOptions {
    /// Loads a segmentation model. Throws ``CheckpointError`` or ``DefaultModel/NotFound``.
    func segmentationNetwork() throws -> (network: WindowNetwork, description: ModelDescription, path: String) {
        let path = try path()
        let (model, description) = try Checkpoint.load(path, task: .segmentation)
        guard case .segmentation(let segmenter) = model else {
            throw CheckpointError.wrongTask(file: path, found: description.task, wanted: .segmentation)
        }
        return (WindowNetwork(segmenter, description), description, path)
    }
}

extension PredictionFormat: ExpressibleByArgument {}

struct Predict: Command {
    static let configuration = CommandConfiguration(
        commandName: "predict", abstract: "Segment images.",
        discussion: """
            Example: beit-seg predict photos/ -o masks/

            A photo is resized, keeping its ratio, until it just covers the size that the model was trained at; windows \
            of that size slide over its longer side, and where they overlap their logits are averaged. The result is \
            brought to the photo's own size. Masks lie upright, where a photo is to be turned by its Exif data.
            """)

    @Argument(help: "An image, a folder, a .txt list of images, or - for a list on standard input.")
    var paths: [String]

    @Option(name: .shortAndLong, help: ArgumentHelp("The folder for the results.", valueName: "folder"))
    var output = "predictions"

    @OptionGroup var model: ModelOptions

    @Option(
        name: .long,
        help: "What to write: index, color, overlay, confidence, rle; repeatable (default: index overlay).")
    var format: [PredictionFormat] = []

    @OptionGroup var inference: InferenceArguments

    @Flag(help: "Skip images whose results are complete.")
    var resume = false

    @Option(
        help: ArgumentHelp(
            "Take every N-th image, from number I on (1 to N). Under mpirun and srun the ranks divide the images by themselves.",
            valueName: "I/N"), transform: Self.shard)
    var shard: Shard?

    @OptionGroup var json: JSONOptions
    @OptionGroup var common: CommonOptions

    private static func shard(_ text: String) throws -> Shard {
        guard let shard = Shard(text) else {
            throw ValidationError("\(text) is not I/N with I from 1 to N, such as 2/8")
        }
        return shard
    }

    func validate() throws {
        if paths.isEmpty { throw ValidationError("name an image, a folder, a .txt list, or -") }
    }

    func execute() throws {
        let images = try InputImages.find(paths, excluding: output)
        let (network, description, path) = try model.segmentationNetwork()
        var settings = PredictionSettings(output: output)
        if !format.isEmpty { settings.formats = PredictionFormat.allCases.filter(format.contains) }
        settings.inference = try inference.options
        settings.resumes = resume
        settings.shard = shard ?? Shard(environment: ProcessInfo.processInfo.environment)
        let run = PredictionRun(network, classes: description.classes, model: path, settings)
        let result = try run.run(images) { [log, common] record in
            if let error = record.error {
                Console.error(error)
            } else if common.verbose {
                log.debug("\(record.path): \(record.width ?? 0)×\(record.height ?? 0), \(record.seconds ?? 0) s")
            }
        }
        if json.json { try Console.print(json: result.manifest) }
        log.info("\(summary(result))")
        if result.failed > 0 { throw ExitCode(1) }
    }

    private func summary(_ result: PredictionResult) -> String {
        let others = [(result.skipped, "were complete already"), (result.failed, "failed")]
        return others.filter { $0.0 > 0 }.reduce("\(result.done) images segmented into \(output)") {
            $0 + ", \($1.0) \($1.1)"
        }
    }
}
