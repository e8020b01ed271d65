import BEiTOps
import BEiTTensorCore

/// The processes that share a run. Each has the whole model and takes its part of every batch; what they must agree on
/// goes through here.
package protocol Communicator: Sendable {
    /// This process among `size`.
    var rank: Int { get }
    var size: Int { get }

    /// Adds the `part` of every rank to `total`, in the order of the ranks, whatever arrives first; `total` is then the same
    /// on all of them. So passes that are dealt out in turn add up to the same bits as on one process.
    func add(_ part: Tensor, to total: Tensor)
    /// The sum over the ranks, in their order.
    func sum(_ value: Double) -> Double
    /// Whether it is so on any rank.
    func any(_ condition: Bool) -> Bool
    /// Gives all ranks what rank `root` has.
    func broadcast(_ tensor: Tensor, from root: Int)
}

/// A run of one process.
package struct SingleProcess: Communicator {
    package var rank: Int { 0 }
    package var size: Int { 1 }

    package init() {}

    package func add(_ part: Tensor, to total: Tensor) { Elementwise.add(part, into: total) }
    package func sum(_ value: Double) -> Double { value }
    package func any(_ condition: Bool) -> Bool { condition }
    package func broadcast(_ tensor: Tensor, from root: Int) {}
}
