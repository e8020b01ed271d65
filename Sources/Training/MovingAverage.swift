import BEiTCheckpoints
import BEiTLayers
import BEiTTensorCore

/// An exponential moving average of a model's weights, smoother than the weights themselves.
///
/// Running statistics are averaged like the weights: those of the last weights would describe what other weights than the
/// averaged ones make of the data.
final class MovingAverage {
    private let tensors: [(path: String, tensor: Tensor)]
    private let decay: Double
    private let averages: [Tensor]

    /// Starts at the weights as they are.
    init(_ model: any Module, decay: Double) {
        (tensors, self.decay) = (model.tensors, decay)
        averages = tensors.map { $0.tensor.copy() }
    }

    /// average ← d·average + (1 − d)·weights; d is smaller in the first `steps`, so that the start is soon forgotten.
    func update(steps: Int) {
        let d = Float(min(decay, Double(1 + steps) / Double(10 + steps)))
        for (average, weights) in zip(averages, tensors) {
            let (x, y) = (weights.tensor.pointer, average.pointer)
            WorkerPool.current.run(average.count, grain: 1 << 15) { for i in $0 { y[i] += (1 - d) * (x[i] - y[i]) } }
        }
    }

    /// Exchanges the averages and the model's weights, in place.
    func exchange() {
        for (average, weights) in zip(averages, tensors) {
            let current = weights.tensor.copy()
            weights.tensor.pointer.update(from: average.pointer, count: average.count)
            average.pointer.update(from: current.pointer, count: current.count)
        }
    }

    /// The averages by the paths of what they are of, for a checkpoint.
    var state: [(path: String, tensor: Tensor)] { zip(tensors, averages).map { ("average/" + $0.path, $1) } }
}
