import BEiTFiles
import BEiTOps
import Foundation

/// How a model is trained, whatever it learns.
package struct Recipe: Codable, Equatable, Sendable {
    /// Passes over the training images; `steps`, where given, counts instead.
    package var epochs = 100.0
    package var steps: Int?
    /// Images of one forward and backward pass, and passes before each update; several processes share them.
    package var batch = 16
    package var accumulate = 1
    /// The peak, reached after a linear warm-up; then it falls to `minimumLearningRate`, as `schedule` says.
    package var learningRate = 7e-4
    package var minimumLearningRate = 1e-6
    package var warmupEpochs = 5.0
    /// Nil for a cosine, as in checkpoints from before there was a choice.
    package var schedule: Schedule.Decay?
    /// Of parameters that decay (see ``Parameter/decays``).
    package var weightDecay = 0.05
    /// The learning rate of block i is `layerDecay` times that of block i + 1; 1 for the same everywhere.
    package var layerDecay = 1.0
    /// The largest L2 norm of all gradients together; nil for no limit.
    package var clipGradient: Double?
    /// Decay of the moving average of the weights, which is then what is validated and kept as the best; nil for none.
    package var averageDecay: Double?
    /// What the network multiplies; sums, weights, moments and gradients are float32. Nil for float32, as in checkpoints
    /// from before there was a choice.
    package var precision: Precision?
    package var seed: UInt64 = 0
    /// Photos among which the next one is drawn, where a run goes through one shard after the other (``ShuffleBuffer``); nil:
    /// it is drawn from anywhere.
    package var shuffleBuffer: Int?
    /// Epochs from one validation to the next.
    package var evaluateEvery = 1
    /// Steps from one `last.h5` to the next; one is also written after each validation.
    package var checkpointEvery = 500

    /// Far beyond every use; up to it steps and images can be counted.
    static let mostSteps = 1 << 30

    package init() {}

    /// Images of one update, on all processes together.
    var imagesPerStep: Int { batch * accumulate }

    /// Updates in the whole run over `count` images.
    package func totalSteps(count: Int) -> Int {
        steps ?? max(1, Int((epochs * Double(count) / Double(imagesPerStep)).rounded(.up)))
    }

    func warmupSteps(count: Int) -> Int {
        Int((warmupEpochs * Double(count) / Double(imagesPerStep)).rounded())
    }

    /// The learning rate over the `steps` of a run. With the `poly` policy the warm-up multiplies the falling rate, from
    /// 10⁻⁶ of it, as mmsegmentation does.
    func rates(steps: Int, warmupSteps: Int) -> Schedule {
        var result = Schedule(
            schedule ?? .cosine, base: learningRate, final: minimumLearningRate, steps: steps,
            warmupSteps: min(steps, warmupSteps))
        if case .polynomial = result.decay { result.warmupStart = 1e-6 * learningRate }
        return result
    }

    /// What makes the recipe impossible, in one sentence; nil if nothing does.
    package var problem: String? {
        // The upper ends are far beyond every use; up to them steps and images can be counted.
        let counts = [
            ("batch", batch, 1 << 20), ("accumulate", accumulate, 1 << 20), ("eval-every", evaluateEvery, 1 << 30),
            ("checkpoint-every", checkpointEvery, 1 << 30), ("steps", steps ?? 1, Recipe.mostSteps),
            ("shuffle-buffer", shuffleBuffer ?? 1, 1 << 30),
        ]
        for (name, value, most) in counts where !(1...most ~= value) {
            return "`\(name)` is \(value), and must be " + (value < 1 ? "at least 1" : "at most \(most)")
        }
        if batch * accumulate > 1 << 30 { return "`batch` times `accumulate` is more than \(1 << 30)" }
        if epochs == 0 { return "`epochs` is 0, and must be above 0" }
        for (name, value) in [("epochs", epochs), ("warmup-epochs", warmupEpochs)] where !(0...1e6 ~= value) {
            return "`\(name)` is \(value), and must be from 0 to 1000000"
        }
        let rates = [
            ("lr", learningRate), ("min-lr", minimumLearningRate), ("weight-decay", weightDecay),
            ("clip-grad", clipGradient ?? 0), ("poly-power", schedule?.power ?? 1),
        ]
        for (name, value) in rates where !value.isFinite || value < 0 {
            return "`\(name)` is \(value), and must be a number from 0"
        }
        for (name, value) in [("layer-decay", layerDecay), ("ema", averageDecay ?? 1)] where !(value > 0 && value <= 1)
        {
            return "`\(name)` is \(value), and must be above 0 and at most 1"
        }
        if precision == .int8 { return "`precision` is int8, and must be fp32 or bf16" }
        return nil
    }

    /// What contradicts itself in a recipe that is possible, in one sentence; nil if nothing does.
    var contradiction: String? {
        guard schedule != .constant, minimumLearningRate > learningRate else { return nil }
        return
            "the peak learning rate \(Float(learningRate)) is below \(Float(minimumLearningRate)), that at the end, so "
            + "that it would rise; give a higher `lr` or a lower `min-lr`"
    }
}

/// How long the learning rate rises at the beginning of a run.
package enum Warmup: Equatable, Sendable {
    /// As long as the recipe says.
    case asGiven
    /// The same, but this share of the run at most, so that a short run is more than that.
    case atMost(Double)
    /// This share of the run.
    case share(Double)
}

extension Recipe {
    /// The recipe for `count` images: no batch holds one twice, and the warm-up is in epochs.
    /// - Parameter note: hears of what became other than it was asked for.
    func fitted(to count: Int, _ warmup: Warmup, _ note: (String) -> Void) -> Recipe {
        var result = self
        if batch > count {
            result.batch = count
            note(
                "warning: a batch of \(batch) is more than the \(count.counted("image")) to learn from: it has \(count); the "
                    + "learning rate stays \(Float(learningRate))")
        }
        let steps = result.totalSteps(count: count)
        let epochs = Double(steps * result.batch * accumulate) / Double(count)
        switch warmup {
        case .asGiven: break
        case .atMost(let share): result.warmupEpochs = min(warmupEpochs, (share * epochs * 1000).rounded() / 1000)
        case .share(let share): result.warmupEpochs = (share * epochs * 1000).rounded() / 1000
        }
        if result.warmupSteps(count: count) >= steps, steps > 1 {
            note(
                "warning: the warm-up of \(result.warmupEpochs) epochs takes the whole run of \(Float(epochs)): the learning rate "
                    + "rises to its peak at the last step and never falls; a shorter warm-up or a longer run lets it")
        }
        return result
    }

    /// The recipe for `ranks` processes: passes that they can share evenly, of as many images an update.
    /// - Parameter note: hears of what became other than it was asked for.
    func divided(among ranks: Int, _ note: (String) -> Void) -> Recipe {
        guard accumulate % ranks != 0 else { return self }
        var result = self
        if let parts = (2...max(2, batch)).first(where: { batch % $0 == 0 && accumulate * $0 % ranks == 0 }) {
            (result.batch, result.accumulate) = (batch / parts, accumulate * parts)
            note(
                "the \(imagesPerStep) images of an update are \(result.accumulate) passes of \(result.batch) for "
                    + "\(ranks) processes")
        } else {
            note(
                "warning: some of \(ranks) processes wait while others work: an update is \(accumulate) × \(batch) images; a "
                    + "`batch` or `accumulate` that \(ranks) divides keeps all at work")
        }
        return result
    }

    /// For people, in one line.
    package var summary: String {
        let length = steps.map { "\($0) steps" } ?? "\(epochs) epochs"
        let extras = [
            precision == .bf16 ? "products of bfloat16" : nil,
            clipGradient.map { "clipping at \($0)" }, averageDecay.map { "weights averaged with decay \($0)" },
        ]
        let parts = [
            "\(length) of batches of \(batch)" + (accumulate > 1 ? " × \(accumulate)" : ""),
            "AdamW, peak learning rate \(Float(learningRate)), warm-up \(warmupEpochs) epochs, \(fall)",
            "weight decay \(weightDecay)", "layer decay \(layerDecay)",
        ]
        return "recipe: " + (parts + extras.compactMap { $0 } + ["seed \(seed)"]).joined(separator: "; ")
    }

    private var fall: String {
        switch schedule ?? .cosine {
        case .cosine: "cosine to \(Float(minimumLearningRate))"
        case .polynomial(let power): "polynomial of power \(power) to \(Float(minimumLearningRate))"
        case .constant: "constant"
        }
    }
}
