import Foundation
import Training

/// Shows a run on standard error: a bar that renews itself on a terminal, elsewhere a plain line now and then.
final class TrainingProgress {
    private let quiet: Bool
    private let isTerminal = isatty(STDERR_FILENO) != 0
    private var lastLine: ContinuousClock.Instant?
    /// Time between two plain lines.
    private static let pause = Duration.seconds(20)

    init(quiet: Bool) { self.quiet = quiet }

    func show(_ event: TrainingEvent) {
        guard !quiet else { return }
        switch event {
        case .memory(let bytes): line(String(format: "about %.1f GiB of memory in all", Double(bytes) / 0x1p30))
        case .estimate(let step, let left, let memory):
            line(
                String(
                    format: "%.2f s a step, about %@ in all, %d MiB of memory so far", step, time(left), memory >> 20))
        case .step(let report): show(report)
        case .validation(let report):
            let metrics = report.metrics.sorted { $0.key < $1.key }.map { String(format: "%@ %.4f", $0.key, $0.value) }
            line(
                String(format: "epoch %.1f: %@", report.epoch, metrics.joined(separator: ", "))
                    + (report.best ? ", the best so far" : ""))
        case .saved: break
        }
    }

    private func show(_ report: StepReport) {
        let metrics = (report.metrics ?? [:]).sorted { $0.key < $1.key }.map {
            String(format: "%@ %.4f  ", $0.key, $0.value)
        }
        let text = String(
            format: "step %d/%d  epoch %.1f  loss %.4f  %@lr %.2e  %.1f images/s  %@ left", report.step, report.steps,
            report.epoch, report.loss, metrics.joined(), report.learningRate, report.imagesPerSecond,
            time(report.secondsLeft))
        if isTerminal {
            let filled = 20 * report.step / max(1, report.steps)
            let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: 20 - filled)
            FileHandle.standardError.write(Data("\r\u{1B}[K\(bar) \(text)".utf8))
        } else if lastLine.map({ .now - $0 > TrainingProgress.pause }) ?? true {
            lastLine = .now
            line(text)
        }
    }

    private func line(_ text: String) {
        if isTerminal { FileHandle.standardError.write(Data("\r\u{1B}[K".utf8)) }
        Console.write(text)
    }

    private func time(_ seconds: Double) -> String {
        let seconds = Int(seconds.rounded())
        if seconds < 120 { return "\(seconds) s" }
        return seconds < 7200 ? "\(seconds / 60) min" : String(format: "%.1f h", Double(seconds) / 3600)
    }
}
