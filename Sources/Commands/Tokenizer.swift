import ArgumentParser
import BEiTCheckpoints
import BEiTFiles
import BEiTMetrics
import BEiTPrediction
import BEiTReports
import BEiTScoring

struct Tokenizer: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokenizer", abstract: "The image tokenizer (a discrete VAE): learn it, use it, look at it.",
        discussion: HelpText.discussion(
            examples: "beit-seg tokenizer train --data photos/ --preset tiny -o runs/tokenizer",
            "beit-seg tokenizer reconstruct -m runs/tokenizer/best.h5 photos/ -o pairs/ --sheet pairs.png",
            "beit-seg tokenizer encode -m runs/tokenizer/best.h5 photos/ -o tokens.h5"),
        subcommands: [TokenizerTrain.self, TokenizerEncode.self, TokenizerReconstruct.self])
}

/// Which tokenizer sees which photos.
struct TokenizerInput: ParsableArguments {
    @OptionGroup var photos: PhotoArguments

    @Option(name: .shortAndLong, help: ArgumentHelp("The tokenizer's checkpoint.", valueName: "file"))
    var model: String

    @Option(
        help: ArgumentHelp(
            "Pixels that the tokenizer sees; multiples of those a token stands for (default: the checkpoint's).",
            valueName: "n|hxw"))
    var size: SizeArgument?

    /// All that is read.
    func files(_ images: [InputImage]) -> [String] { images.map(\.path).files + photos.paths + [model] }

    /// - Parameter decoding: whether pictures are to be made of tokens.
    func tokenizer(
        _ precision: PrecisionOptions, _ reading: ReadingOptions, decoding: Bool = false
    ) throws -> PhotoTokenizer {
        try PhotoTokenizer(
            model, size: size?.sides, decoding: decoding, precision: precision.precision, reading: reading.choice)
    }
}

struct TokenizerEncode: ImageCommand {
    static let configuration = CommandConfiguration(
        commandName: "encode", abstract: "Write the visual tokens of photos.",
        discussion: HelpText.discussion(
            """
            Of each photo the largest central part of the size's shape is resized to it. The file holds tokens, [N, rows,
            columns], and paths, [N]; its attributes name the tokenizer by its SHA-256, the size and the filter.
            """,
            examples: "beit-seg tokenizer encode -m tokenizer.h5 photos/ -o tokens.h5"))

    @OptionGroup var input: TokenizerInput

    @Option(name: .shortAndLong, help: ArgumentHelp("The file to write.", valueName: "file"))
    var output: String

    @OptionGroup var precision: PrecisionOptions
    @OptionGroup var json: JSONOptions
    @OptionGroup var reading: ReadingOptions
    @OptionGroup var common: CommonOptions

    /// The result for programs.
    private struct Report: Encodable {
        var images = 0
        var grid: [Int]
        var vocabulary: Int
        /// Different codes among all tokens.
        var codes = 0
        var failed: [String] = []
    }

    func execute() throws {
        let team = try Launch.joinIfPossible(threads: common.threads)
        let images = try input.photos.find(excluding: output, log)
        try OutputCheck.check(write: output, reads: input.files(images))
        let tokenizer = try input.tokenizer(precision, reading)
        var cache: TokenCache.Writer?
        try team.first {
            cache = try TokenCache.Writer(
                output, tokenizer.description, grid: tokenizer.grid, count: images.count)
        }
        var report = Report(grid: tokenizer.grid, vocabulary: tokenizer.description.vocabulary)
        var seen: Set<Int32> = []
        try working(on: images.count) { progress in
            try tokenizer.encode(images, by: team, progress: progress.note(done:)) { _, error in
                progress.fail("\(error)")
            } summary: { _, encoding in
                encoding.tokens
            } take: { index, outcome in
                switch outcome {
                case .failed(let reason): report.failed.append(reason)
                case .done(let tokens):
                    try cache?.append(tokens, [images[index].path])
                    seen.formUnion(tokens)
                    report.images += 1
                }
            }
        }
        report.codes = seen.count
        try team.first { if report.images > 0 { try cache?.finish() } }
        if json.json { try Console.print(json: report) }
        let (rows, columns) = (report.grid[0], report.grid[1])
        let summary =
            report.images == 0
            ? "no photo could be read, so \(output) is not written"
            : "\(report.images.counted("photo")) as \(rows)×\(columns) tokens in \(output), "
                + "\(report.codes) of \(report.vocabulary) codes in use"
        log.info("\(summary)")
        if !report.failed.isEmpty { throw ExitCode(1) }
    }
}

struct TokenizerReconstruct: ImageCommand {
    static let configuration = CommandConfiguration(
        commandName: "reconstruct", abstract: "Write photos beside what their visual tokens keep of them.",
        discussion: HelpText.discussion(
            examples: "beit-seg tokenizer reconstruct -m tokenizer.h5 photos/ -o pairs/ --sheet pairs.png"))

    @OptionGroup var input: TokenizerInput

    @Option(name: .shortAndLong, help: ArgumentHelp("The folder for the pairs.", valueName: "folder"))
    var output: String

    @Option(
        help: ArgumentHelp(
            "A PNG with the first \(Reconstruction.mostDrawn) pairs, four a row.", valueName: "file"))
    var sheet: String?

    @OptionGroup var precision: PrecisionOptions
    @OptionGroup var json: JSONOptions
    @OptionGroup var reading: ReadingOptions
    @OptionGroup var common: CommonOptions

    /// The result for programs.
    private struct Report: Encodable {
        var images: [TokenizerRecord]
        /// Means over the photos, for pixels within 0…1.
        var mse: Double?
        var l1: Double?
    }

    func execute() throws {
        let images = try input.photos.find(excluding: output, log)
        var check = OutputCheck(reads: input.files(images))
        for image in images { try check.check(write: Reconstruction.path(of: image, in: output)) }
        if let sheet { try check.check(write: sheet) }
        let run = Reconstruction(try input.tokenizer(precision, reading, decoding: true), output: output)
        let records = try working(on: images.count) { progress in
            try run.run(images, sheet: sheet, progress: progress.note(done:)) { record in
                if let error = record.error { progress.fail(error) } else { log.debug("\(record.path)") }
            }
        }
        let done = records.filter { $0.error == nil }
        let report = Report(images: records, mse: mean(done.compactMap(\.mse)), l1: mean(done.compactMap(\.l1)))
        if json.json { try Console.print(json: report) }
        let errors = zip(["squared error", "absolute error"], [report.mse, report.l1]).compactMap { name, value in
            value.map { "\(name) \(Float($0))" }
        }
        let means = errors.isEmpty ? "" : "; mean " + errors.joined(separator: ", ")
        log.info(
            "\(done.count.counted("photo")) beside \(done.count == 1 ? "its reconstruction" : "their reconstructions") in \(output)\(means)"
        )
        if done.count < records.count { throw ExitCode(1) }
    }

    private func mean(_ values: [Double]) -> Double? {
        values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
    }
}
