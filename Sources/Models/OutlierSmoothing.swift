import BEiTLayers
import BEiTOps
import BEiTTensorCore
import Foundation

/// Moves outliers of activations into the weights that multiply them, before these are quantised. A row of activations has
/// one scale, so that a channel far larger than the others leaves these few steps; what a norm gives is divided channel by
/// channel, and the columns of the matrix behind it are multiplied by the same.
///
/// Factors are powers of two, so that the model computes the same numbers as before, to the last bit.
///
/// Source: Xiao et al., "SmoothQuant" (arXiv:2211.10438) §4.1, equation 4, with α = 0.5.
package final class OutlierSmoothing {
    private let pairs: [(norm: LayerNorm, weight: Parameter)]
    /// Of each pair: the largest |value| of each channel behind the norm.
    private var peaks: [[Float]]

    /// - Precondition: the model is not frozen.
    package init(_ backbone: Backbone) {
        pairs = backbone.blocks.flatMap { [($0.norm1, $0.attention.qkv), ($0.norm2, $0.mlp.fc1.weight)] }
        peaks = pairs.map { [Float](repeating: 0, count: $0.norm.weight.shape[0]) }
    }

    /// Notes what the norms give while `body` runs the model, in float32.
    package func observe<Result>(_ body: () throws -> Result) rethrows -> Result {
        for (index, pair) in pairs.enumerated() {
            pair.norm.observer = { [unowned self] in note($0, &peaks[index]) }
        }
        defer { pairs.forEach { $0.norm.observer = nil } }
        return try body()
    }

    private func note(_ activations: Tensor, _ peaks: inout [Float]) {
        let (values, width) = (activations.pointer, peaks.count)
        for row in 0..<activations.count / width {
            for channel in 0..<width { peaks[channel] = max(peaks[channel], abs(values[row * width + channel])) }
        }
    }

    /// Changes norms and weights by what was observed.
    package func apply() {
        for (pair, peaks) in zip(pairs, peaks) {
            let exponents = Self.exponents(peaks, pair.weight.value)
            for (channel, exponent) in exponents.enumerated() {
                for parameter in [pair.norm.weight, pair.norm.bias] {
                    parameter.value.pointer[channel] = scalbn(parameter.value.pointer[channel], -exponent)
                }
            }
            let (weights, width) = (pair.weight.value.pointer, exponents.count)
            let factors = exponents.map { scalbn(Float(1), $0) }
            for row in 0..<pair.weight.value.count / width {
                for channel in 0..<width { weights[row * width + channel] *= factors[channel] }
            }
        }
    }

    /// The largest exponent, to either side.
    private static let most = 12

    /// Of the factor √(max|x| / max|w|) of each channel. 0 for a channel that is always 0 or is multiplied by nothing else.
    private static func exponents(_ peaks: [Float], _ weight: Tensor) -> [Int] {
        let width = peaks.count
        var columns = [Float](repeating: 0, count: width)
        for row in 0..<weight.count / width {
            for channel in 0..<width {
                columns[channel] = max(columns[channel], abs(weight.pointer[row * width + channel]))
            }
        }
        return zip(peaks, columns).map { peak, column in
            guard peak.isNormal, column.isNormal else { return 0 }
            let exponent = (log2(Double(peak)) - log2(Double(column))) / 2
            return Int(min(max(exponent.rounded(), -Double(most)), Double(most)))
        }
    }
}

extension Model {
    /// Nil for a tokenizer.
    package var backbone: Backbone? {
        switch self {
        case .segmentation(let model): model.backbone
        case .classification(let model): model.backbone
        case .mim(let model): model.backbone
        case .tokenizer: nil
        }
    }
}
