import BEiTTensorCore
import CBEiTKernels

/// The terms of the discrete VAE's evidence lower bound (Ramesh et al., arXiv:2102.12092, appendix A).
extension Tape {
    /// The log-likelihood of mapped pixels under the logit-Laplace distribution, summed over all values: `[1]`.
    ///
    /// ln f(x | μ, b) = −ln 2b − ln(x·(1 − x)) − |logit x − μ|/b.
    /// - Parameters:
    ///   - mu: μ, any shape.
    ///   - logScale: ln b, of the same shape.
    ///   - target: x in (0, 1), of the same shape: pixels mapped to 0.1 … 0.9.
    package func logitLaplace(mu: Variable, logScale: Variable, target: Tensor) -> Variable {
        precondition(
            mu.shape == logScale.shape && mu.shape == target.shape,
            "logit-Laplace: μ \(mu.shape), ln b \(logScale.shape), pixels \(target.shape)")
        let (m, b, count) = (mu.value, logScale.value, target.count)
        let total = PartialSums.total(count, grain: Elementwise.grain) {
            let at = $0.lowerBound
            return beitseg_logit_laplace(m.pointer + at, b.pointer + at, target.pointer + at, $0.count)
        }
        let (muSlot, scaleSlot) = (mu.slot, logScale.slot)
        return record(Tensor([Float(total)], [1]), from: [mu, logScale]) { dy in
            let (dMu, dScale) = (Tensor(uninitialized: m.shape), Tensor(uninitialized: m.shape))
            WorkerPool.current.run(count, grain: Elementwise.grain) {
                let at = $0.lowerBound
                beitseg_logit_laplace_backward(
                    m.pointer + at, b.pointer + at, target.pointer + at, $0.count, dy.scalar, dMu.pointer + at,
                    dScale.pointer + at)
            }
            muSlot?.add(dMu)
            scaleSlot?.add(dScale)
        }
    }

    /// The divergence of q = softmax(logits) from the uniform prior over V tokens, Σ q·(ln q + ln V), summed over all
    /// rows of `logits` `[..., V]`: `[1]`.
    package func uniformKL(_ logits: Variable) -> Variable {
        let (z, tokens) = (logits.value, logits.shape.last ?? 1)
        return rowLoss(logits, factor: 1) { rows, scale, gradient, stride in
            beitseg_uniform_kl(z.pointer + rows.lowerBound * tokens, rows.count, tokens, scale, gradient, stride)
        }
    }
}
