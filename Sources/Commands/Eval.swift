import ArgumentParser
import BEiTCheckpoints
import BEiTDatasets
import BEiTFiles
import BEiTImageIO
import BEiTMetrics
import BEiTPrediction
import BEiTProcesses
import BEiTReports
import BEiTScoring
import BEiTSeg
import Foundation

/// Which labelled images are scored.
struct LabelledSetOptions: ParsableArguments {
    @Option(help: ArgumentHelp("A data set or its tar shards; see --layout and --split.", valueName: "folder"))
    var data: String?

    @Option(help: "The part of the data set: train, val, or another name of a folder or list (test).")
    var split = DatasetSplit.val

    @Option(help: ArgumentHelp("Photos, each with a mask of the same name in --masks.", valueName: "folder"))
    var images: String?

    @Option(
        help: ArgumentHelp(
            "Masks: grey or palette PNGs or TIFFs of class indices, or RGB ones in the classes' colours.",
            valueName: "folder"))
    var masks: String?

    @Option(help: ArgumentHelp("Score these masks instead of a model.", valueName: "folder"))
    var predictions: String?

    @Option(
        help: """
            What --predictions hold with a label map or a zero label: masks (the same values as --masks, read by the same \
            rules), or classes (class indices); default: what their values tell.
            """)
    var predictionValues: PredictionValues?

    @Option(help: ArgumentHelp("The masks' classes, a line `name R G B` each.", valueName: "file"))
    var classes: String?

    @Option(help: ArgumentHelp("What the masks' values mean, a line `VALUE CLASS` each.", valueName: "file"))
    var labelMap: String?

    @OptionGroup var values: MaskOptions

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
        if predictions == nil, predictionValues != nil {
            throw ValidationError("--prediction-values belongs to --predictions")
        }
        let isOfSets = values.validation != nil || values.layout != nil
        if data == nil, isOfSets || values.photos != nil || values.unlabelled != nil {
            throw ValidationError("--layout, --validation, --photos and --unlabelled belong to --data")
        }
        if let problem = rules.problem { throw ValidationError(problem) }
    }

    private var rules: LabelRules {
        var rules = values.rules
        (rules.labelMap, rules.classes) = (labelMap, classes)
        return rules
    }

    /// Masks and predictions, where no model is to be run.
    func predictionSet() throws -> LabelledSet? {
        guard let predictions, let masks else { return nil }
        return try LabelledSet(predictions: predictions, masks: masks, rules, values: predictionValues)
    }

    /// Photos and masks for a model of these classes; `samples/` where no option names any.
    /// - Parameter page: of the photos.
    func photoSet(classes: [LabelClass], page: Int) throws -> LabelledSet {
        if let data {
            var options = DatasetOptions([data])
            values.apply(to: &options)
            options.labelMaps = labelMap.map { [$0] } ?? []
            return try LabelledSet(options, split, page: page)
        }
        if let images, let masks {
            return try LabelledSet(images: images, masks: masks, rules, classes: classes, page: page)
        }
        let samples = try SampleImages.folder()
        var rules = rules
        rules.classes = rules.classes ?? samples + "/classes.txt"
        return try LabelledSet(
            images: samples + "/images", masks: samples + "/masks", rules, classes: [], page: page)
    }
}

extension LabelledSetOptions {
    /// What is scored, for a report.
    var facts: [(name: String, value: String)] {
        if let data { return [("data", data), ("split", split.rawValue)] }
        return [
            ("predictions", predictions), ("photos", images), ("masks", masks),
            ("data", masks == nil ? "the samples that ship" : nil),
        ].compactMap { name, value in value.map { (name, $0) } }
    }
}

extension PredictionValues: ExpressibleByArgument {}

struct Eval: ImageCommand {
    static let configuration = CommandConfiguration(
        commandName: "eval", abstract: "Score a model, or finished masks, on labelled images.",
        discussion: HelpText.discussion(
            """
            IoU is accumulated over all images, not averaged per image. The interval behind mIoU is a bootstrap over
            images. With --miou alone the model that ships is scored on samples/.
            """,
            examples: "beit-seg eval --miou --data DATA/ -m RUN/best.h5 --report REPORT/",
            "beit-seg eval --miou --predictions masks/ --masks truth/",
            "beit-seg eval --top1 --data DATA/ -m RUN/best.h5 --report REPORT/"))

    @Flag(help: "The IoU of every class, and their mean.")
    var miou = false

    @Flag(help: "The accuracy of a classifier on class folders (val/CLASS/photo.jpg): top-1, top-5, per class.")
    var top1 = false

    @OptionGroup var set: LabelledSetOptions
    @OptionGroup var model: ModelOptions

    @Option(help: ArgumentHelp("Score this model as well, on the same images, and compare.", valueName: "file"))
    var compare: String?

    @Option(
        help: """
            What a class counts as that the masks do not have, predicted where they say background: shared, background; own, \
            an error (default: as the model has learned).
            """)
    var background: BackgroundMeaning?

    @OptionGroup var inference: InferenceArguments
    @OptionGroup(title: "Classification") var view: ClassifierViewOptions

    @Option(help: ArgumentHelp("Write report.html, metrics.json, tables and pictures there.", valueName: "folder"))
    var report: String?

    @Option(help: "Of the bootstrap's generator.")
    var seed: UInt64 = 0

    @OptionGroup var json: JSONOptions
    @OptionGroup var reading: ReadingOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        if report == "" { throw ValidationError("--report names no folder") }
        if top1 { return try validateTop1() }
        if !miou { throw ValidationError("say what to measure: --miou or --top1") }
        if view.cropShare != nil { throw ValidationError("--crop-share belongs to --top1") }
        if set.predictions != nil, model.model != nil {
            throw ValidationError("--predictions are scored without a model; leave --model out")
        }
        if set.predictions != nil, background != nil {
            throw ValidationError("--background is about a model's classes, and --predictions are scored without one")
        }
        if set.predictions != nil, compare != nil {
            throw ValidationError("--compare compares models, and --predictions are scored without any")
        }
        if set.predictions != nil, !reading.given().isEmpty || reading.page != nil {
            throw ValidationError(
                "--range, --bands and --page are about photos, and --predictions are scored without any")
        }
    }

    /// What was measured.
    private struct Result {
        var report: ScoreReport
        /// A score for each model.
        var scores: [SegmentationScore]
        var source: ScoreSource
    }

    func execute() throws {
        try requireReportApart(from: named)
        if top1 { return try scoreClassifier() }
        let team = try Launch.joinIfPossible(threads: common.threads)
        let folder = try report.map(ReportFolder.init)
        let gallery = folder.map { _ in ScoreGallery() }
        let result = try set.predictionSet().map { try score($0, team, gallery) } ?? scoreModels(team, gallery)
        let metrics = try JSONText.pretty(result.report)
        Console.print(json.json ? metrics : result.report.table)
        if let folder, let gallery {
            try team.first {
                try folder.write(result.report, result.scores, gallery, result.source, metrics: metrics)
            }
            log.info("the report is \(folder.page)")
        }
        if !result.scores[0].failed.isEmpty { throw ExitCode(1) }
    }

    /// What the options name for reading.
    private var named: [String] {
        [
            set.data, set.images, set.masks, set.predictions, set.classes, set.labelMap, compare,
            set.predictions == nil ? try? model.path() : nil,
        ].compactMap { $0 }
    }

    /// Sees to it that the report overwrites nothing that is read. Throws `FileError` of status 64.
    func requireReportApart(from reads: [String]) throws {
        guard let report else { return }
        var check = OutputCheck(reads: reads)
        try check.check(writeInto: report)
        for file in ReportFolder.files(in: report) { try check.check(write: file) }
    }

    func say(_ note: LabelNote) {
        if note.isWarning { log.warning("\(note.line)") } else { log.info("\(note.line)") }
    }

    private func scoring(
        _ set: LabelledSet, _ team: any Communicator, _ gallery: ScoreGallery?, _ progress: ImageProgress
    ) -> Scoring {
        Scoring(
            set, by: team, gallery: gallery, report: { progress.fail($0.reason) }, progress: progress.note(done:))
    }

    private func score(
        _ predictions: LabelledSet, _ team: any Communicator, _ gallery: ScoreGallery?
    ) throws -> Result {
        try requireReportApart(from: predictions.pairs.flatMap { [$0.image, $0.mask] })
        let score = try working(on: predictions.pairs.count) {
            try scoring(predictions, team, gallery, $0).scorePredictions()
        }
        predictions.notes.forEach(say)
        if predictions.classes == nil {
            log.info("the classes are taken to be 0 to \(score.classes.count - 1); --classes names them")
        }
        return Result(
            report: ScoreReport(score, seed: seed), scores: [score],
            source: ScoreSource(subject: lastName(set.predictions ?? ""), facts: set.facts))
    }

    private func scoreModels(_ team: any Communicator, _ gallery: ScoreGallery?) throws -> Result {
        var models = [try load(model)]
        if let compare {
            var other = model
            other.model = compare
            models.append(try load(other))
        }
        let photos = try set.photoSet(classes: models[0].classes, page: reading.choice.page ?? 1)
        try requireReportApart(from: photos.pairs.flatMap { [$0.image, $0.mask] })
        var notes: [LabelNote] = []
        for note in models.compactMap({ photos.positionNote($0.classes) }) where !notes.contains(note) {
            notes.append(note)
            say(note)
        }
        sayBackgrounds(models, photos)
        var options = try inference.options
        options.reading = reading.choice
        let scores = try working(on: photos.pairs.count) { [options] in
            try scoring(photos, team, gallery, $0).score(models, options)
        }
        photos.notes.forEach(say)
        var report = ScoreReport(scores[0], seed: seed)
        if models.count > 1 {
            report.comparison = try Scoring(photos).compare((models[0], models[1]), (scores[0], scores[1]), seed: seed)
        }
        let names = zip(["model", "compared with"], models).map { (name: $0, value: $1.path) }
        let precision = self.model.precision.precision.map { "--precision \($0.rawValue)" }
        let meaning = background.map { "--background \($0.rawValue)" }
        let given = [inference.given(), reading.given(), precision ?? "", meaning ?? ""].filter { !$0.isEmpty }
        let facts = given.isEmpty ? [] : [(name: "options", value: given.joined(separator: " "))]
        return Result(
            report: report, scores: scores,
            source: ScoreSource(
                subject: models.map { lastName($0.path) }.joined(separator: " and "), facts: names + set.facts + facts
            ))
    }

    private func load(_ options: ModelOptions) throws -> ScoredModel {
        let (network, description, path) = try options.segmentationNetwork(size: inference.modelSize)
        if description.preprocessing.reduceZeroLabel == true, !set.values.reduceZeroLabel, set.values.layout != .ade20k
        {
            log.info("\(path) has learned from masks whose label 0 is void: --reduce-zero-label where these are so too")
        }
        if description.precision != .fp32 { log.info("\(path) computes in \(description.precision.rawValue)") }
        let isShared = background.map { $0 == .shared } ?? (description.preprocessing.sharesBackground == true)
        return ScoredModel(network, classes: description.classes, path: path, sharesBackground: isShared)
    }

    /// Says where a class that the masks lack counts as background.
    private func sayBackgrounds(_ models: [ScoredModel], _ photos: LabelledSet) {
        let backgrounds = models.map { photos.background(in: $0.classes) }
        for (model, background) in zip(models, backgrounds) where model.sharesBackground {
            guard let background else { continue }
            log.info(
                """
                \(model.path): where the masks say \(model.classes[background.index].name), any of its \
                \(background.others.count) classes that they do not have counts as that (--background own: as an error)
                """)
        }
        if backgrounds.contains(where: { $0 != nil }), Set(models.map(\.sharesBackground)).count > 1 {
            log.warning("the models are scored by two rules: --background shared or own puts both under one")
        }
    }

    private func lastName(_ path: String) -> String { (path as NSString).lastPathComponent }
}
