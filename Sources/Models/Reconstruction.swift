import BEiTOps
import BEiTTensorCore
import Foundation

extension DiscreteVAE {
    /// The most likely visual token of each cell, row-major over `[B, h, w]`.
    /// - Parameter pixels: `[B, H, W, 3]`, mapped to 0.1 … 0.9.
    package func tokens(of pixels: Tensor) -> [Int32] { encoder(Variable(pixels), Tape(.inference)).value.argmax() }

    /// The mean pictures `[B, H, W, 3]` within 0…1 that visual tokens stand for, row-major over `shape` `[B, h, w]`.
    package func pictures(of tokens: [Int32], _ shape: [Int]) -> Tensor {
        DiscreteVAE.pictures(decoder(Variable(oneHot(tokens, shape)), Tape(.inference)).value)
    }

    /// Visual tokens, row-major over `shape` `[B, h, w]`, as codes for the decoder: `[B, h, w, V]` with a 1 each.
    ///
    /// - Precondition: every token is in `0..<V`.
    package func oneHot(_ tokens: [Int32], _ shape: [Int]) -> Tensor {
        let words = configuration.vocabulary
        precondition(tokens.count == shape.elementCount, "\(tokens.count) tokens for \(shape)")
        let result = Tensor.zeros(shape + [words])
        for (cell, token) in tokens.enumerated() {
            precondition((0..<words).contains(Int(token)), "token \(token) of \(words)")
            result.pointer[cell * words + Int(token)] = 1
        }
        return result
    }

    /// The pictures `[B, H, W, 3]` within 0…1 that the decoder's result `[B, H, W, 6]` stands for: φ⁻¹(sigmoid μ).
    package static func pictures(_ output: Tensor) -> Tensor {
        let result = Tensor(uninitialized: Array(output.shape.dropLast()) + [3])
        let (from, to) = (output.pointer, result.pointer)
        WorkerPool.current.run(output.count / 6, grain: 4096) { pixels in
            for pixel in pixels {
                for c in 0..<3 { to[3 * pixel + c] = unmapPixels(1 / (1 + exp(-from[6 * pixel + c]))) }
            }
        }
        return withExtendedLifetime(output) { result }
    }
}
