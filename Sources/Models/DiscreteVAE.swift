import BEiTLayers
import BEiTOps
import BEiTTensorCore

/// One residual block: x' + g·res(x), x' = x or a 1×1 convolution of it where the widths differ.
private final class ResidualBlock: Module {
    private let idPath: Conv2d?
    /// The last one stands apart: its result is added to the stream.
    private let convolutions: [Conv2d]
    private let last: Conv2d
    private let gain: Float

    /// - Parameter kernels: of the four convolutions; encoder 3, 3, 3, 1, decoder 1, 3, 3, 3.
    init(_ inputs: Int, _ outputs: Int, kernels: [Int], gain: Float, _ initializer: Initializer) {
        self.gain = gain
        let hidden = outputs / 4
        idPath = inputs == outputs ? nil : convolution(inputs, outputs, kernel: 1, initializer)
        let widths = [inputs, hidden, hidden, hidden, outputs]
        convolutions = kernels.dropLast().enumerated().map {
            convolution(widths[$0.offset], widths[$0.offset + 1], kernel: $0.element, initializer)
        }
        last = convolution(hidden, outputs, kernel: kernels.last ?? 1, initializer)
    }

    var members: [Member] {
        (idPath.map { [.module("id_path", $0)] } ?? [])
            + (convolutions + [last]).enumerated().map { .module("res_path/conv_\($0.offset + 1)", $0.element) }
    }

    func callAsFunction(_ x: Variable, _ tape: Tape) -> Variable {
        var inner = x
        for (index, convolution) in convolutions.enumerated() {
            let reader = index + 1 < convolutions.count ? convolutions[index + 1] : last
            inner = convolution(
                inner, tape, rectifies: index == 0, activation: .relu, as: reader.sourceType(tape))
        }
        return last(inner, tape, residual: idPath?(x, tape) ?? x, gain: gain)
    }
}

/// A convolution of the dVAE: weights N(0, 1/(in·k²)), biases 0, "same" padding; `w` and `b` in the file.
private func convolution(_ inputs: Int, _ outputs: Int, kernel: Int, _ initializer: Initializer) -> Conv2d {
    let deviation = 1 / Float(inputs * kernel * kernel).squareRoot()
    return Conv2d(
        inputs, outputs, kernel: kernel, padding: (kernel - 1) / 2,
        weight: initializer.normal([outputs, inputs, kernel, kernel], deviation: deviation),
        bias: initializer.zeros([outputs]), names: ("w", "b"), initializer)
}

/// One half of the dVAE: a first convolution, groups of residual blocks with a change of resolution between them, ReLU
/// and a last 1×1 convolution (openai/DALL-E, `dall_e/encoder.py`, `dall_e/decoder.py`).
package final class DiscreteVAEHalf: Module {
    private let input, output: Conv2d
    private let groups: [[ResidualBlock]]
    private let changeResolution: (Variable, Tape) -> Variable

    /// - Parameter widths: of the first convolution's result, then of each group.
    private init(
        input: Conv2d, widths: [Int], blocks: Int, kernels: [Int], outputs: Int, _ initializer: Initializer,
        changeResolution: @escaping (Variable, Tape) -> Variable
    ) {
        self.input = input
        self.changeResolution = changeResolution
        let depth = Float(blocks * (widths.count - 1))
        groups = zip(widths, widths.dropFirst()).map { inputs, outputs in
            (0..<blocks).map {
                ResidualBlock(
                    $0 == 0 ? inputs : outputs, outputs, kernels: kernels, gain: 1 / (depth * depth), initializer)
            }
        }
        output = convolution(widths.last ?? outputs, outputs, kernel: 1, initializer)
    }

    static func encoder(_ size: TokenizerConfiguration, _ initializer: Initializer) -> DiscreteVAEHalf {
        let widths = [size.hidden] + (0..<size.groups).map { size.hidden << $0 }
        return DiscreteVAEHalf(
            input: convolution(3, size.hidden, kernel: 7, initializer), widths: widths, blocks: size.blocks,
            kernels: [3, 3, 3, 1], outputs: size.vocabulary, initializer
        ) { $1.maxPool2d($0, kernel: 2, stride: 2) }
    }

    static func decoder(_ size: TokenizerConfiguration, _ initializer: Initializer) -> DiscreteVAEHalf {
        let widths = [size.codeWidth] + (0..<size.groups).reversed().map { size.hidden << $0 }
        return DiscreteVAEHalf(
            input: convolution(size.vocabulary, size.codeWidth, kernel: 1, initializer), widths: widths,
            blocks: size.blocks, kernels: [1, 3, 3, 3], outputs: 6, initializer
        ) { $1.upsampleNearest($0, by: 2) }
    }

    package var members: [Member] {
        [.module("blocks/input", input)]
            + groups.enumerated().flatMap { index, blocks in
                blocks.enumerated().map {
                    Member.module("blocks/group_\(index + 1)/block_\($0.offset + 1)", $0.element)
                }
            } + [.module("blocks/output/conv", output)]
    }

    package func callAsFunction(_ x: Variable, _ tape: Tape) -> Variable {
        var x = input(x, tape)
        for (index, blocks) in groups.enumerated() {
            x = blocks.reduce(x) { $1($0, tape) }
            if index < groups.count - 1 { x = changeResolution(x, tape) }
        }
        return output(x, tape, rectifies: true)
    }
}

/// DALL-E's discrete VAE, BEiT's image tokenizer (Ramesh et al., arXiv:2102.12092 app. A).
package final class DiscreteVAE: Module {
    package let configuration: TokenizerConfiguration
    /// Mapped pixels `[B, H, W, 3]` → logits over the codebook `[B, H/8, W/8, V]`.
    package let encoder: DiscreteVAEHalf
    /// Nil in a tokenizer that makes tokens and no pictures.
    private let decoding: DiscreteVAEHalf?

    package init(_ configuration: TokenizerConfiguration, _ initializer: Initializer) {
        self.configuration = configuration
        encoder = .encoder(configuration, initializer)
        decoding = configuration.hasDecoder ? .decoder(configuration, initializer) : nil
    }

    package var members: [Member] {
        [.module("encoder", encoder)] + (decoding.map { [.module("decoder", $0)] } ?? [])
    }

    /// One-hot or soft codes `[B, h, w, V]` → `[B, 8·h, 8·w, 6]`: μ of the three channels, then ln b.
    ///
    /// - Precondition: the configuration has a decoder.
    package func decoder(_ codes: Variable, _ tape: Tape) -> Variable {
        guard let decoding else { preconditionFailure("a tokenizer without a decoder") }
        return decoding(codes, tape)
    }

    /// ε of ``mapPixels(_:)``.
    static let margin: Float = 0.1

    /// φ(x) = (1 − 2ε)·x + ε: pixels in 0…1 into 0.1…0.9, where the logit is finite.
    package static func mapPixels(_ x: Float) -> Float { (1 - 2 * margin) * x + margin }

    /// The inverse of ``mapPixels(_:)``, clamped to 0…1.
    package static func unmapPixels(_ y: Float) -> Float { min(1, max(0, (y - margin) / (1 - 2 * margin))) }
}
