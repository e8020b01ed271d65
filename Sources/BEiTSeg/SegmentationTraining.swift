import BEiTDatasets
import BEiTModels
import BEiTTraining

/// Learns to segment from labelled photos: `beit-seg finetune --task segmentation` as a call.
///
/// ```swift
/// var training = SegmentationTraining(data: ["pets/"], folder: "runs/pets", start: .model("pretrained.h5"))
/// training.epochs = 60
/// let outcome = try training.run { print($0) }
/// let segmenter = try Segmenter(model: outcome.best ?? outcome.last)
/// ```
///
/// The recipe is that of the program, and so is what the folder holds: `last.h5` with all that is needed to go on bit for
/// bit, `best.h5`, `log.jsonl`, `report.html` and TensorBoard's event files.
public struct SegmentationTraining: Sendable {
    /// What the first weights are.
    public enum Start: Sendable {
        /// Drawn at random, for a network of this size.
        case scratch(ModelSize)
        /// Those of a model of any task, as far as they fit: heads go by the names of the classes, positions are resized.
        case model(String)
        /// Those of the start that ships, a backbone of size tiny that has learned from photos without masks.
        case shipped
    }

    /// The size of a network.
    public enum ModelSize: String, CaseIterable, Sendable {
        case tiny, small, base, large, huge
    }

    /// What a run tells while it goes on.
    public enum Event: Sendable {
        /// A line on the data, the model or the run, for people.
        case note(String)
        /// An update: how many there were, how many there will be, and the mean loss since the last report.
        case step(Int, of: Int, loss: Double)
        /// A validation, on the held-out photos at their own size: the mean IoU, 0…1, and whether it is the best so far.
        case validation(meanIoU: Double, isBest: Bool)
    }

    /// What came of a run.
    public struct Outcome: Equatable, Sendable {
        /// The model of the best validation; nil where nothing was held out to validate on.
        public let best: String?
        /// Its mean IoU, 0…1.
        public let meanIoU: Double?
        /// The last state of the run.
        public let last: String
    }

    /// Data sets, in a layout that the program knows (`images/{train,val}`, `masks/{train,val}` and `classes.txt`, ADE20K,
    /// VOC, Cityscapes, CamVid); several give the union of their classes.
    public var data: [String]
    /// With several data sets: whether a pixel that one of them calls background may be of any class for which that set has no
    /// label. The loss is then −ln of the sum of their probabilities (Cermelli et al., arXiv:2002.00718); else background is
    /// a class as any other.
    public var sharesBackground = false
    /// How many of so many photos come from each data set, in the order of ``data``; nil for all photos alike.
    public var proportions: [Float]?
    /// The run's folder, which must not hold a run yet.
    public var folder: String
    public var start: Start
    /// How photos become red, green and blue; what is nil is as the start has learned. The model records range and bands, and
    /// reads photos so from then on.
    public var reading = PhotoReading()
    /// Passes over the training photos.
    public var epochs = 100.0
    /// Photos of an update.
    public var batch = 16
    /// The peak learning rate.
    public var learningRate = 7e-4
    /// The side of the network's input in pixels, a multiple of the patch size; nil for that of the start.
    public var imageSize: Int?
    /// Whether only the decoder learns, and the backbone stays as the start has it.
    public var freezesBackbone = false
    /// Of everything that is random: the same seed gives the same bytes, whatever the number of threads.
    public var seed: UInt64 = 0

    public init(data: [String], folder: String, start: Start = .scratch(.tiny)) {
        (self.data, self.folder, self.start) = (data, folder, start)
    }

    /// Trains from the first step to the last, on the calling thread and all cores.
    ///
    /// - Parameter report: hears what happens, on the calling thread.
    /// - Throws: ``BEiTSegError``; where the weights are sound, `last.h5` is written first.
    @discardableResult
    public func run(_ report: (Event) -> Void = { _ in }) throws(BEiTSegError) -> Outcome {
        guard !data.isEmpty else { throw BEiTSegError(.usage, "there is no data folder to learn from") }
        return try BEiTSegError.translating {
            let trainer = try Trainer<SegmentationObjective>(plan, folder: RunFolder(folder)) { report(.note($0)) }
            return try Self.outcome(of: trainer, report)
        }
    }

    /// Goes on with a run where its `last.h5` stands, bit for bit.
    ///
    /// - Parameters:
    ///   - folder: the run's.
    ///   - report: hears what happens, on the calling thread.
    /// - Throws: ``BEiTSegError``.
    @discardableResult
    public static func resume(_ folder: String, _ report: (Event) -> Void = { _ in }) throws(BEiTSegError) -> Outcome {
        try BEiTSegError.translating {
            try outcome(of: Trainer<SegmentationObjective>(resuming: RunFolder(folder)), report)
        }
    }

    private var plan: SegmentationPlan {
        get throws {
            let initial: InitialWeights =
                switch start {
                case .scratch(let size): .random((Preset(rawValue: size.rawValue) ?? .tiny).backbone)
                case .model(let path): .checkpoint(path)
                case .shipped: .checkpoint(try DefaultModel.start())
                }
            return try plan(from: initial)
        }
    }

    private func plan(from initial: InitialWeights) throws -> SegmentationPlan {
        var plan = SegmentationPlan(data: DatasetOptions(data), initial: initial, command: "SegmentationTraining.run")
        plan.reading = try reading.choice()
        plan.size = imageSize.map { [$0, $0] }
        plan.freezesBackbone = freezesBackbone
        (plan.background, plan.proportions) = (sharesBackground ? .shared : nil, proportions)
        // As the program does: early layers learn less where they have learned already.
        if case .scratch = start { plan.recipe.layerDecay = 1 } else { plan.recipe.layerDecay = 0.65 }
        (plan.recipe.epochs, plan.recipe.batch) = (epochs, batch)
        (plan.recipe.learningRate, plan.recipe.seed) = (learningRate, seed)
        plan.warmup = .atMost(0.1)
        return plan
    }

    private static func outcome(
        of trainer: Trainer<SegmentationObjective>, _ report: (Event) -> Void
    ) throws -> Outcome {
        var outcome: Outcome?
        try trainer.run(notesSignals: false) { event in
            switch event {
            case .note(let line): report(.note(line))
            case .step(let step): report(.step(step.step, of: step.steps, loss: step.loss))
            case .validation(let found):
                report(.validation(meanIoU: found.metrics["val_miou"] ?? 0, isBest: found.best))
            case .ended(let end):
                outcome = Outcome(best: end.best?.file, meanIoU: end.best?.score.value, last: end.last)
            case .resumed, .memory, .estimate, .validating, .saved: break
            }
        }
        guard let outcome else { throw BEiTSegError(.usage, "the run ended before its last step") }
        return outcome
    }
}
