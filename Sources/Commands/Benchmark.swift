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
    @OptionGroup var precision: PrecisionOptions
    @OptionGroup var output: JSONOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
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
