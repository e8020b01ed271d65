import BEiTCheckpoints
import BEiTDatasets
import BEiTFiles
import BEiTImageIO
import BEiTMetrics
import BEiTModels
import BEiTOps
import BEiTPrediction
import BEiTProcesses
import BEiTTensorCore
import Foundation

/// What is estimated, and how.
package struct EvidenceSettings: Sendable {
    /// Shares of the patches that are hidden.
    package var ratios = [0.2, 0.4, 0.6, 0.8]
    package var masking = MaskGenerator.Kind.blockwise
    /// Draws of the tokens for the reconstruction of each photo.
    package var samples = 1
    package var seed: UInt64 = 0

    package init() {}
}

/// The terms of the bound for one photo, in nats.
struct PhotoEvidence: Codable, Sendable {
    /// E ln p(x|z) over tokens drawn from q(z|x), and ln p(x|ẑ) of the most likely ones ẑ: densities of pixels in 0…1.
    var sampled = 0.0, best = 0.0
    /// KL of q from the uniform prior, and the entropy of q: sums over all tokens.
    var uniform = 0.0, entropy = 0.0
    /// For each ratio of hidden patches.
    var masked: [Masked] = []

    struct Masked: Codable, Sendable {
        package var hidden = 0
        /// Over the hidden patches: KL of q from the uniform prior and from the model's prediction, −ln p(ẑ), and how many
        /// predictions were right.
        var uniform = 0.0, prior = 0.0, surprise = 0.0, correct = 0.0
    }

    /// Whether both models' outputs were.
    var isFinite: Bool {
        ([sampled, best, uniform, entropy] + masked.flatMap { [$0.prior, $0.surprise] }).allSatisfy(\.isFinite)
    }
}

/// Estimates BEiT's evidence lower bound on photos (arXiv:2106.08254 §2.4):
/// ln p(x|x̃) ≥ E_{z~q(z|x)} ln p(x|z) − KL[q(z|x) ‖ p(z|x̃)].
///
/// q and p(x|z) are the tokenizer's encoder and decoder; p(z|x̃) is the masked image model's prediction where patches are
/// hidden (of each token by itself: a pseudo-likelihood), and uniform where they are not.
package struct EvidenceBound {
    private let tokenizer: PhotoTokenizer
    private let model: MaskedImageModel
    /// The model's file.
    private let path: String
    private let scaling: PixelScaling
    private let settings: EvidenceSettings
    private let masks: [MaskGenerator]
    private let reading: ImageReading

    /// - Parameter choice: how photos are read otherwise than the model has learned.
    /// - Throws: ``CheckpointError``, `HDF5Error`, and ``EvidenceError`` for files that do not belong together.
    package init(
        tokenizer file: String, model path: String, _ settings: EvidenceSettings, precision: Precision? = nil,
        reading choice: ReadingChoice = .init()
    ) throws {
        let (loaded, description) = try Checkpoint.load(path, task: .mim, for: .inference(precision))
        guard case .mim(let model) = loaded else { preconditionFailure("a model of another task") }
        let backbone = model.backbone.configuration
        let grid = [backbone.gridHeight, backbone.gridWidth]
        guard description.configuration.mim?.pixels == nil else { throw EvidenceError.predictsPixels(model: path) }
        let own = try Checkpoint.describe(file).configuration.tokenizer?.downsampling ?? 8
        tokenizer = try PhotoTokenizer(file, size: grid.map { $0 * own }, decoding: true, precision: precision)
        if let wanted = description.provenance.tokenizerSHA256, wanted != tokenizer.description.tokenizerSHA256 {
            throw EvidenceError.otherTokenizer(model: path, tokenizer: file)
        }
        guard description.configuration.mim?.vocabulary == tokenizer.description.vocabulary else {
            throw EvidenceError.otherTokenizer(model: path, tokenizer: file)
        }
        (self.model, self.path, self.settings) = (model, path, settings)
        reading = choice.applied(to: description.preprocessing.reading)
        scaling = PixelScaling(mean: description.preprocessing.mean, std: description.preprocessing.std)
        masks = settings.ratios.map {
            MaskGenerator(
                settings.masking, rows: grid[0], columns: grid[1],
                count: max(1, Int((Double(grid[0] * grid[1]) * $0).rounded())))
        }
    }

    /// Two views of the central part of a photo.
    private struct Views: Sendable {
        var patches, tokens: RGBImage
    }

    /// - Parameters:
    ///   - team: who shares the work.
    ///   - progress, failed: as of `ImageLoop`; failed is also a photo for which an output is not finite.
    /// - Throws: ``EvidenceError/noPhotos``, `PredictionError.neverFinite`, what the loop throws.
    package func estimate(
        _ images: [InputImage], by team: any Communicator = SingleProcess(),
        progress: (_ done: Int) -> Void = { _ in }, failed: (_ error: String) -> Void
    ) throws -> EvidenceReport {
        var photos: [PhotoEvidence] = []
        var errors: [String] = []
        let (source, size) = (images.photos(as: reading), model.backbone.configuration.imageSize)
        try source.show(
            to: path, by: team,
            view: { [view = tokenizer.view] in
                let photo = try source.decode($0)
                return Views(
                    patches: photo.central(height: size[0], width: size[1], filter: .bicubic), tokens: view(photo))
            },
            bytes: { $0.patches.pixels.count + $0.tokens.pixels.count }, progress: progress,
            failed: { failed("\($1)") },
            answer: { views in
                views.map {
                    let found = evidence($0.item, $0.index)
                    return found.isFinite ? found : nil
                }
            },
            take: {
                switch $1 {
                case .done(let found): photos.append(found)
                case .failed(let reason): errors.append(reason)
                }
            })
        guard !photos.isEmpty else { throw EvidenceError.noPhotos }
        return EvidenceReport(
            photos, settings, failed: errors, values: 3 * tokenizer.description.size.reduce(1, *),
            tokens: tokenizer.grid.reduce(1, *), vocabulary: tokenizer.description.vocabulary)
    }

    private func evidence(_ views: Views, _ place: Int) -> PhotoEvidence {
        // A photo's draws depend on its place alone.
        var generator = RandomStream.network.generator(seed: settings.seed, place)
        let flags = masks.map { $0(&generator) }  // first: they are the same for any number of samples
        let tape = Tape(.inference)
        let pixels = tokenizer.pixels([views.tokens])
        let logits = tokenizer.model.encoder(Variable(pixels), tape)
        let posterior = tape.softmax(logits).value
        let best = logits.value.argmax()
        var result = PhotoEvidence()
        result.best = likelihood(of: pixels, best)
        for _ in 0..<settings.samples {
            result.sampled += likelihood(of: pixels, posterior.drawRows(&generator)) / Double(settings.samples)
        }
        result.uniform = Double(tape.uniformKL(logits).value.scalar)
        result.entropy = Double(best.count) * log(Double(tokenizer.description.vocabulary)) - result.uniform
        result.masked = masked(views.patches, flags, logits, posterior, best)
        return result
    }

    /// ln p(x|z) of a photo, as a density of pixels in 0…1.
    private func likelihood(of pixels: Tensor, _ tokens: [Int32]) -> Double {
        let tape = Tape(.inference)
        let output = tokenizer.model.decoder(
            Variable(tokenizer.model.oneHot(tokens, [1] + tokenizer.grid)), tape)
        let mapped = tape.logitLaplace(
            mu: tape.slice(output, axis: 3, 0..<3), logScale: tape.slice(output, axis: 3, 3..<6), target: pixels)
        return Double(mapped.value.scalar) + Double(pixels.count)
            * log(Double(DiscreteVAE.mapPixels(1) - DiscreteVAE.mapPixels(0)))
    }

    /// The terms for each mask; all masks go through the network together.
    private func masked(
        _ photo: RGBImage, _ masks: [[Bool]], _ logits: Variable, _ posterior: Tensor, _ best: [Int32]
    ) -> [PhotoEvidence.Masked] {
        let tape = Tape(.inference)
        let one = Tensor(uninitialized: [1, 3, photo.height, photo.width])
        scaling.write(photo, to: one.pointer)
        let pixels = Tensor(uninitialized: [masks.count, 3, photo.height, photo.width])
        for index in masks.indices {
            pixels.rows(index..<index + 1).pointer.update(from: one.pointer, count: one.count)
        }
        let predictions = model(Variable(pixels), mask: masks.flatMap { $0 }, tape)
        let words = tokenizer.description.vocabulary
        let (q, z) = (
            Variable(posterior.reshaped([best.count, words])), Variable(logits.value.reshaped([best.count, words]))
        )
        let all = Variable(predictions.value.reshaped([masks.count * best.count, words]))
        return masks.enumerated().map { index, mask in
            let hidden = mask.indices.filter { mask[$0] }
            let count = Double(hidden.count)
            let predicted = tape.selectRows(all, hidden.map { index * best.count + $0 })
            let labels = hidden.map { best[$0] }
            var result = PhotoEvidence.Masked(hidden: hidden.count)
            result.uniform = Double(tape.uniformKL(tape.selectRows(z, hidden)).value.scalar)
            let entropy = count * log(Double(words)) - result.uniform
            let crossEntropy = tape.softmaxCrossEntropy(predicted, targets: tape.selectRows(q, hidden).value)
            result.prior = count * Double(crossEntropy.value.scalar) - entropy
            result.surprise =
                count * Double(tape.softmaxCrossEntropy(predicted, labels: labels, ignoreIndex: nil).value.scalar)
            result.correct = Double(zip(predicted.value.argmax(), labels).count { $0 == $1 })
            return result
        }
    }
}

extension Tensor {
    /// An index for each row of probabilities.
    fileprivate func drawRows(_ generator: inout Philox) -> [Int32] {
        let width = shape.last ?? 1
        return (0..<count / width).map { row in
            var left = generator.uniform()
            for index in 0..<width {
                left -= pointer[row * width + index]
                if left < 0 { return Int32(index) }
            }
            return Int32(width - 1)  // the probabilities add up to a little less than 1
        }
    }
}

/// Why there is no bound.
package enum EvidenceError: ExitStatus, Equatable {
    case predictsPixels(model: String)
    case otherTokenizer(model: String, tokenizer: String)
    case noPhotos

    package var exitStatus: Int32 { 65 }

    package var description: String {
        switch self {
        case .predictsPixels(let model):
            "\(model): predicts pixels, and the bound needs a model of visual tokens"
        case .otherTokenizer(let model, let tokenizer):
            "\(tokenizer): \(model) has learned from another tokenizer; name that one with `tokenizer`"
        case .noPhotos: "no photo could be read, so there is nothing to estimate"
        }
    }
}
