/// What a run tells while it goes on.
public enum TrainingEvent: Sendable {
    /// Once the first steps are timed.
    case estimate(secondsPerStep: Double, secondsLeft: Double, memoryBytes: Int)
    case step(StepReport)
    case validation(ValidationReport)
    /// A checkpoint has been written.
    case saved(String)
}

/// One update; a line of `log.jsonl`.
public struct StepReport: Codable, Sendable {
    /// Updates so far, and in the whole run.
    public var step, steps: Int
    public var epoch: Double
    /// The mean over the updates since the last report.
    public var loss: Double
    public var learningRate: Double
    /// L2 norm of all gradients together, before clipping.
    public var gradientNorm: Double
    public var imagesPerSecond: Double
    public var secondsLeft: Double
    /// What the objective counts beside the loss, over the same updates; nil where it counts nothing.
    public var metrics: [String: Double]?

    enum CodingKeys: String, CodingKey {
        case step, steps, epoch, loss, metrics
        case learningRate = "lr"
        case gradientNorm = "grad_norm"
        case imagesPerSecond = "images_per_s"
        case secondsLeft = "seconds_left"
    }
}

/// A validation; a line of `log.jsonl`.
public struct ValidationReport: Codable, Sendable {
    public var step: Int
    public var epoch: Double
    public var metrics: [String: Double]
    /// Whether it is the best so far, and so became `best.h5`.
    public var best: Bool
}
