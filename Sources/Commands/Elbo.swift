import ArgumentParser
import BEiTDatasets
import BEiTFiles
import BEiTMetrics
import BEiTPrediction
import BEiTReports
import BEiTScoring

struct Elbo: ImageCommand {
    static let configuration = CommandConfiguration(
        commandName: "elbo", abstract: "BEiT's evidence lower bound on photos: reconstruction, prior and KL terms.",
        discussion: HelpText.discussion(
            """
            Estimates ln p(x|x̃) ≥ E ln p(x|z) − KL[q(z|x) ‖ p(z|x̃)] (arXiv:2106.08254 §2.4): how well the tokenizer draws
            photos from their visual tokens, what the tokens cost under a uniform prior, and how much of that masked image
            modeling saves where patches are hidden.
            """,
            examples: "beit-seg elbo photos/ --tokenizer tokenizer.h5 -m runs/mim/best.h5 --report elbo.html"))

    @OptionGroup var photos: PhotoArguments

    @Option(name: .shortAndLong, help: ArgumentHelp("The pre-trained model of visual tokens.", valueName: "file"))
    var model: String

    @Option(help: ArgumentHelp("The tokenizer that it learned from.", valueName: "file"))
    var tokenizer: String

    @Option(
        help: ArgumentHelp("Shares of the patches that are hidden (default: 0.2,0.4,0.6,0.8).", valueName: "list"))
    var ratios: NumberList?

    @Option(help: "How the hidden patches are chosen.")
    var masking = MaskGenerator.Kind.blockwise

    @Option(help: ArgumentHelp("Draws of tokens for the reconstruction of each photo.", valueName: "n"))
    var samples = 1

    @Option(help: "Of masks and draws.")
    var seed: UInt64 = 0

    @Option(help: ArgumentHelp("Write a page with the terms and what they mean there.", valueName: "file"))
    var report: String?

    @OptionGroup var precision: PrecisionOptions
    @OptionGroup var json: JSONOptions
    @OptionGroup var reading: ReadingOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        if let ratios, ratios.values.isEmpty || !ratios.values.allSatisfy({ $0 > 0 && $0 <= 1 }) {
            throw ValidationError("--ratios is not a list of shares above 0 and up to 1, such as 0.2,0.4")
        }
        if !(1...1000).contains(samples) { throw ValidationError("--samples \(samples) is not 1 to 1000") }
    }

    func execute() throws {
        // The report comes last, after all the work.
        if let report { try AtomicFile.requireWritable(report) }
        let team = try Launch.joinIfPossible(threads: common.threads)
        let images = try photos.find(log)
        if let report {
            try OutputCheck.check(write: report, reads: images.map(\.path).files + photos.paths + [model, tokenizer])
        }
        var settings = EvidenceSettings()
        if let ratios { settings.ratios = ratios.values.map { (Double($0) * 1e6).rounded() / 1e6 } }
        (settings.masking, settings.samples, settings.seed) = (masking, samples, seed)
        let bound = try EvidenceBound(
            tokenizer: tokenizer, model: model, settings, precision: precision.precision, reading: reading.choice)
        let result = try working(on: images.count) { progress in
            try bound.estimate(images, by: team, progress: progress.note(done:), failed: progress.fail)
        }
        if json.json { try Console.print(json: result) } else { Console.print(result.text) }
        if let report {
            try team.first {
                try AtomicFile.write(result.page([("model", model), ("tokenizer", tokenizer)]), to: report)
            }
            log.info("the report is \(report)")
        }
        if !result.failed.isEmpty { throw ExitCode(1) }
    }
}
