import BEiTCheckpoints
import BEiTDatasets
import BEiTLayers
import BEiTModels
import BEiTOps
import BEiTProcesses
import BEiTReports
import BEiTTensorCore

/// What a run learns: its model, batches and loss, and how it is judged.
package protocol Objective: AnyObject {
    /// All that makes the objective anew: kept in the checkpoint, for resuming.
    associatedtype Settings: Codable & Sendable
    associatedtype Batch: Sendable

    var settings: Settings { get }
    var model: any Module { get }
    /// Blocks, for the layer-wise decay of the learning rate.
    var depth: Int { get }
    /// Training images.
    var count: Int { get }
    /// How often each of them is drawn; all alike by default.
    var proportions: SetProportions { get }
    /// Images that a validation scores.
    var validationCount: Int { get }
    /// Changes when the images or their order do.
    var fingerprint: UInt64 { get }
    /// The files that are learned from.
    var files: [String] { get }
    /// Training images that follow each other in one file; read where they are taken in such an order.
    var stretches: [Range<Int>] { get }
    /// Makes a batch, on any thread; a function of its arguments alone.
    var loader: @Sendable (_ members: [(image: Int, place: Int)]) throws -> Batch { get }

    /// Called before update number `step` (from 0), for what changes over a run beside the learning rate.
    func begin(step: Int)
    /// The mean loss of a batch, `[1]`, and what ``take(_:)`` shall know of the pass. Leaves no trace.
    func loss(_ batch: Batch, _ tape: Tape) -> (value: Variable, counts: [Double])
    /// Counts a pass. Called for all passes of an update that has turned out sound, those of other processes too, in their
    /// order.
    func take(_ counts: [Double])
    /// The files of a batch, to name them in an error.
    func images(of batch: Batch) -> [String]
    /// Scores on images that it does not learn from, shared among the processes; nil where there are none. Throws
    /// `Interruption.Stop` between two images once a signal is noted.
    func validate(_ team: any Communicator) throws -> Validation?
    /// A few pictures of what the model does, for the report; none by default. Called after each validation.
    func pictures() throws -> [ReportPicture]
    /// What the checkpoint says of the model.
    func description(metrics: [String: Double]) -> ModelDescription

    /// Tensors that change from step to step beside the model, in place: kept in the checkpoint, for resuming.
    var state: [(path: String, tensor: Tensor)] { get }
    /// What the log says of the updates since the last call, beside the loss.
    func takeMetrics() -> [String: Double]
    /// What ``takeMetrics()`` has counted since the last call: kept in the checkpoint. Empty for nothing.
    var counts: [Double] { get set }
}

extension Objective {
    package var proportions: SetProportions { SetProportions(count) }
    package var validationCount: Int { 0 }
    package var files: [String] { [] }
    package var stretches: [Range<Int>] { (0..<count).map { $0..<$0 + 1 } }
    package func begin(step: Int) {}
    package func pictures() throws -> [ReportPicture] { [] }
    package func take(_ counts: [Double]) {}
    package var state: [(path: String, tensor: Tensor)] { [] }
    package func takeMetrics() -> [String: Double] { [:] }
    package var counts: [Double] {
        get { [] }
        set {}
    }
}

/// The scores of a validation.
package struct Validation: Sendable {
    /// The one that decides which model is the best; higher is better.
    package var score: Double
    /// By name, as they are logged.
    package var metrics: [String: Double]
    /// The metric that ``score`` is, or is the negative of.
    package var decisive: String

    package init(score: Double, metrics: [String: Double], decisive: String) {
        (self.score, self.metrics, self.decisive) = (score, metrics, decisive)
    }
}
