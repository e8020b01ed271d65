import BEiTModels
import BEiTOps
import BEiTTensorCore
import Foundation

extension DiscreteVAE {
    /// The terms of the evidence lower bound of `pixels` `[B, H, W, 3]`, mapped to 0.1 … 0.9, in nats.
    struct Evidence {
        /// E ln p(x|z), summed over all values of the batch: `[1]`.
        var logLikelihood: Variable
        /// KL from the uniform prior, of the untempered q, summed over all tokens of the batch: `[1]`.
        var divergence: Variable
    }

    /// The bound with relaxed codes: a sample of q, softened at `temperature` (Ramesh et al., arXiv:2102.12092 app. A).
    ///
    /// - Parameter noise: the Gumbel noise `[B, h, w, V]`; nil draws it from the tape's generator.
    func evidence(of pixels: Tensor, temperature: Float, noise: Tensor? = nil, _ tape: Tape) -> Evidence {
        let logits = encoder(Variable(pixels), tape)
        let codes = tape.gumbelSoftmax(logits, temperature: temperature, noise: noise)
        return Evidence(
            logLikelihood: DiscreteVAE.logLikelihood(of: pixels, decoder(codes, tape), tape),
            divergence: tape.uniformKL(logits))
    }

    /// The negative bound for each value, KL weighted: what is minimised.
    func loss(of pixels: Tensor, temperature: Float, klWeight: Float, noise: Tensor? = nil, _ tape: Tape) -> Variable {
        let evidence = evidence(of: pixels, temperature: temperature, noise: noise, tape)
        let share = 1 / Float(pixels.count)
        return tape.add(
            tape.scale(evidence.logLikelihood, -share), tape.scale(evidence.divergence, klWeight * share))
    }

    /// - Parameter output: the decoder's result `[B, H, W, 6]`: μ, then ln b.
    static func logLikelihood(of pixels: Tensor, _ output: Variable, _ tape: Tape) -> Variable {
        tape.logitLaplace(
            mu: tape.slice(output, axis: 3, 0..<3), logScale: tape.slice(output, axis: 3, 3..<6), target: pixels)
    }
}

/// How well a tokenizer does on photos that it does not learn from, added up batch by batch.
struct TokenizerScores {
    private var hard = 0.0, relaxed = 0.0, divergence = 0.0, squares = 0.0, absolutes = 0.0
    private var values = 0
    /// How often each code was chosen.
    private var uses: [Int]

    init(vocabulary: Int) { uses = [Int](repeating: 0, count: vocabulary) }

    /// What was added up, as integers: the bits of numbers, how many values, and each code that was used with how often.
    var sums: [UInt64] {
        [hard, relaxed, divergence, squares, absolutes].map(\.bitPattern) + [UInt64(values)]
            + uses.enumerated().filter { $1 > 0 }.flatMap { [UInt64($0), UInt64($1)] }
    }

    /// - Parameter sums: of others, see ``sums``.
    mutating func merge(_ sums: [UInt64]) {
        let numbers = sums.prefix(5).map(Double.init(bitPattern:))
        (hard, relaxed, divergence) = (hard + numbers[0], relaxed + numbers[1], divergence + numbers[2])
        (squares, absolutes, values) = (squares + numbers[3], absolutes + numbers[4], values + Int(sums[5]))
        for place in stride(from: 6, to: sums.count, by: 2) { uses[Int(sums[place])] += Int(sums[place + 1]) }
    }

    /// - Parameters:
    ///   - pixels: `[B, H, W, 3]`, mapped.
    ///   - generator: of the relaxed codes' noise.
    /// - Returns: the reconstructions from hard codes, `[B, H, W, 3]` within 0…1.
    mutating func add(_ pixels: Tensor, _ model: DiscreteVAE, temperature: Float, _ generator: Philox) -> Tensor {
        let tape = Tape(.inference, generator: generator)
        let logits = model.encoder(Variable(pixels), tape)
        let tokens = logits.value.argmax()
        let output = model.decoder(Variable(model.oneHot(tokens, logits.shape.dropLast())), tape)
        hard += Double(DiscreteVAE.logLikelihood(of: pixels, output, tape).value.scalar)
        let soft = model.decoder(tape.gumbelSoftmax(logits, temperature: temperature), tape)
        relaxed += Double(DiscreteVAE.logLikelihood(of: pixels, soft, tape).value.scalar)
        divergence += Double(tape.uniformKL(logits).value.scalar)
        for token in tokens { uses[Int(token)] += 1 }
        values += pixels.count
        let pictures = DiscreteVAE.pictures(output.value)
        for (x, y) in zip(pixels.buffer, pictures.buffer) {
            let difference = Double(DiscreteVAE.unmapPixels(x) - y)
            squares += difference * difference
            absolutes += abs(difference)
        }
        return pictures
    }

    /// Hard log-likelihood minus KL, in nats for each value of a pixel.
    var bound: Double { (hard - divergence) / Double(max(1, values)) }

    /// By name; the errors for pixels within 0…1, likelihoods in nats for each value, KL in nats for each token.
    var metrics: [String: Double] {
        let count = Double(max(1, values)), tokens = Double(max(1, uses.reduce(0, +)))
        let entropy = uses.reduce(0.0) { sum, use in
            let share = Double(use) / tokens
            return use > 0 ? sum - share * log(share) : sum
        }
        let used = uses.count { $0 > 0 }
        return [
            "val_mse": squares / count, "val_l1": absolutes / count, "val_elbo": bound,
            "val_log_likelihood": hard / count, "val_log_likelihood_relaxed": relaxed / count,
            "val_gap": (relaxed - hard) / count, "val_kl": divergence / tokens, "perplexity": exp(entropy),
            "codes_used": Double(used), "codes_dead": Double(uses.count - used),
        ]
    }
}
