import BEiTCheckpoints
import BEiTDatasets
import BEiTFiles
import BEiTImageIO
import BEiTLayers
import BEiTModels
import BEiTOps
import BEiTProcesses
import BEiTReports
import BEiTTensorCore
import Logging

/// Everything that makes a tokenizer's run anew, beside the recipe.
package struct TokenizerSettings: TrainingSettings {
    package var data: PhotoOptions
    package var augmentation: Augmentation
    package var configuration: ModelConfiguration
    package var preprocessing: Preprocessing
    package var page: Int?
    /// Of the relaxed codes, by the step.
    package var temperature: Schedule
    /// β, by the step: the factor of the KL term, summed over tokens, beside the likelihood, summed over values.
    package var klWeight: Schedule
    package var provenance: Provenance

    package var checkpointsBlocks: Bool { false }
    package var folders: [String] {
        get { data.folders }
        set { data.folders = newValue }
    }

    package var problem: String? {
        if let problem = data.problem ?? augmentation.problem { return problem }
        guard ResizeFilter(rawValue: preprocessing.resize) != nil else {
            return "there is no filter \(preprocessing.resize)"
        }
        for schedule in [temperature, klWeight] {
            let numbers = [schedule.base, schedule.final, schedule.warmupStart]
            guard numbers.allSatisfy({ 0...1e6 ~= $0 }), 0...Recipe.mostSteps ~= schedule.steps,
                0...Recipe.mostSteps ~= schedule.warmupSteps
            else { return "a schedule of temperature or KL weight is out of range" }
        }
        return temperature.final > 0 && temperature.base > 0 ? nil : "temperature is not above 0"
    }
}

extension PhotoDataset: TrainingData {
    package var trainingCount: Int { training.count }
    package var validationCount: Int { validation.count }
}

/// Learns to turn photos into visual tokens and back: DALL-E's discrete VAE, whose loss is the evidence lower bound with
/// relaxed codes (Ramesh et al., arXiv:2102.12092 §2.1 and app. A).
package final class TokenizerObjective: PlannedObjective {
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

    package static var task: ModelTask { .tokenizer }
    package static var style: Initializer.Style { .pretraining }

    package static func source(_ settings: TokenizerSettings, in folder: RunFolder) throws -> PhotoDataset {
        try PhotoDataset(settings.data, as: settings.reading, excluding: folder.path)
    }

    package init(
        _ settings: TokenizerSettings, _ dataset: PhotoDataset, _ model: Model, seed: UInt64, folder: RunFolder
    ) {
        guard case .tokenizer(let tokenizer) = model else { preconditionFailure("a model of another task") }
        (self.settings, self.tokenizer, self.seed) = (settings, tokenizer, seed)
        (sheet, fingerprint) = (folder.reconstructions, dataset.fingerprint)
        let form = settings.preprocessing
        let batches = { (paths: PathTable) in
            PhotoBatches(
                PhotoPaths(paths, as: dataset.reading), size: form.size,
                scaling: PixelScaling(mean: form.mean, std: form.std),
                filter: form.filter
            ) { Logger(label: "beit-seg").warning("\($0)") }
        }
        training = batches(dataset.training)
        validation = batches(PathTable(dataset.validation.sample(TokenizerObjective.mostScored)))
        (temperature, klWeight) = (Float(settings.temperature.value(at: 0)), Float(settings.klWeight.value(at: 0)))
    }

    /// There is nothing whose learning rate would depend on its depth.
    package var depth: Int { 0 }
    package var count: Int { training.photos.count }
    package var validationCount: Int { validation.photos.count }
    package var files: [String] { training.photos.files }
    package var stretches: [Range<Int>] { training.photos.stretches }

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

    package func loss(_ batch: PhotoBatch, _ tape: Tape) -> (value: Variable, counts: [Double]) {
        (tokenizer.loss(of: batch.pixels, temperature: temperature, klWeight: klWeight, tape), [])
    }

    /// The bound with hard codes, as the tokenizer is used; and a picture of what it keeps.
    package func validate(_ team: any Communicator) throws -> Validation? {
        let count = validation.photos.count, size = 8, vocabulary = tokenizer.configuration.vocabulary
        guard count > 0 else { return nil }
        let parts = try team.deal((count + size - 1) / size) { numbers in
            let batches = Prefetcher(0..<numbers.count, ahead: 2, threads: 2) { [validation] in
                let start = numbers[$0] * size
                return try validation.validation(Array(start..<min(count, start + size)))
            }
            return try numbers.map { number in
                try Interruption.check()
                guard let batch = try batches.next() else { preconditionFailure("a batch for every number") }
                // The same noise at every validation, of a place that no step has.
                let generator = RandomStream.network.generator(seed: seed, 1 << 48 | number)
                var scores = TokenizerScores(vocabulary: vocabulary)
                _ = scores.add(batch.pixels, tokenizer, temperature: temperature, generator)
                return scores.sums
            }
        }
        var scores = TokenizerScores(vocabulary: vocabulary)
        parts.forEach { scores.merge($0) }
        try team.first(drawSheet)
        var metrics = scores.metrics
        (metrics["temperature"], metrics["kl_weight"]) = (Double(temperature), Double(klWeight))
        return Validation(score: scores.bound, metrics: metrics, decisive: "val_elbo")
    }

    /// Photos and their reconstructions from hard codes, side by side, four pairs a row.
    private func drawSheet() throws {
        let chosen = Array(0..<validation.photos.count).sample(TokenizerObjective.mostDrawn)
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
}

extension RandomAccessCollection where Index == Int {
    /// At most `count` elements, evenly spread.
    func sample(_ count: Int) -> [Element] {
        self.count <= count ? Array(self) : (0..<count).map { self[startIndex + $0 * self.count / count] }
    }
}
