import BEiTDatasets
import BEiTLayers
import BEiTModels
import BEiTOps
import BEiTTensorCore
import Foundation

/// One line of `beit-seg benchmark`.
package struct SpeedResult: Codable, Sendable {
    package enum Pass: String, Codable, CaseIterable, Sendable {
        case forward
        case trainingStep = "training-step"
        /// Of masked image modeling, with tokens from a cache.
        case pretrainingStep = "pretraining-step"
        /// Of the tokenizer that bears the preset's name.
        case tokenizerStep = "tokenizer-step"

        /// Whether it computes in this precision.
        package func takes(_ precision: Precision) -> Bool {
            switch precision {
            case .fp32, .bf16: true
            case .int8: self == .forward
            }
        }
    }
    package var pass: Pass
    package var preset: String
    /// Side of the image in pixels.
    package var size: Int
    package var batch: Int
    package var threads: Int
    package var precision: String
    /// From the median of the rounds.
    package var imagesPerSecond: Double
    package var gflops: Double
    /// Of the machine with these numbers; nil where the processor has no instruction for them.
    package var peakGflops, shareOfPeak: Double?
    package var peakMemoryBytes: Int

    enum CodingKeys: String, CodingKey {
        case pass, preset, size, batch, threads, precision, gflops
        case imagesPerSecond = "images_per_s"
        case peakGflops = "peak_gflops"
        case shareOfPeak = "share_of_peak"
        case peakMemoryBytes = "peak_memory_bytes"
    }
}

/// Times a model with random weights on random pixels: one for segmentation, for masked image modeling with 8192 tokens,
/// or a tokenizer.
package struct SpeedMeasurement {
    package var preset: Preset
    package var decoder = DecoderConfiguration.Name.deconvolution
    /// One that the pass takes.
    package var precision = Precision.fp32
    package var size: Int
    package var batch: Int
    package var classes: Int
    /// Rounds last at least this long together.
    package var seconds: Double

    package init(preset: Preset, size: Int, batch: Int, classes: Int, seconds: Double) {
        (self.preset, self.size, self.batch) = (preset, size, batch)
        (self.classes, self.seconds) = (classes, seconds)
    }

    private var backbone: BackboneConfiguration {
        var backbone = preset.backbone
        backbone.imageSize = [size, size]
        backbone.dropPath = 0
        return backbone
    }

    /// - Parameter peakGflops: of the machine on the threads in use, in this precision; nil where it has none.
    package func run(_ pass: SpeedResult.Pass, peakGflops: Double?) -> SpeedResult {
        let (time, flops) = measure(pass)
        let gflops = flops * Double(batch) / time / 1e9
        return SpeedResult(
            pass: pass, preset: preset.rawValue, size: size, batch: batch, threads: WorkerPool.current.threads,
            precision: precision.rawValue, imagesPerSecond: Double(batch) / time,
            gflops: gflops, peakGflops: peakGflops,
            shareOfPeak: peakGflops.map { gflops / $0 }, peakMemoryBytes: Machine.peakMemoryBytes)
    }

    /// Seconds of a pass.
    func passSeconds(_ pass: SpeedResult.Pass) -> Double { measure(pass).seconds }

    /// Of the model that a pass is of.
    func parameterCount(_ pass: SpeedResult.Pass) -> Int {
        let configuration: ModelConfiguration =
            switch pass {
            case .forward, .trainingStep: .segmentation(backbone, DecoderConfiguration(decoder, classes: classes))
            case .pretrainingStep: .mim(backbone, MIMConfiguration())
            case .tokenizerStep: .tokenizer(TokenizerPreset(rawValue: preset.rawValue)?.configuration ?? .init())
            }
        return Model(configuration, .unset).module.parameterCount
    }

    /// Seconds of a pass, and the arithmetic for an image.
    private func measure(_ pass: SpeedResult.Pass) -> (seconds: Double, flops: Double) {
        StoragePool.shared.expectSteps(pass != .forward)
        return switch pass {
        case .forward, .trainingStep: segmentation(pass)
        case .pretrainingStep: pretraining()
        case .tokenizerStep: tokenizer()
        }
    }

    private func segmentation(_ pass: SpeedResult.Pass) -> (seconds: Double, flops: Double) {
        let configuration = ModelConfiguration.segmentation(backbone, DecoderConfiguration(decoder, classes: classes))
        guard case .segmentation(let model) = Model(configuration, Initializer(seed: 0, style: .finetuning)) else {
            preconditionFailure("a model of another task")
        }
        let pixels = Variable(randomPixels())
        guard pass == .forward else {
            return (median(trainingStep(model, pixels)), configuration.trainingFlops ?? 0)
        }
        model.freeze(precision)
        return (median { _ = model(pixels, Tape(.inference)) }, configuration.forwardFlops ?? 0)
    }

    /// Forward with hidden patches, cross-entropy of their tokens, backward and an AdamW step, as `pretrain` does them.
    private func pretraining() -> (seconds: Double, flops: Double) {
        var backbone = backbone
        backbone.position = .relativeShared
        let head = MIMConfiguration()
        let model = MaskedImageModel(backbone, head, Initializer(seed: 0, style: .pretraining))
        let pixels = Variable(randomPixels())
        let masks = MaskGenerator(.random, rows: backbone.gridHeight, columns: backbone.gridWidth)
        var generator = Philox(seed: 2)
        let mask = (0..<batch).flatMap { _ in masks(&generator) }
        let positions = mask.indices.filter { mask[$0] }
        let tokens = mask.map { _ in Int32(generator.integer(below: head.vocabulary)) }
        let time = median(
            step(model) { model.tokenLoss(pixels, mask: mask, tokens: tokens, at: positions, $0).loss })
        return (time, ModelConfiguration.mim(backbone, head).trainingFlops(hidden: masks.count) ?? 0)
    }

    /// Forward with relaxed codes, the evidence lower bound, backward and an AdamW step, as `tokenizer train` does them.
    private func tokenizer() -> (seconds: Double, flops: Double) {
        guard let configuration = TokenizerPreset(rawValue: preset.rawValue)?.configuration else {
            preconditionFailure("no tokenizer \(preset)")
        }
        let model = DiscreteVAE(configuration, Initializer(seed: 0, style: .pretraining))
        let values = randomPixels().values.map { DiscreteVAE.mapPixels(($0 + 1) / 2) }
        let pixels = Tensor(values, [batch, size, size, 3])
        let time = median(step(model) { model.loss(of: pixels, temperature: 1, klWeight: 1, $0) })
        return (time, 3 * configuration.forwardFlops(pixels: Double(size * size)))
    }

    private func randomPixels() -> Tensor {
        let pixels = Tensor(uninitialized: [batch, 3, size, size])
        var generator = Philox(seed: 1)
        for index in 0..<pixels.count { pixels.pointer[index] = generator.uniform(-1..<1) }
        return pixels
    }

    /// Forward, loss, backward and an AdamW step, as `finetune` does them.
    private func trainingStep(_ model: Segmenter, _ pixels: Variable) -> () -> Void {
        var generator = Philox(seed: 2)
        let labels = (0..<batch * size * size).map { _ in Int32(generator.integer(below: classes)) }
        return step(model) { model.loss(pixels, labels: labels, size: [size, size], ignoreIndex: nil, $0) }
    }

    /// One update of the model by its loss.
    private func step(_ model: any Module, _ loss: @escaping (Tape) -> Variable) -> () -> Void {
        let optimizer = AdamW([AdamW.Group(model.parameters.map(\.parameter))])
        return { [precision] in
            let tape = Tape(.training, precision: precision)
            tape.backward(from: loss(tape))
            optimizer.step(rate: 1e-4, weightDecay: 0.05)
            optimizer.clearGradients()
        }
    }

    /// Median seconds of one call, after a warm-up.
    private func median(_ call: () -> Void) -> Double {
        call()
        var times: [Double] = []
        let clock = ContinuousClock()
        let start = clock.now
        while times.count < 3 || clock.now - start < .seconds(seconds) {
            times.append(clock.measure(call) / .seconds(1))
        }
        return times.sorted()[times.count / 2]
    }
}
