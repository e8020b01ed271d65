import BEiTReports
import BEiTMetrics
import BEiTCheckpoints
import BEiTLayers
import BEiTOps
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
    /// Changes when the images or their order do.
    var fingerprint: UInt64 { get }
    /// Makes a batch, on any thread; a function of its arguments alone.
    var loader: @Sendable (_ members: [(image: Int, place: Int)]) throws -> Batch { get }

    /// Called before update number `step` (from 0), for what changes over a run beside the learning rate.
    func begin(step: Int)
    /// The mean loss of a batch, `[1]`.
    func loss(_ batch: Batch, _ tape: Tape) -> Variable
    /// The files of a batch, to name them in an error.
    func images(of batch: Batch) -> [String]
    /// Scores on images that it does not learn from; nil where there are none.
    func validate() throws -> Validation?
    /// A few pictures of what the model does, for the report; none by default. Called after each validation.
    func pictures() throws -> [ReportPicture]
    /// As ``loss(_:_:)``, leaving no trace: by it the memory of a run is found before it starts.
    func rehearse(_ batch: Batch, _ tape: Tape) -> Variable
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
    package var state: [(path: String, tensor: Tensor)] { [] }
    package func takeMetrics() -> [String: Double] { [:] }
    package var counts: [Double] {
        get { [] }
        set {}
    }
}

extension Objective {
    package func begin(step: Int) {}
}

extension Objective {
    package func pictures() throws -> [ReportPicture] { [] }
    package func rehearse(_ batch: Batch, _ tape: Tape) -> Variable { loss(batch, tape) }
}

/// The scores of a validation.
package struct Validation: Sendable {
    /// The one that decides which model is the best; higher is better.
    package var score: Double
    /// By name, as they are logged.
    package var metrics: [String: Double]

    package init(score: Double, metrics: [String: Double]) { (self.score, self.metrics) = (score, metrics) }
}
