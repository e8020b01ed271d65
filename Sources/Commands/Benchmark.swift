import ArgumentParser
import BEiTFiles
import BEiTModels
import BEiTOps
import BEiTTraining
import Foundation

struct Benchmark: Command {
    static let configuration = CommandConfiguration(
        commandName: "benchmark", abstract: "Measure images/s of a segmentation model beside the machine's own peak.",
        discussion: HelpText.discussion(
            """
            Times a BEiT segmentation model with random weights (pretraining-step: a masked image model of 8192 tokens from a
            cache; tokenizer-step: the tokenizer of the preset's name), and a loop of fused multiply-adds on registers, which
            is the most that this machine's cores can do.
            """,
            examples: "beit-seg benchmark --preset base --size 224 --size 512 --batch 1 --batch 8 --json"))

    @Option(help: "Size of the model: \(Preset.allCases.map(\.rawValue).joined(separator: ", ")).")
    var preset = Preset.base
    @Option(help: "The decoder: \(DecoderConfiguration.Name.allCases.map(\.rawValue).joined(separator: ", ")).")
    var decoder = DecoderConfiguration.Name.deconvolution
    @Option(help: "Side of the image in pixels; repeatable (default: 224).")
    var size: [Int] = []
    @Option(help: "Images in a batch; repeatable (default: 1).")
    var batch: [Int] = []
    @Option(
        help: """
            What to time: \(SpeedResult.Pass.allCases.map(\.rawValue).joined(separator: ", ")); repeatable (default: the \
            first two). Steps take --precision fp32 or bf16.
            """)
    var pass: [SpeedResult.Pass] = []
    @Option(help: "Number of classes.")
    var classes = 150
    @Option(help: "Seconds to measure each case, at least.")
    var seconds = 5.0
    #if MPI
        @Flag(
            help: """
                Under mpirun or srun: one training step (--pass) by all processes at once, the sum of its gradients, and with \
                --data the reading of photos, each by itself.
                """)
        var ranks = false
        @Option(
            parsing: .upToNextOption,
            help: ArgumentHelp("Folders of photos that --ranks reads.", valueName: "dir"))
        var data: [String] = []
    #endif
    @OptionGroup var precision: PrecisionOptions
    @OptionGroup var output: JSONOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        #if MPI
            if !data.isEmpty, !ranks { throw ValidationError("--data is for --ranks") }
            if ranks, size.count > 1 || batch.count > 1 || pass.count > 1 || pass == [.forward] {
                throw ValidationError("--ranks takes one --size, one --batch, and one --pass that trains")
            }
        #endif
        let patch = preset.backbone.patchSize
        for size in size where size < patch || size % patch != 0 || size > 4096 {
            throw ValidationError("--size \(size) is not a multiple of the patch size \(patch) up to 4096")
        }
        for batch in batch where batch < 1 || batch > 4096 {
            throw ValidationError("--batch \(batch) is not 1 to 4096")
        }
        guard seconds >= 0, seconds <= 86_400 else { throw ValidationError("--seconds \(seconds) is not 0 to 86400") }
        if pass.contains(.tokenizerStep), TokenizerPreset(rawValue: preset.rawValue) == nil {
            throw ValidationError("--pass tokenizer-step: there is no tokenizer \(preset)")
        }
        if let given = precision.precision, let other = pass.first(where: { !$0.takes(given) }) {
            throw ValidationError("--precision \(given.rawValue) does not go with --pass \(other.rawValue)")
        }
        guard (1...65_535).contains(classes) else { throw ValidationError("--classes \(classes) is not 1 to 65535") }
    }

    func execute() throws {
        let numbers = precision.precision ?? .fp32
        #if MPI
            if ranks { return try measureRanks(numbers) }
        #endif
        let peaks = Machine.measurePeaks(numbers)
        if !output.json {
            for (set, gflops) in peaks {
                Console.print("peak \(set), \(numbers.rawValue): \(formatted(gflops)) GFLOP/s")
            }
            Console.print(Self.table.line(["pass", "size", "batch", "images/s", "GFLOP/s", "of peak", "peak memory"]))
        }
        var results: [SpeedResult] = []
        let passes = [SpeedResult.Pass.forward, .trainingStep].filter { $0.takes(numbers) }
        for pass in pass.isEmpty ? passes : pass {
            for size in size.isEmpty ? [224] : size {
                for batch in batch.isEmpty ? [1] : batch {
                    var measurement = SpeedMeasurement(
                        preset: preset, size: size, batch: batch, classes: classes, seconds: seconds)
                    measurement.decoder = decoder
                    measurement.precision = numbers
                    results.append(measurement.run(pass, peakGflops: peaks.map(\.gflops).max()))
                    if !output.json, let result = results.last { Console.print(row(result)) }
                }
            }
        }
        guard output.json else { return }
        try Console.print(json: ["results": results])
    }

    #if MPI
        private func measureRanks(_ numbers: Precision) throws {
            let team = try Launch.join(threads: common.threads)
            var measurement = SpeedMeasurement(
                preset: preset, size: size.first ?? 224, batch: batch.first ?? 1, classes: classes, seconds: seconds)
            (measurement.decoder, measurement.precision) = (decoder, numbers)
            let result = try RankSpeed(measurement, pass.first ?? .trainingStep, photos: data, team)
            guard team.isFirst else { return }
            guard !output.json else { return try Console.print(json: result) }
            Console.print(
                "\(result.processes) processes, \(result.neighbours) on this machine, of "
                    + "\(result.threads.counted("thread")) each")
            func line(_ what: String, _ seconds: Double, _ rest: String = "") {
                Console.print(
                    what.padding(toLength: 34, withPad: " ", startingAt: 0) + formatted(1000 * seconds) + " ms" + rest)
            }
            let percent = { (share: Double) in String(format: ", %.1f %% of the time computes", 100 * share) }
            line("a pass of \(measurement.batch.counted("image"))", result.passSeconds)
            let size = String(format: "%.1f MB", Double(result.gradientBytes) / 1e6)
            line("the exact sum of \(size)", result.exactSeconds, percent(result.exactEfficiency))
            line("the fast sum, not hidden", result.fastSeconds, percent(result.fastEfficiency))
            if let seconds = result.readSeconds { line("a photo read by one thread", seconds) }
        }
    #endif

    private func formatted(_ value: Double) -> String { String(format: "%.2f", value) }

    /// Rows appear as they are measured.
    private static let table = TextTable(
        [.left] + Array(repeating: .right, count: 6), widths: [17, 5, 6, 9, 9, 8, 12])

    private func row(_ result: SpeedResult) -> String {
        Self.table.line([
            result.pass.rawValue, "\(result.size)", "\(result.batch)", formatted(result.imagesPerSecond),
            String(format: "%.1f", result.gflops), result.shareOfPeak.map { String(format: "%.1f%%", 100 * $0) } ?? "-",
            "\(result.peakMemoryBytes >> 20) MiB",
        ])
    }
}

extension SpeedResult.Pass: ExpressibleByArgument {}
extension DecoderConfiguration.Name: ExpressibleByArgument {}
