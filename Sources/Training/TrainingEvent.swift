/// What a run tells while it goes on.
package enum TrainingEvent: Sendable {
    /// First of all, where a run goes on that had come so far.
    case resumed(step: Int, steps: Int)
    /// Before the first step: what the run will have taken at its most, in all.
    case memory(forecastBytes: Int)
    /// Once the first steps are timed.
    case estimate(secondsPerStep: Double, secondsLeft: Double, memoryBytes: Int)
    case step(StepReport)
    /// So many images that are held out are about to be scored.
    case validating(images: Int)
    case validation(ValidationReport)
    /// A checkpoint has been written.
    case saved(String)
    /// What is otherwise than it was when the run began, for people.
    case note(String)
    /// Last of all, where the run has come to its end.
    case ended(EndReport)
}

/// What came of a run.
package struct EndReport: Equatable, Sendable {
    package struct Best: Equatable, Sendable {
        package var file: String
        package var score: BestScore
    }
    package var step: Int
    /// The file of the last state.
    package var last: String
    /// Nil where nothing was held out to validate on.
    package var best: Best?
}

/// One update; a line of `log.jsonl`.
package struct StepReport: Codable, Sendable {
    /// Updates so far, and in the whole run.
    package var step, steps: Int
    package var epoch: Double
    /// The mean over the updates since the last report.
    package var loss: Double
    package var learningRate: Double
    /// L2 norm of all gradients together, before clipping.
    package var gradientNorm: Double
    package var imagesPerSecond: Double
    /// The share of the updates' time that went into waiting for their data.
    package var dataWait: Double
    package var secondsLeft: Double
    /// What the objective counts beside the loss, over the same updates; nil where it counts nothing.
    package var metrics: [String: Double]?

    enum CodingKeys: String, CodingKey {
        case step, steps, epoch, loss, metrics
        case learningRate = "lr"
        case gradientNorm = "grad_norm"
        case imagesPerSecond = "images_per_s"
        case dataWait = "data_wait"
        case secondsLeft = "seconds_left"
    }
}

/// A validation; a line of `log.jsonl`.
package struct ValidationReport: Codable, Sendable {
    package var step: Int
    package var epoch: Double
    package var metrics: [String: Double]
    /// Whether it is the best so far, and so became `best.h5`.
    package var best: Bool
}

/// A line of `log.jsonl`, which TensorBoard receives as well.
protocol LogEntry: Encodable {
    var step: Int { get }
    /// By the tags of TensorBoard's curves.
    var scalars: [(tag: String, value: Double)] { get }
}

extension StepReport: LogEntry {
    var scalars: [(tag: String, value: Double)] {
        [
            ("train/loss", loss), ("train/learning_rate", learningRate), ("train/gradient_norm", gradientNorm),
            ("train/images_per_s", imagesPerSecond), ("train/data_wait", dataWait),
        ] + (metrics ?? [:]).sorted { $0.key < $1.key }.map { ("train/" + $0.key, $0.value) }
    }
}

extension ValidationReport: LogEntry {
    var scalars: [(tag: String, value: Double)] {
        metrics.sorted { $0.key < $1.key }.map { name, value in
            (name.hasPrefix("val_") ? "val/" + name.dropFirst(4) : name, value)
        }
    }
}
