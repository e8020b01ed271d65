import BEiTOps
import BEiTTensorCore

/// Makes the first values of parameters, or, for a model that is about to be loaded, leaves them unset.
package final class Initializer {
    /// How the authors truncate and what they set themselves (reference: `modeling_pretrain.py`,
    /// `modeling_finetune.py`).
    package enum Style: Sendable {
        /// Truncated normals cut at one standard deviation, also for the patch projection.
        case pretraining
        /// Truncated normals cut at ±2 (practically never); convolutions keep the uniform default.
        case finetuning
    }

    package let style: Style
    private let seed: UInt64?
    private var drawn: UInt64 = 0

    package init(seed: UInt64, style: Style) { (self.seed, self.style) = (seed, style) }

    private init() { (seed, style) = (nil, .finetuning) }

    /// Values come from a file: nothing is drawn, and memory is not touched.
    package static var unset: Initializer { Initializer() }

    package func zeros(_ shape: [Int]) -> Tensor { constant(0, shape) }
    package func ones(_ shape: [Int]) -> Tensor { constant(1, shape) }

    package func constant(_ value: Float, _ shape: [Int]) -> Tensor {
        seed == nil ? Tensor(uninitialized: shape) : Tensor(repeating: value, shape)
    }

    /// Normal of deviation 0.02, truncated as the style says; times `scale`.
    package func truncatedNormal(_ shape: [Int], scale: Float = 1) -> Tensor {
        normal(shape, deviation: scale * 0.02, limit: scale * (style == .pretraining ? 0.02 : 2))
    }

    /// Normal of the given deviation, cut at ±`limit`.
    package func normal(_ shape: [Int], deviation: Float, limit: Float = .infinity) -> Tensor {
        fill(shape) {
            Noise.fillNormal($2, count: $3, seed: $0, stream: $1, deviation: deviation, limit: limit)
        }
    }

    /// Uniform within ±1/√fanIn: the default of PyTorch's convolutions (Kaiming uniform, a = √5).
    package func uniform(_ shape: [Int], fanIn: Int) -> Tensor {
        let bound = 1 / Float(max(1, fanIn)).squareRoot()
        return fill(shape) { seed, stream, values, count in
            Noise.fillUniform(values, count: count, seed: seed, stream: stream)
            for index in 0..<count { values[index] = (2 * values[index] - 1) * bound }
        }
    }

    /// Each slice of 4096 elements has a stream of its own, so that the slices can be drawn at the same time.
    private func fill(
        _ shape: [Int],
        _ draw: (_ seed: UInt64, _ stream: UInt64, _ values: UnsafeMutablePointer<Float>, _ count: Int) -> Void
    ) -> Tensor {
        let result = Tensor(uninitialized: shape)
        guard let seed else { return result }
        let (values, first) = (result.pointer, drawn)
        drawn += UInt64((result.count + 4095) / 4096)
        WorkerPool.current.run(result.count, grain: 4096) { range in
            draw(seed, first + UInt64(range.lowerBound / 4096), values + range.lowerBound, range.count)
        }
        return result
    }
}
