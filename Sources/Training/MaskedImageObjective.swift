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
import Foundation
import Logging

/// Everything that makes a run of masked image modeling anew, beside the recipe.
package struct MaskedImageSettings: TrainingSettings {
    var data: PhotoOptions
    /// Nil where the tokens of a cache fix what each photo shows.
    var augmentation: Augmentation?
    var masking: MaskGenerator
    /// Whether the loss counts all patches, not only the hidden ones.
    var predictsAll: Bool
    /// Nil where pixels are predicted, or tokens come from a cache and no picture shows them.
    var tokenizer: PinnedFile?
    /// Height and width in pixels of what the tokenizer sees.
    var tokenSize: [Int]?
    /// The tokens of all photos, if they are known beforehand.
    var cache: PinnedFile?
    package var configuration: ModelConfiguration
    package var preprocessing: Preprocessing
    package var page: Int?
    package var checkpointsBlocks: Bool
    package var provenance: Provenance
    /// The data folders as the cache has them, where they have moved since.
    var cachedFolders: [String]?

    package var folders: [String] {
        get { data.folders }
        set {
            cachedFolders = cachedFolders ?? data.folders
            data.folders = newValue
        }
    }

    package var problem: String? {
        if let problem = data.problem ?? augmentation?.problem ?? masking.problem { return problem }
        if let cachedFolders, cache != nil, cachedFolders.count != data.folders.count {
            return
                "there are \(data.folders.count) data folders, and the tokens are of \(cachedFolders.count); give one "
                + "for each, in their order"
        }
        if let backbone = configuration.backbone,
            [masking.rows, masking.columns] != [backbone.gridHeight, backbone.gridWidth]
        {
            return "masking has \(masking.rows)×\(masking.columns) patches, the network another number"
        }
        guard tokenizer != nil || cache != nil || configuration.mim?.pixels != nil else {
            return "there is neither a tokenizer nor a token cache nor pixels to predict"
        }
        guard let tokenSize else { return nil }
        guard tokenSize.count == 2, tokenSize.allSatisfy({ 1...1 << 14 ~= $0 }) else {
            return "tokenSize is \(tokenSize)"
        }
        return nil
    }

    /// Throws what reading the files throws, and ``TrainingError`` where one of them is another one now.
    fileprivate func sources(of folder: RunFolder) throws -> MaskedImageObjective.Sources {
        var sources = MaskedImageObjective.Sources()
        if let pinned = tokenizer {
            let tokenizer = try VisualTokenizer(pinned.path, size: tokenSize)
            try pinned.requireSame(as: tokenizer.source, "tokenizer", of: folder)
            sources.tokenizer = tokenizer
        }
        if let pinned = cache {
            let moved = cachedFolders.map { Array(zip(data.folders, $0)) } ?? []
            let cache = try CachedTokens(pinned.path, moved: moved)
            try pinned.requireSame(as: cache.source, "token cache", of: folder)
            sources.cache = cache
        }
        return sources
    }
}

/// Photos, listed, and what gives them their tokens.
package struct MaskedImageSource: TrainingData {
    let photos: PhotoDataset
    let sources: MaskedImageObjective.Sources

    /// The photos that have tokens where these come from a cache. Throws ``DatasetError`` and `FileError`.
    init(
        _ options: PhotoOptions, as reading: ImageReading, _ sources: MaskedImageObjective.Sources,
        excluding output: String
    ) throws {
        var photos = try PhotoDataset(options, as: reading, excluding: output)
        if let cache = sources.cache {
            try photos.keep(
                cache.contains,
                lacking: "tokens in \(cache.source.path) (`tokenizer encode` writes those of all photos it is given; "
                    + "paths count from the folder where it ran)")
        }
        (self.photos, self.sources) = (photos, sources)
    }

    package var trainingCount: Int { photos.training.count }
    package var validationCount: Int { photos.validation.count }
    package var reading: ImageReading { photos.reading }
}

/// Learns to predict what hidden patches show (BEiT §2.3): their visual tokens by cross-entropy, or, as an ablation,
/// their pixels by squared error.
package final class MaskedImageObjective: PlannedObjective {
    package let settings: MaskedImageSettings
    package var model: any Module { network }
    private let network: MaskedImageModel
    private let target: Target
    private let training: MaskedViews
    /// Without photos if none are held out.
    private let validation: MaskedViews
    private let cache: CachedTokens?
    package let fingerprint: UInt64
    /// Where the picture of a validation goes.
    private let picture: String
    private var drawn: RGBImage?
    private var logged = PredictionCounts()
    /// How often each token was to be predicted, forgetting slowly: `[V]`.
    private let histogram: Tensor

    private enum Target {
        /// Their pictures need the tokenizer; without one, all tokens come from the cache.
        case tokens(VisualTokenizer?)
        case pixels(MIMConfiguration.PixelTarget)
    }

    /// What gives photos their tokens.
    struct Sources {
        var tokenizer: VisualTokenizer?
        var cache: CachedTokens?

        /// V; nil where there are no tokens.
        var vocabulary: Int? { cache?.description.vocabulary ?? tokenizer?.vocabulary }
        /// Of the tokenizer's file, in hexadecimal.
        var tokenizerSHA256: String? { cache?.description.tokenizerSHA256 ?? tokenizer?.source.sha256 }
    }

    /// Photos that are scored at a validation, at most; an even sample of those held out.
    private static let mostScored = 256
    /// Photos of a picture, at most.
    private static let mostDrawn = 4

    package static var task: ModelTask { .mim }
    package static var style: Initializer.Style { .pretraining }

    package static func source(_ settings: MaskedImageSettings, in folder: RunFolder) throws -> MaskedImageSource {
        try MaskedImageSource(
            settings.data, as: settings.reading, settings.sources(of: folder), excluding: folder.path)
    }

    /// - Precondition: there is a source of tokens unless the configuration says that pixels are predicted.
    package init(
        _ settings: MaskedImageSettings, _ source: MaskedImageSource, _ model: Model, seed: UInt64, folder: RunFolder
    ) {
        guard case .mim(let network) = model else { preconditionFailure("a model of another task") }
        let (photos, sources) = (source.photos, source.sources)
        (self.settings, self.network, picture) = (settings, network, folder.predictions)
        network.backbone.checkpointsBlocks = settings.checkpointsBlocks
        if let pixels = settings.configuration.mim?.pixels {
            target = .pixels(pixels)
        } else {
            precondition(sources.vocabulary != nil, "nothing to predict")
            target = .tokens(sources.tokenizer)
        }
        let views = { (paths: PathTable) in
            MaskedViews(
                PhotoPaths(paths, as: photos.reading), size: network.backbone.configuration.imageSize,
                tokenView: sources.cache == nil ? sources.tokenizer?.view : nil,
                scaling: PixelScaling(mean: settings.preprocessing.mean, std: settings.preprocessing.std),
                masking: settings.masking, augmentation: settings.augmentation, seed: seed
            ) { Logger(label: "beit-seg").warning("\($0)") }
        }
        (training, validation) = (views(photos.training), views(PathTable(photos.validation.sample(Self.mostScored))))
        (cache, fingerprint) = (sources.cache, photos.fingerprint)
        histogram = .zeros([sources.vocabulary ?? 1])
    }

    package var depth: Int { network.backbone.configuration.depth }
    package var count: Int { training.photos.count }
    package var validationCount: Int { validation.photos.count }
    package var files: [String] { training.photos.files }
    package var stretches: [Range<Int>] { training.photos.stretches }

    package var loader: @Sendable ([(image: Int, place: Int)]) throws -> MaskedBatch {
        { [training, cache] in
            var batch = try training.training($0)
            batch.tokens = try cache?.tokens(of: batch.images) ?? []
            return batch
        }
    }

    package func images(of batch: MaskedBatch) -> [String] { batch.images }

    package func loss(_ batch: MaskedBatch, _ tape: Tape) -> (value: Variable, counts: [Double]) {
        let pass = pass(batch, everywhere: settings.predictsAll, tape)
        var counts = PredictionCounts()
        counts.add(pass)
        return (pass.loss, counts.values + pass.labels.map(Double.init))
    }

    /// - Parameter counts: ``PredictionCounts/values``, then the tokens to be predicted.
    package func take(_ counts: [Double]) {
        logged.merge(PredictionCounts(Array(counts.prefix(PredictionCounts.valueCount))))
        note(counts.dropFirst(PredictionCounts.valueCount).map { Int32($0) })
    }

    package func pictures() throws -> [ReportPicture] {
        try drawn.map { [try ReportPicture("hidden patches in grey, what is predicted there, and what is right", $0)] }
            ?? []
    }

    package var state: [(path: String, tensor: Tensor)] {
        guard case .tokens = target else { return [] }
        return [("token_histogram", histogram)]
    }

    package func takeMetrics() -> [String: Double] {
        defer { logged = PredictionCounts() }
        guard case .tokens = target, logged.rows > 0 else { return [:] }
        return ["accuracy": logged.accuracy, "unigram_entropy": histogram.entropy]
    }

    package var counts: [Double] {
        get { logged.values }
        set { logged = PredictionCounts(newValue) }
    }

    /// Loss and accuracy on hidden patches of photos that are not learned from, always the same ones.
    package func validate(_ team: any Communicator) throws -> Validation? {
        let count = validation.photos.count, size = 8
        guard count > 0 else { return nil }
        let scores = try team.deal((count + size - 1) / size) { numbers in
            let batches = Prefetcher(0..<numbers.count, ahead: 2, threads: 2) { [validation, cache] in
                let start = numbers[$0] * size
                var batch = try validation.validation(start..<min(count, start + size))
                batch.tokens = try cache?.tokens(of: batch.images) ?? []
                return batch
            }
            return try numbers.map { number in
                try Interruption.check()
                guard let batch = try batches.next() else { preconditionFailure("a batch for every number") }
                let pass = pass(batch, everywhere: false, Tape(.inference))
                if number == 0 { try draw(batch, pass) }
                var counts = PredictionCounts()
                counts.add(pass)
                return counts.values.map(\.bitPattern)
            }
        }
        var counts = PredictionCounts()
        for score in scores { counts.merge(PredictionCounts(score.map(Double.init(bitPattern:)))) }
        var metrics = ["val_loss": counts.loss]
        if case .tokens = target {
            (metrics["val_accuracy"], metrics["unigram_entropy"]) = (counts.accuracy, histogram.entropy)
        }
        return Validation(score: -counts.loss, metrics: metrics, decisive: "val_loss")
    }
}

// MARK: Passes

/// What one pass over a batch came to.
private struct PredictionPass {
    /// Rows of the grids that are predicted, row-major over image and patch.
    var positions: [Int]
    var loss: Variable
    /// `[positions, V]`
    var output: Tensor
    /// Of all patches; empty where pixels are predicted.
    var tokens: [Int32] = []

    /// Of the positions.
    var labels: [Int32] { tokens.isEmpty ? [] : positions.map { tokens[$0] } }
}

/// Sums over passes.
private struct PredictionCounts {
    private var total = 0.0
    private(set) var rows = 0
    private var correct = 0

    init() {}

    /// From ``values``; nothing counted where they are none.
    init(_ values: [Double]) {
        guard values.count == Self.valueCount else { return }
        (total, rows, correct) = (values[0], Int(values[1]), Int(values[2]))
    }

    var values: [Double] { [total, Double(rows), Double(correct)] }
    static var valueCount: Int { 3 }

    mutating func merge(_ other: PredictionCounts) {
        (total, rows, correct) = (total + other.total, rows + other.rows, correct + other.correct)
    }

    mutating func add(_ pass: PredictionPass) {
        total += Double(pass.loss.value.scalar) * Double(pass.positions.count)
        rows += pass.positions.count
        if !pass.tokens.isEmpty { correct += zip(pass.output.argmax(), pass.labels).count { $0 == $1 } }
    }

    /// The mean over all patches predicted.
    var loss: Double { total / Double(max(1, rows)) }
    var accuracy: Double { Double(correct) / Double(max(1, rows)) }
}

extension MaskedImageObjective {
    private func pass(_ batch: MaskedBatch, everywhere: Bool, _ tape: Tape) -> PredictionPass {
        let positions = batch.mask.indices.filter { everywhere || batch.mask[$0] }
        switch target {
        case .tokens(let tokenizer):
            let tokens = batch.tokens.isEmpty ? tokenizer?.tokens(batch.tokenViews) ?? [] : batch.tokens
            let (loss, output) = network.tokenLoss(
                Variable(batch.pixels), mask: batch.mask, tokens: tokens, at: positions, tape)
            return PredictionPass(positions: positions, loss: loss, output: output.value, tokens: tokens)
        case .pixels(let target):
            let rows = Tape(.inference).selectRows(Variable(patches.rows(batch.pixels)), positions).value
            let output = network(Variable(batch.pixels), mask: batch.mask, positions: positions, tape)
            let loss = tape.meanSquaredError(output, target: patches.targets(rows, target))
            return PredictionPass(positions: positions, loss: loss, output: output.value)
        }
    }

    private var patches: PatchPixels {
        PatchPixels(backbone: network.backbone.configuration, preprocessing: settings.preprocessing)
    }

    /// Adds the tokens of one pass to the histogram; those of a thousand passes ago count a third.
    private func note(_ labels: [Int32]) {
        guard !labels.isEmpty else { return }
        for word in 0..<histogram.count { histogram.pointer[word] *= 0.999 }
        for label in labels { histogram.pointer[Int(label)] += 1 }
    }

    /// For a few photos: what the network sees | what it makes of the hidden patches | what would be right. Tokens
    /// without their tokenizer have no picture.
    private func draw(_ batch: MaskedBatch, _ pass: PredictionPass) throws {
        let size = network.backbone.configuration, rows = patches.rows(batch.pixels), hidden = rows.copy()
        for row in pass.positions { hidden.rows(row..<row + 1).buffer.update(repeating: 0) }
        let shown = min(Self.mostDrawn, batch.images.count)
        let columns: [[RGBImage]]
        switch target {
        case .tokens(nil): return
        case .tokens(let tokenizer?):
            guard tokenizer.canDraw else { return }
            var guessed = pass.tokens
            for (position, token) in zip(pass.positions, pass.output.argmax()) { guessed[position] = token }
            columns = [guessed, pass.tokens].map { tokens in
                tokenizer.pictures(
                    Array(tokens.prefix(shown * size.patchCount)), rows: size.gridHeight, columns: size.gridWidth
                ).map { $0.resized(width: size.imageSize[1], height: size.imageSize[0], filter: .bilinear) }
            }
        case .pixels(let target):
            let guessed = rows.copy()
            let truth = Tape(.inference).selectRows(Variable(rows), pass.positions).value
            let restored = patches.restored(pass.output, target, as: truth)
            for (index, row) in pass.positions.enumerated() {
                guessed.rows(row..<row + 1).pointer.update(
                    from: restored.rows(index..<index + 1).pointer, count: rows.shape[1])
            }
            columns = [guessed, rows].map { rows in (0..<shown).map { patches.picture(rows, $0) } }
        }
        let pictures = (0..<shown).flatMap { index in [patches.picture(hidden, index)] + columns.map { $0[index] } }
        let sheet = RGBImage.sheet(pictures, columns: 3, gap: 4)
        try writePNG(sheet, to: picture)
        drawn = sheet
    }
}

extension MaskedImageModel {
    /// The cross-entropy of the visual tokens at some patches, averaged over all of them in the batch, and the logits
    /// `[positions, V]`.
    /// - Parameters:
    ///   - mask: B·N flags, true where the patch is hidden.
    ///   - tokens: of all B·N patches.
    ///   - positions: the patches that count.
    func tokenLoss(
        _ pixels: Variable, mask: [Bool], tokens: [Int32], at positions: [Int], _ tape: Tape
    ) -> (loss: Variable, logits: Variable) {
        precondition(tokens.count == mask.count, "\(tokens.count) tokens for \(mask.count) patches")
        let logits = self(pixels, mask: mask, positions: positions, tape)
        return (tape.softmaxCrossEntropy(logits, labels: positions.map { tokens[$0] }, ignoreIndex: nil), logits)
    }
}

extension Tensor {
    /// Of the distribution that is proportional to the elements, in nats.
    fileprivate var entropy: Double {
        let total = buffer.reduce(0.0) { $0 + Double($1) }
        guard total > 0 else { return 0 }
        return buffer.reduce(0.0) { sum, value in
            let share = Double(value) / total
            return share > 0 ? sum - share * log(share) : sum
        }
    }
}
