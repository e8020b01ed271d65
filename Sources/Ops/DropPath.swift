import BEiTTensorCore

extension Tape {
    /// Stochastic depth (Huang et al., arXiv:1603.09382) of a residual branch `[B, ...]`: each sample is dropped with
    /// probability `rate`, the others are divided by 1 − rate. The identity in inference.
    package func dropPath(_ x: Variable, rate: Float) -> Variable {
        guard let factors = dropPathFactors(batch: x.shape[0], rate: rate) else { return x }
        return scaleSamples(x, factors)
    }

    /// A factor for each of `batch` samples, 0 or 1/(1 − rate), drawn from the tape's generator; nil where nothing is
    /// dropped (inference, rate 0).
    package func dropPathFactors(batch: Int, rate: Float) -> Tensor? {
        precondition(rate >= 0 && rate < 1, "drop path rate \(rate)")
        guard isTraining, rate > 0 else { return nil }
        let keep = 1 - rate
        return Tensor((0..<batch).map { _ in generator.bernoulli(keep) ? 1 / keep : 0 }, [batch])
    }

    /// Sample b of x `[B, ...]` times `factors[b]`.
    func scaleSamples(_ x: Variable, _ factors: Tensor) -> Variable {
        precondition(factors.count == x.shape[0], "\(factors.count) factors for \(x.shape)")
        let slot = x.slot
        return record(scaled(x.value, factors), from: [x]) { slot?.add(scaled($0, factors)) }
    }
}

private func scaled(_ x: Tensor, _ factors: Tensor) -> Tensor {
    let (y, count) = (Tensor(uninitialized: x.shape), x.count / max(1, factors.count))
    WorkerPool.current.run(factors.count) { sample in
        let (from, to) = (x.pointer + sample * count, y.pointer + sample * count)
        let factor = factors.pointer[sample]
        if factor == 0 {
            to.update(repeating: 0, count: count)
        } else {
            for index in 0..<count { to[index] = factor * from[index] }
        }
    }
    return y
}
