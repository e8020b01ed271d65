import ArgumentParser
import BEiTCheckpoints
import BEiTFiles
import BEiTImageIO
import BEiTMetrics
import BEiTModels
import BEiTOps
import BEiTPrediction
import BEiTProcesses
import BEiTReports
import BEiTScoring
import Foundation

/// How photos are shown to a segmentation model; `predict` and `eval` share it.
struct InferenceArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Resize photos until their short side has this many pixels, and the model's positions with them (default: the model's own size). With --slide the model stays as it is.",
            valueName: "pixels"))
    var size: Int?

    @Flag(help: "Slide windows of the model's size over the photo's own pixels, or over those of --size.")
    var slide = false

    @Option(
        help: ArgumentHelp(
            "Slide windows of this side, in pixels of the photo; with or without --slide.", valueName: "pixels"))
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

    @Option(
        help: ArgumentHelp(
            "Refuse images with more pixels; they need 3 bytes a pixel and more.", valueName: "n"))
    var maxPixels = ImageLimits().maximumPixels

    func validate() throws {
        if crop != nil, size != nil { throw ValidationError("--crop excludes --size") }
        let numbers = [
            ("size", size, 1...65_536), ("crop", crop, 1...65_536), ("stride", stride, 1...65_536),
            ("batch", batch, 1...1024), ("max-pixels", maxPixels, 1...1 << 40),
        ]
        for case (let name, let value?, let range) in numbers where !range.contains(value) {
            throw ValidationError("--\(name) \(value) is not \(range.lowerBound) to \(range.upperBound)")
        }
        _ = try factors
    }

    /// The size that the model is to have; nil for its own.
    var modelSize: [Int]? { slide ? nil : size.map { [$0, $0] } }

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
            options.resizing = crop.map { .crop($0) } ?? (slide ? size.map { .shortSide($0) } ?? .none : .toWindow)
            (options.stride, options.flips, options.batch) = (stride, flip, batch)
            options.scales = try factors
            options.maximumPixels = maxPixels
            return options
        }
    }
}

extension InferenceArguments {
    /// The options that change results, as they were typed.
    func given() -> String {
        let numbers = [("size", size), ("crop", crop), ("stride", stride)].compactMap { name, value in
            value.map { "--\(name) \($0)" }
        }
        let others = [
            slide ? "--slide" : nil, scales.map { "--scales \($0)" }, flip ? "--flip" : nil,
        ]
        return (numbers + others.compactMap { $0 }).joined(separator: " ")
    }
}

extension ModelOptions {
    /// Loads a segmentation model, for another input size where one is given. Throws ``CheckpointError`` or
    /// ``DefaultModel/NotFound``.
    func segmentationNetwork(size: [Int]?) throws -> (
        network: WindowNetwork, description: ModelDescription, path: String
    ) {
        let model = try SegmentationModel(try path(), size: size, precision: precision.precision)
        return (model.network, model.description, model.path)
    }
}

struct Predict: ImageCommand {
    static let configuration = CommandConfiguration(
        commandName: "predict", abstract: "Segment images.",
        discussion: HelpText.discussion(
            """
            A photo is resized, keeping its ratio, until it just covers the size that the model was trained at; windows
            of that size slide over its longer side, and where they overlap their logits are averaged. The result is
            brought to the photo's own size. Masks lie upright, where a photo is to be turned by its Exif data.
            """,
            examples: "beit-seg predict photos/ -o masks/",
            "beit-seg predict drone/ -o masks/ --tile --slide",
            "beit-seg predict stack.tif -o masks/ --page all --range 0,4095",
            "beit-seg predict photos/ -o masks/ -m RUN/best.h5 --format index probabilities",
            "beit-seg predict mosaic.tif -o maps/ --tile --slide --format polygons areas --min-area 100"))

    static let takesSeveralPages = true

    @OptionGroup var photos: PhotoArguments

    @Option(name: .shortAndLong, help: ArgumentHelp("The folder for the results.", valueName: "folder"))
    var output = "predictions"

    @Flag(help: "Name results after the images alone, without the folders that these lie in.")
    var flat = false

    @OptionGroup var model: ModelOptions

    @Option(
        help: ArgumentHelp(
            "What to write: index, tiff, color, overlay, confidence, probabilities, rle, masks, polygons; for the run as a whole coco, areas; one or several (default: index overlay).",
            valueName: "formats"), transform: Self.formats)
    var format: [[PredictionFormat]] = []

    @OptionGroup var selection: SelectionArguments

    @OptionGroup var inference: InferenceArguments

    @Option(
        help: ArgumentHelp("The colours' share in overlays, 0 to 1 (default: 0.5, of contours 1).", valueName: "share"))
    var opacity: Double?

    @Flag(help: "Draw only the borders of the classes' regions on overlays.")
    var contours = false

    @Flag(name: .customLong("no-legend"), help: "Leave the names of the classes out of overlays.")
    var hasNoLegend = false

    @Option(
        help: ArgumentHelp(
            "The side of a photo's pixel on the ground, for areas in square metres (default: what its map tells).",
            valueName: "metres"))
    var pixelSize: Double?

    @Option(
        help: ArgumentHelp(
            "How far the lines of polygons may lie beside the regions' own (default: 0, along the pixels).",
            valueName: "pixels"))
    var tolerance = 0.0

    @Flag(help: "Polygons in pixels from the top left corner also where the photo lies on a map.")
    var pixelCoordinates = false

    @Flag(
        help:
            "Read images row by row, for those larger than memory; the results are the same. To see all that a large image shows, add --slide."
    )
    var tile = false

    @Flag(help: "Skip images whose results are complete.")
    var resume = false

    @Option(
        help: ArgumentHelp(
            "Take every N-th image, from number I on (1 to N). Under mpirun and srun several processes share the images by themselves.",
            valueName: "I/N"), transform: Self.shard)
    var shard: Shard?

    @OptionGroup var json: JSONOptions
    @OptionGroup var reading: ReadingOptions
    @OptionGroup var common: CommonOptions

    private static func shard(_ text: String) throws -> Shard {
        guard let shard = Shard(text) else {
            throw ValidationError("\(text) is not I/N with I from 1 to N, such as 2/8")
        }
        return shard
    }

    /// `--format tiff polygons areas`: words after the option that are formats belong to it, as if there were commas. A folder
    /// of such a name is `./areas`.
    static func joiningFormats(_ arguments: [String]) -> [String] {
        guard arguments.first == configuration.commandName else { return arguments }
        var (joined, isFormat): ([String], Bool) = ([], false)
        for argument in arguments {
            if isFormat, PredictionFormat(rawValue: argument) != nil {
                joined[joined.count - 1] += "," + argument
                continue
            }
            joined.append(argument)
            isFormat = joined.dropLast().last == "--format" || argument.hasPrefix("--format=")
        }
        return joined
    }

    private static func formats(_ text: String) throws -> [PredictionFormat] {
        try text.split(separator: ",", omittingEmptySubsequences: false).map {
            guard let format = PredictionFormat(rawValue: String($0)), format.isAvailable else {
                if $0 == "tiff" { throw ValidationError("this program was built without TIFF") }
                let all = PredictionFormat.available.map(\.rawValue).joined(separator: ", ")
                throw ValidationError("\($0.isEmpty ? "an empty name" : String($0)) is no format; there are \(all)")
            }
            return format
        }
    }

    func validate() throws {
        if output.isEmpty { throw ValidationError("--output is empty; name a folder (. is the current one)") }
        if let opacity, !(0...1).contains(opacity) { throw ValidationError("--opacity \(opacity) is not 0 to 1") }
        if let pixelSize, !(pixelSize > 0 && pixelSize < 1e9) {
            throw ValidationError("--pixel-size \(pixelSize) is no length in metres")
        }
        guard tolerance >= 0, tolerance < 1e6 else {
            throw ValidationError("--tolerance \(tolerance) is not a number of pixels, such as 1.5")
        }
        if pixelCoordinates, !format.joined().contains(.polygons) {
            throw ValidationError("--pixel-coordinates is for polygons; add --format polygons")
        }
        if contours, !format.isEmpty, !format.joined().contains(.overlay) {
            throw ValidationError("--contours is for overlays; add --format overlay")
        }
    }

    func execute() throws {
        // A part that is named is nobody else's affair.
        let team = try shard == nil ? Launch.joinIfPossible(threads: common.threads) : SingleProcess()
        var images = try photos.find(excluding: output, flat: flat, log)
        if let pages = reading.page { images = images.flatMap { $0.pages(pages) } }
        var heading = PredictionHeading(model: try model.path())
        let (network, description, _) = try model.segmentationNetwork(size: inference.modelSize)
        var settings = PredictionSettings(output: output)
        if !format.isEmpty { settings.formats = PredictionFormat.allCases.filter(format.joined().contains) }
        settings.inference = try inference.options
        settings.inference.reading = reading.choice
        (settings.tiles, settings.resumes) = (tile, resume)
        settings.overlay = OverlayStyle(
            opacity: opacity ?? (contours ? 1 : 0.5), hasLegend: !hasNoLegend, hasContours: contours)
        settings.selection = try selection.selection
        (settings.pixelSize, settings.tolerance) = (pixelSize, tolerance)
        settings.polygonsInPixels = pixelCoordinates
        settings.alsoRead = photos.paths
        settings.shard =
            try shard ?? (team.size > 1 ? nil : Shard.ofLauncher(ProcessInfo.processInfo.environment))
        heading.options = given(description.precision)
        let run = try PredictionRun(network, classes: description.classes, heading: heading, settings)
        let result = try working { progress in
            try run.run(images, by: team) { [log, common] event in
                switch event {
                case .progress(_, let share): progress.note(share: share)
                case .finished(let record, let done, let all):
                    progress.note(done: done, of: all, error: record.error)
                    guard common.verbose, record.error == nil else { return }
                    log.debug(
                        "\(record.name): \(record.width ?? 0)×\(record.height ?? 0), \(String(format: "%.2f", record.seconds ?? 0)) s"
                    )
                }
            }
        }
        if json.json { try Console.print(json: result.manifest) }
        log.info("\(summary(result, description.precision))")
        if result.failed > 0 { throw ExitCode(1) }
    }

    /// The options that change results, as they were typed.
    private func given(_ precision: Precision) -> String {
        let overlays = [
            precision == .fp32 ? nil : "--precision \(precision.rawValue)",
            opacity.flatMap { $0 == (contours ? 1 : 0.5) ? nil : "--opacity \($0)" }, hasNoLegend ? "--no-legend" : nil,
            contours ? "--contours" : nil, pixelSize.map { "--pixel-size \($0)" },
            tolerance > 0 ? "--tolerance \(tolerance)" : nil, pixelCoordinates ? "--pixel-coordinates" : nil,
        ]
        return ([inference.given(), reading.given(), selection.given()] + overlays.compactMap { $0 }).filter {
            !$0.isEmpty
        }.joined(
            separator: " ")
    }

    private func summary(_ result: PredictionResult, _ precision: Precision) -> String {
        let done = "\(result.done.counted("image")) segmented into \(output)"
        let numbers = precision == .fp32 ? "" : " in \(precision.rawValue)"
        let others = [(result.skipped, "were complete already"), (result.failed, "failed")]
        return others.filter { $0.0 > 0 }.reduce(done + numbers) {
            $0 + ", \($1.0) \($1.1)"
        }
    }
}
