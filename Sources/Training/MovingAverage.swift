import BEiTLayers
import BEiTTensorCore

/// An exponential moving average of a model's weights, smoother than the weights themselves.
final class MovingAverage {
    private let parameters: [NamedParameter]
    private let decay: Double
    private let averages: [Tensor]

    /// Starts at the weights as they are.
    init(_ parameters: [NamedParameter], decay: Double) {
        (self.parameters, self.decay) = (parameters, decay)
        averages = parameters.map { $0.parameter.value.copy() }
    }

    /// average ← d·average + (1 − d)·weights; d is smaller in the first `steps`, so that the start is soon forgotten.
    func update(steps: Int) {
        let d = Float(min(decay, Double(1 + steps) / Double(10 + steps)))
        for (average, named) in zip(averages, parameters) {
            let (x, y) = (named.parameter.value.pointer, average.pointer)
            WorkerPool.current.run(average.count, grain: 1 << 15) { for i in $0 { y[i] += (1 - d) * (x[i] - y[i]) } }
        }
    }

    /// Exchanges the averages and the model's weights.
    func exchange() {
        for (average, named) in zip(averages, parameters) {
            let weights = named.parameter.value.copy()
            named.parameter.assign(average)
            average.pointer.update(from: weights.pointer, count: weights.count)
        }
    }

    /// The averages by the parameters' paths, for a checkpoint.
    var state: [(path: String, tensor: Tensor)] { zip(parameters, averages).map { ("average/" + $0.path, $1) } }
}
