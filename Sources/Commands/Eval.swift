import ArgumentParser
import Checkpoints
import Datasets
import Evaluation
import Files
import Foundation

/// Which labelled images are scored.
struct LabelledSetOptions: ParsableArguments {
    @Option(help: ArgumentHelp("A data set; see --layout and --split.", valueName: "folder"))
    var data: String?

    @Option(help: "The data set's layout: folders, ade20k, voc, cityscapes, camvid (default: the one that is there).")
    var layout: DatasetLayout?

    @Option(help: "The part of the data set: train, val.")
    var split = DatasetSplit.val

    @Option(help: ArgumentHelp("Photos, each with a mask of the same name in --masks.", valueName: "folder"))
    var images: String?

    @Option(help: ArgumentHelp("Masks: grey or palette PNGs of class indices.", valueName: "folder"))
    var masks: String?

    @Option(help: ArgumentHelp("Score these masks instead of a model.", valueName: "folder"))
    var predictions: String?

    @Option(help: ArgumentHelp("The masks' classes, a line `name R G B` each.", valueName: "file"))
    var classes: String?

    @Option(help: ArgumentHelp("The value of pixels that do not count.", valueName: "value"))
    var ignoreIndex = 255

    @Flag(help: "Masks hold 0 for void and n for class n - 1.")
    var reduceZeroLabel = false

    @Option(help: ArgumentHelp("What the masks' values mean, a line `VALUE CLASS` each.", valueName: "file"))
    var labelMap: String?

    func validate() throws {
        if predictions != nil || images != nil, masks == nil { throw ValidationError("--masks is missing") }
        if masks != nil, (images == nil) == (predictions == nil) {
            throw ValidationError("--masks needs one of --images and --predictions")
        }
        if data != nil, masks != nil { throw ValidationError("--data and --masks exclude each other") }
        if data != nil, classes != nil { throw ValidationError("--data brings its own classes; leave --classes out") }
        if labelMap != nil, predictions != nil, classes == nil {
            throw ValidationError("--label-map names classes, so --predictions needs --classes with it")
        }
        guard (0...65_535).contains(ignoreIndex) else {
            throw ValidationError("--ignore-index \(ignoreIndex) is not 0 to 65535")
        }
    }

    private var rules: LabelRules {
        var rules = LabelRules()
        (rules.ignoreIndex, rules.reducesZeroLabel) = (ignoreIndex, reduceZeroLabel)
        (rules.labelMap, rules.classes) = (labelMap, classes)
        return rules
    }

    /// Masks and predictions, where no model is to be run.
    func predictionSet() throws -> LabelledSet? {
        guard let predictions, let masks else { return nil }
        return try LabelledSet(predictions: predictions, masks: masks, rules)
    }

    /// Photos and masks for a model of these classes; `samples/` where no option names any.
    func photoSet(classes: [ClassInfo]) throws -> LabelledSet {
        if let data {
            var options = DatasetOptions([data])
            (options.layout, options.ignoreIndex) = (layout, ignoreIndex)
            (options.reducesZeroLabel, options.labelMaps) = (reduceZeroLabel, labelMap.map { [$0] } ?? [])
            return try LabelledSet(options, split)
        }
        if let images, let masks {
            let classes = classes.map {
                LabelClass(name: $0.name, color: .init($0.color[0], $0.color[1], $0.color[2]))
            }
            return try LabelledSet(images: images, masks: masks, rules, classes: classes)
        }
        let samples = try SampleImages.folder()
        var rules = rules
        rules.classes = rules.classes ?? samples + "/classes.txt"
        return try LabelledSet(images: samples + "/images", masks: samples + "/masks", rules, classes: [])
    }
}

extension DatasetLayout: ExpressibleByArgument {}
extension DatasetSplit: ExpressibleByArgument {}

struct Eval: Command {
    static let configuration = CommandConfiguration(
        commandName: "eval", abstract: "Score a model, or finished masks, on labelled images.",
        discussion: """
            Example: beit-seg eval --miou --data DATA/ -m RUN/best.h5

            IoU is accumulated over all images, not averaged per image. The interval behind mIoU is a bootstrap over \
            images. With --miou alone the model that ships is scored on samples/.
            """)

    @Flag(help: "The IoU of every class, and their mean.")
    var miou = false

    @OptionGroup var set: LabelledSetOptions
    @OptionGroup var model: ModelOptions
    @OptionGroup var inference: InferenceArguments

    @Option(help: "Of the bootstrap's generator.")
    var seed: UInt64 = 0

    @OptionGroup var json: JSONOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        if !miou { throw ValidationError("say what to measure: --miou") }
        if set.predictions != nil, model.model != nil {
            throw ValidationError("--predictions are scored without a model; leave --model out")
        }
    }

    func execute() throws {
        let score = try score()
        let report = ScoreReport(score, seed: seed)
        if json.json { try Console.print(json: report) } else { print(report.table) }
        if !score.failed.isEmpty { throw ExitCode(1) }
    }

    private func score() throws -> SegmentationScore {
        let report = { (failure: SegmentationScore.Failure) in Console.error(failure.reason) }
        if let predictions = try set.predictionSet() {
            let score = try Scoring(predictions, report: report).scorePredictions()
            if predictions.classes == nil {
                log.info("the classes are taken to be 0 to \(score.classes.count - 1); --classes names them")
            }
            return score
        }
        let (network, description, _) = try model.segmentationNetwork()
        let photos = try set.photoSet(classes: description.classes)
        return try Scoring(photos, report: report).score(
            network, classes: description.classes, try inference.options)
    }
}
