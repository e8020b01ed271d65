import BEiTOps
import Foundation

/// What one update came to.
struct Update {
    var loss, learningRate, gradientNorm: Double
}

/// Turns updates into reports: loss averaged, speed, time left.
struct Meter {
    /// The updates since the last report. A checkpoint keeps them, so that the log goes on as well.
    struct Sums: Codable, Equatable {
        var loss = 0.0
        var updates = 0
    }

    private let first, steps, imagesPerStep: Int
    var sums: Sums
    private let began = ContinuousClock.now
    private var since = ContinuousClock.now
    private var paused = Duration.zero
    /// For data, of all updates so far, and of those that are not timed.
    var waited = Duration.zero
    private var waitedBefore = Duration.zero
    /// The first step maps memory and plans the kernels; timing begins behind it.
    private static let untimed = 1
    private static let estimateAfter = 3

    init(first: Int, steps: Int, imagesPerStep: Int, sums: Sums = Sums()) {
        (self.first, self.steps, self.imagesPerStep, self.sums) = (first, steps, imagesPerStep, sums)
    }

    /// Takes note of time that went into no update: a validation, a checkpoint. The speed is that of the updates, the time
    /// left that of everything.
    mutating func pause(_ duration: Duration) { paused += duration }

    /// The reports that are due after `step`. Which steps are reported does not depend on where the run was taken up.
    mutating func add(_ update: Update, step: Int, epoch: Double) -> [TrainingEvent] {
        sums.loss += update.loss
        sums.updates += 1
        let done = step - first
        if done == Meter.untimed { (since, paused, waitedBefore) = (.now, .zero, waited) }
        // The mean over the run so far, but a slower machine shows after a while.
        let timed = max(1, done - Meter.untimed)
        let passed = .now - (done > Meter.untimed ? since : began)
        let (pace, speed) = (passed / .seconds(1) / Double(timed), (passed - paused) / .seconds(1) / Double(timed))
        let wait = (waited - waitedBefore) / .seconds(1) / Double(timed) / speed
        var reports: [TrainingEvent] = []
        if done == Meter.estimateAfter {
            reports.append(
                .estimate(
                    secondsPerStep: speed, secondsLeft: pace * Double(steps - step),
                    memoryBytes: Machine.peakMemoryBytes))
        }
        if step == steps || step % 10 == 0 {
            reports.append(
                .step(
                    StepReport(
                        step: step, steps: steps, epoch: epoch, loss: sums.loss / Double(sums.updates),
                        learningRate: update.learningRate, gradientNorm: update.gradientNorm,
                        imagesPerSecond: Double(imagesPerStep) / speed, dataWait: min(1, wait),
                        secondsLeft: pace * Double(steps - step))))
            sums = Sums()
        }
        return reports
    }
}
