import BEiTReports
import BEiTTraining
import Foundation

/// Shows a run on standard error.
final class TrainingProgress {
    private let line: ProgressLine

    init(quiet: Bool) { line = ProgressLine(quiet: quiet, patient: false) }

    func show(_ event: TrainingEvent) {
        switch event {
        case .resumed(let step, let steps):
            line.say(step < steps ? "goes on after step \(step) of \(steps)" : "all \(steps) steps are done already")
        case .memory(let bytes): show(memory: bytes)
        case .estimate(let step, let left, let memory):
            line.say(
                String(
                    format: "%.2f s a step, about %@ in all, %d MiB of memory so far", step, ProgressLine.time(left),
                    memory >> 20))
        case .step(let report): show(report)
        case .validation(let report):
            let metrics = report.metrics.filter { LogLine.className($0.key) == nil }.sorted { $0.key < $1.key }
                .map(labelled)
            line.say(
                String(format: "epoch %.1f: %@", report.epoch, metrics.joined(separator: ", "))
                    + (report.best ? ", the best so far" : ""))
        case .validating, .saved: break
        case .note(let text): line.say(OptionNames.spelled(text))
        case .ended(let report): show(report)
        }
    }

    private func show(_ report: EndReport) {
        line.clear()
        guard let best = report.best else {
            return line.say(
                "done: nothing was held out to validate on, so there is no best.h5; the model is \(report.last)")
        }
        let score = best.score
        line.say("done: the best model is \(best.file), \(labelled(score.metric, score.value)) at step \(score.step)")
    }

    private func show(memory bytes: Int) {
        let machine = Double(ProcessInfo.processInfo.physicalMemory)
        line.say(String(format: "about %.1f GiB of memory in all", Double(bytes) / 0x1p30))
        guard Double(bytes) > 0.9 * machine else { return }
        line.say(
            String(format: "warning: the machine has %.1f GiB; ", machine / 0x1p30)
                + "--accumulate with a smaller --batch, --checkpoint-blocks or a smaller model takes less")
    }

    /// Counts are whole, and need no decimals.
    private func labelled(_ name: String, _ value: Double) -> String {
        let isCount = name.hasPrefix("codes_")
        return String(format: isCount ? "%@ %.0f" : "%@ %.4f", name, value)
    }

    private func show(_ report: StepReport) {
        let metrics = (report.metrics ?? [:]).sorted { $0.key < $1.key }.map { labelled($0.key, $0.value) + "  " }
        let text = String(
            format: "step %d/%d  epoch %.1f  loss %.4f  %@lr %.2e  %.1f images/s  %@ left", report.step, report.steps,
            report.epoch, report.loss, metrics.joined(), report.learningRate, report.imagesPerSecond,
            ProgressLine.time(report.secondsLeft))
        line.show(Double(report.step) / Double(max(1, report.steps)), text)
    }
}
