import BEiTFiles
import BEiTMetrics
import BEiTPrediction
import Foundation

/// The bound's terms, averaged over photos. In nats for each photo unless said otherwise.
package struct EvidenceReport: Encodable, Sendable {
    /// A mean over photos and its standard error; the latter is null for one photo.
    package struct Estimate: Encodable, Sendable, Equatable {
        package let mean: Double
        package let standardError: Double?

        package init(_ values: [Double]) {
            let (count, mean) = (Double(values.count), values.reduce(0, +) / Double(values.count))
            let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
            (self.mean, standardError) = (mean, values.count > 1 ? (squares / (count - 1) / count).squareRoot() : nil)
        }

        enum CodingKeys: String, CodingKey {
            case mean
            case standardError = "standard_error"
        }

        package func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(mean, forKey: .mean)
            try container.encode(standardError, forKey: .standardError)
        }
    }

    /// With a share of the patches hidden.
    package struct Masked: Encodable, Sendable {
        package let ratio: Double
        /// Patches.
        package let hidden: Estimate
        /// For each hidden token: KL from the uniform prior, KL from the model's prediction, and the first less the second.
        package let uniformKL, priorKL, saved: Estimate
        /// For each hidden token: −ln p of the most likely token, and the share that is predicted rightly.
        package let surprise, accuracy: Estimate
        package let bound, bitsPerDimension: Estimate

        enum CodingKeys: String, CodingKey {
            case ratio, hidden, saved, accuracy, bound
            case uniformKL = "kl_uniform_per_token"
            case priorKL = "kl_prior_per_token"
            case surprise = "negative_log_likelihood_per_token"
            case bitsPerDimension = "bits_per_dimension"
        }
    }

    /// Photos; values of a photo's pixels; tokens of a photo; codes.
    package let images, values, tokens, vocabulary: Int
    package let masking: String
    package let samples: Int
    package let reconstruction, reconstructionOfBest: Estimate
    package let uniformKL, entropy: Estimate
    package let bound, bitsPerDimension: Estimate
    package let masked: [Masked]
    package let failed: [String]

    enum CodingKeys: String, CodingKey {
        case images, values, tokens, vocabulary, masking, samples, reconstruction, bound, masked, failed
        case reconstructionOfBest = "reconstruction_of_best"
        case uniformKL = "kl_uniform"
        case entropy = "posterior_entropy"
        case bitsPerDimension = "bits_per_dimension"
    }

    init(
        _ photos: [PhotoEvidence], _ settings: EvidenceSettings, failed: [String], values: Int, tokens: Int,
        vocabulary: Int
    ) {
        (images, self.values, self.tokens, self.vocabulary) = (photos.count, values, tokens, vocabulary)
        (masking, samples, self.failed) = (settings.masking.rawValue, settings.samples, failed)
        func estimate(_ value: (PhotoEvidence) -> Double) -> Estimate { Estimate(photos.map(value)) }
        let bits = 1 / (log(2) * Double(values))
        reconstruction = estimate(\.sampled)
        reconstructionOfBest = estimate(\.best)
        uniformKL = estimate(\.uniform)
        entropy = estimate(\.entropy)
        bound = estimate { $0.sampled - $0.uniform }
        bitsPerDimension = estimate { ($0.uniform - $0.sampled) * bits }
        masked = settings.ratios.enumerated().map { index, ratio in
            func each(_ value: (PhotoEvidence.Masked) -> Double) -> Estimate {
                estimate { value($0.masked[index]) / Double($0.masked[index].hidden) }
            }
            // The patches that are seen keep the uniform prior.
            func bound(_ photo: PhotoEvidence) -> Double {
                photo.sampled - (photo.uniform - photo.masked[index].uniform + photo.masked[index].prior)
            }
            return Masked(
                ratio: ratio, hidden: estimate { Double($0.masked[index].hidden) }, uniformKL: each(\.uniform),
                priorKL: each(\.prior), saved: each { $0.uniform - $0.prior }, surprise: each(\.surprise),
                accuracy: each(\.correct), bound: estimate(bound), bitsPerDimension: estimate { -bound($0) * bits })
        }
    }

    // MARK: Text

    /// For people.
    package var text: String {
        let head = [
            "reconstruction E ln p(x|z)    \(reconstruction.text)",
            "  of the most likely tokens   \(reconstructionOfBest.text)",
            "KL from the uniform prior     \(uniformKL.text)", "bound, uniform prior          \(bound.text)",
            "  in bits per value           \(bitsPerDimension.text(4))", "",
        ]
        var table = TextTable([.right] + Array(repeating: .left, count: 5), gap: "   ")
        table.add(["hidden", "KL uniform", "KL model", "saved", "-ln p(token)", "bound"])
        for row in masked {
            let cells = [row.uniformKL, row.priorKL, row.saved, row.surprise].map { $0.text(3) }
            table.add([String(format: "%.0f %%", 100 * row.ratio)] + cells + [row.bound.text])
        }
        let tail = [
            "",
            "In nats for each photo, but those in the table for each hidden token; ± is the standard error over photos.",
            "\(images.counted("photo")), \(tokens) tokens of \(vocabulary) codes each, \(masking) masks"
                + (failed.isEmpty ? "" : "; \(failed.count.counted("photo")) failed"),
        ]
        return (head + table.lines + tail).joined(separator: "\n")
    }
}

extension EvidenceReport.Estimate {
    package var text: String { text(1) }

    package func text(_ decimals: Int) -> String {
        let error = standardError.map { String(format: " ± %.*f", decimals, $0) } ?? ""
        return String(format: "%.*f", decimals, mean) + error
    }
}
