import Foundation
import Ops

/// What one update came to.
struct Update {
    var loss, learningRate, gradientNorm: Double
}

/// Turns updates into reports: loss averaged, speed, time left.
struct Meter {
    private let first, steps, imagesPerStep: Int
    private var loss = 0.0
    private var counted = 0
    private var since = ContinuousClock.now
    private var secondsPerStep: Double?
    /// The first step maps memory and plans the kernels; timing begins behind it.
    private static let untimed = 1
    private static let estimateAfter = 3

    init(_ recipe: Recipe, first: Int, steps: Int, imagesPerStep: Int) {
        (self.first, self.steps, self.imagesPerStep) = (first, steps, imagesPerStep)
    }

    /// The report that is due after `step`, if one is.
    mutating func add(_ update: Update, step: Int, epoch: Double) -> TrainingEvent? {
        loss += update.loss
        counted += 1
        let done = step - first
        if done == Meter.untimed { since = .now }
        let timed = done - Meter.untimed
        guard timed > 0 else { return nil }
        // The mean over the run so far, but a slower machine shows after a while.
        let now = ContinuousClock.now
        let seconds = (now - since) / .seconds(1)
        if done == Meter.estimateAfter {
            return .estimate(
                secondsPerStep: seconds / Double(timed), secondsLeft: seconds / Double(timed) * Double(steps - step),
                memoryBytes: Machine.peakMemoryBytes)
        }
        guard step == steps || step % 10 == 0 else { return nil }
        let speed = seconds / Double(timed)
        defer { (loss, counted) = (0, 0) }
        return .step(
            StepReport(
                step: step, steps: steps, epoch: epoch, loss: loss / Double(counted), learningRate: update.learningRate,
                gradientNorm: update.gradientNorm, imagesPerSecond: Double(imagesPerStep) / speed,
                secondsLeft: speed * Double(steps - step)))
    }
}
