import BEiTReports
import BEiTMetrics
import BEiTCheckpoints
import BEiTDatasets
import Foundation
import BEiTImageIO
import BEiTLayers
import Logging
import BEiTModels
import BEiTOps
import BEiTTensorCore

/// Everything that makes a tokenizer's run anew, beside the recipe.
package struct TokenizerSettings: Codable, Sendable {
    package var data: PhotoOptions
    package var augmentation: Augmentation
    package var configuration: ModelConfiguration
    package var preprocessing: Preprocessing
    /// Of the relaxed codes, by the step.
    package var temperature: Schedule
    /// β, by the step: the factor of the KL term, summed over tokens, beside the likelihood, summed over values.
    package var klWeight: Schedule
    package var provenance: Provenance
}

/// Learns to turn photos into visual tokens and back: DALL-E's discrete VAE, whose loss is the evidence lower bound with
/// relaxed codes (Ramesh et al., arXiv:2102.12092 §2.1 and app. A).
package final class TokenizerObjective: Objective {
    package let settings: TokenizerSettings
    package var model: any Module { tokenizer }
    private let tokenizer: DiscreteVAE
    private let training, validation: PhotoBatches
    private let seed: UInt64
    /// Where the reconstructions of a few photos are drawn at each validation.
    private let sheet: String
    private var drawn: RGBImage?
    package let fingerprint: UInt64
    /// Of the update under way, or the last one.
    private var temperature: Float, klWeight: Float

    /// Photos that are scored at a validation, at most; an even sample of those held out.
    static let mostScored = 512
    /// Photos on the sheet, at most.
    private static let mostDrawn = 16

    package init(
        _ settings: TokenizerSettings, _ dataset: PhotoDataset, _ tokenizer: DiscreteVAE, seed: UInt64,
        folder: RunFolder
    ) {
        (self.settings, self.tokenizer, self.seed) = (settings, tokenizer, seed)
        (sheet, fingerprint) = (folder.reconstructions, dataset.fingerprint)
        let form = settings.preprocessing
        let batches = { (paths: [String]) in
            PhotoBatches(
                paths, size: form.size, scaling: PixelScaling(mean: form.mean, std: form.std),
                filter: form.filter
            ) { Logger(label: "beit-seg").warning("\($0)") }
        }
        training = batches(dataset.training)
        validation = batches(dataset.validation.sample(TokenizerObjective.mostScored))
        (temperature, klWeight) = (Float(settings.temperature.value(at: 0)), Float(settings.klWeight.value(at: 0)))
    }

    /// There is nothing whose learning rate would depend on its depth.
    package var depth: Int { 0 }
    package var count: Int { training.paths.count }

    package var loader: @Sendable ([(image: Int, place: Int)]) throws -> PhotoBatch {
        { [training, seed, augmentation = settings.augmentation] in
            try training.training($0, seed: seed, augmentation)
        }
    }

    package func images(of batch: PhotoBatch) -> [String] { batch.images }

    package func begin(step: Int) {
        temperature = Float(settings.temperature.value(at: step))
        klWeight = Float(settings.klWeight.value(at: step))
    }

    package func loss(_ batch: PhotoBatch, _ tape: Tape) -> Variable {
        tokenizer.loss(of: batch.pixels, temperature: temperature, klWeight: klWeight, tape)
    }

    /// The bound with hard codes, as the tokenizer is used; and a picture of what it keeps.
    package func validate() throws -> Validation? {
        let count = validation.paths.count
        guard count > 0 else { return nil }
        var scores = TokenizerScores(vocabulary: tokenizer.configuration.vocabulary)
        let batch = 8
        let batches = Prefetcher(0..<(count + batch - 1) / batch, ahead: 2, threads: 2) { [validation] in
            try validation.validation(Array($0 * batch..<min(count, ($0 + 1) * batch)))
        }
        var place = 0
        while let batch = try batches.next() {
            // The same noise at every validation, of a place that no step has.
            let generator = RandomStream.network.generator(seed: seed, 1 << 48 | place)
            _ = scores.add(batch.pixels, tokenizer, temperature: temperature, generator)
            place += 1
        }
        try drawSheet()
        var metrics = scores.metrics
        (metrics["temperature"], metrics["kl_weight"]) = (Double(temperature), Double(klWeight))
        return Validation(score: scores.bound, metrics: metrics)
    }

    /// Photos and their reconstructions from hard codes, side by side, four pairs a row.
    private func drawSheet() throws {
        let chosen = Array(validation.paths.indices).sample(TokenizerObjective.mostDrawn)
        let pixels = try validation.validation(chosen).pixels
        var scores = TokenizerScores(vocabulary: tokenizer.configuration.vocabulary)
        let pictures = scores.add(pixels, tokenizer, temperature: temperature, Philox(seed: seed))
        let photos = Tensor(pixels.values.map(DiscreteVAE.unmapPixels), pixels.shape)
        let pairs = chosen.indices.flatMap { [RGBImage(photos, $0), RGBImage(pictures, $0)] }
        let picture = RGBImage.sheet(pairs, columns: 8)
        try writePNG(picture, to: sheet)
        drawn = picture
    }

    package func pictures() throws -> [ReportPicture] {
        try drawn.map { [try ReportPicture("photos, each beside what its tokens keep of it", $0)] } ?? []
    }

    package func description(metrics: [String: Double]) -> ModelDescription {
        var provenance = settings.provenance
        provenance.metrics = metrics
        return ModelDescription(
            task: .tokenizer, configuration: settings.configuration, classes: [],
            preprocessing: settings.preprocessing, provenance: provenance)
    }
}

extension Array {
    /// At most `count` elements, evenly spread.
    func sample(_ count: Int) -> [Element] {
        self.count <= count ? self : (0..<count).map { self[$0 * self.count / count] }
    }
}
