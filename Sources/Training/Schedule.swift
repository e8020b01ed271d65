import Foundation

/// A number that changes over training: learning rate, weight decay, KL weight, temperature.
package struct Schedule: Codable, Equatable, Sendable {
    package enum Decay: Codable, Equatable, Sendable {
        case constant
        /// Half a cosine from `base` to `final` over the steps after warm-up (`cosine_scheduler` in the authors'
        /// `beit/utils.py`).
        case cosine
        /// final + (base − final)·(1 − step/steps)^power (the `poly` policy of semantic segmentation).
        case polynomial(power: Double)

        /// Of the polynomial.
        var power: Double? {
            guard case .polynomial(let power) = self else { return nil }
            return power
        }
    }

    package var decay: Decay
    package var base: Double
    package var final: Double
    /// All steps, those of the warm-up among them.
    package var steps: Int
    package var warmupSteps: Int
    /// The value at step 0 where there is a warm-up.
    package var warmupStart: Double

    package init(
        _ decay: Decay, base: Double, final: Double = 0, steps: Int, warmupSteps: Int = 0, warmupStart: Double = 0
    ) {
        (self.decay, self.base, self.final, self.steps) = (decay, base, final, steps)
        (self.warmupSteps, self.warmupStart) = (warmupSteps, warmupStart)
    }

    /// The value for step 0, 1, …; `final` (or `base`, if constant) from `steps` on.
    package func value(at step: Int) -> Double {
        switch decay {
        case .constant: return warmup(step) ?? base
        case .cosine:
            let rest = max(1, steps - warmupSteps)
            let progress = Double(min(step - warmupSteps, rest)) / Double(rest)
            return warmup(step) ?? final + (base - final) / 2 * (1 + cos(.pi * progress))
        case .polynomial(let power):
            let left = 1 - Double(min(step, steps)) / Double(max(1, steps))
            return (final + (base - final) * pow(left, power)) * warmupFactor(step)
        }
    }

    /// From `warmupStart` to `base`, both reached.
    private func warmup(_ step: Int) -> Double? {
        guard step < warmupSteps else { return nil }
        return warmupStart + (base - warmupStart) * Double(step) / Double(max(1, warmupSteps - 1))
    }

    /// The `poly` policy's warm-up multiplies the decaying value, from `warmupStart`/`base` to 1 (reached at
    /// `warmupSteps`).
    private func warmupFactor(_ step: Int) -> Double {
        guard step < warmupSteps, base != 0 else { return 1 }
        return 1 - (1 - Double(step) / Double(warmupSteps)) * (1 - warmupStart / base)
    }
}

/// Layer-wise decay of the learning rate: decay^(depth + 1 − layer) for layer 0 (embeddings, cls and mask token,
/// positions), i + 1 (block i) and depth + 1 (final norm, heads, a shared bias table).
package func layerDecayScale(layer: Int, depth: Int, decay: Double) -> Double {
    pow(decay, Double(depth + 1 - layer))
}
