import ArgumentParser
import BEiTFiles
import BEiTMetrics
import BEiTPrediction
import BEiTReports
import BEiTScoring
import Foundation

struct Classify: ImageCommand {
    static let configuration = CommandConfiguration(
        commandName: "classify", abstract: "Name what photos show: the most probable classes.",
        discussion: HelpText.discussion(
            """
            A line for each photo: its path, then classes with their probabilities in percent, the most probable first,
            with tabs between them. The model is one of `finetune --task classification`, or an imported classifier.
            """,
            examples: "beit-seg classify -m RUN/best.h5 photos/ --top 3"))

    @OptionGroup var photos: PhotoArguments

    @Option(name: .shortAndLong, help: ArgumentHelp("The classifier.", valueName: "file"))
    var model: String

    @Option(help: ArgumentHelp("Classes of each photo.", valueName: "k"))
    var top = 5

    @OptionGroup var view: ClassifierViewOptions

    @Option(help: ArgumentHelp("Photos that go through the network together.", valueName: "n"))
    var batch = 8

    @OptionGroup var precision: PrecisionOptions
    @OptionGroup var json: JSONOptions
    @OptionGroup var reading: ReadingOptions
    @OptionGroup var common: CommonOptions

    /// The result for programs.
    private struct Report: Encodable {
        struct Class: Codable {
            var index: Int
            var name: String
            var probability: Float
        }
        struct Image: Encodable {
            var path: String
            var classes: [Class]
        }
        struct Failure: Encodable { var path, reason: String }
        var model: String
        var images: [Image] = []
        var failed: [Failure] = []
    }

    func validate() throws {
        if top < 1 { throw ValidationError("--top \(top) is not at least 1") }
        guard 1...1024 ~= batch else { throw ValidationError("--batch \(batch) is not 1 to 1024") }
    }

    func execute() throws {
        let team = try Launch.joinIfPossible(threads: common.threads)
        let images = try photos.find(log)
        let classifier = try PhotoClassifier(
            model, cropShare: view.cropShare, precision: precision.precision, reading: reading.choice)
        var report = Report(model: model)
        // Lines of results on the same terminal are progress enough.
        let isQuiet = !json.json && isatty(STDOUT_FILENO) != 0
        try working(on: images.count, quiet: isQuiet) { progress in
            try classifier.classify(
                images.photos(as: classifier.reading), by: team, batch: batch, progress: progress.note(done:)
            ) { _, error in
                progress.fail("\(error)")
            } summary: { _, result in
                result.top(top).map {
                    Report.Class(index: $0.index, name: classifier.classes[$0.index].name, probability: $0.probability)
                }
            } take: { index, outcome in
                let path = images[index].path
                switch outcome {
                case .failed(let reason): report.failed.append(.init(path: path, reason: reason))
                case .done(let classes) where json.json: report.images.append(.init(path: path, classes: classes))
                case .done(let classes): Console.print(line(path, classes))
                }
            }
        }
        if json.json { try Console.print(json: report) }
        if !report.failed.isEmpty { throw ExitCode(1) }
    }

    private func line(_ path: String, _ classes: [Report.Class]) -> String {
        let cells = classes.map { $0.name.shown + String(format: " %.2f %%", 100 * Double($0.probability)) }
        return ([path.shown] + cells).joined(separator: "\t")
    }
}
