import BEiTFiles
import BEiTHDF5
import BEiTLayers
import BEiTModels
import BEiTTensorCore
import Foundation
import Testing

@testable import BEiTOps

/// A small UperNet whose outputs mmsegmentation's network or Hugging Face's gave.
struct UperNetOracle: CustomTestStringConvertible, Sendable {
    var folder: String
    var features: [Int]
    var testDescription: String { folder }

    /// The release counts blocks from 0, Hugging Face from the embedding on.
    static let all = [
        UperNetOracle(folder: "upernet", features: [0, 1, 2, 3]),
        UperNetOracle(folder: "hf-seg", features: [-1, 0, 1, 2]),
    ]

    var configuration: ModelConfiguration {
        var backbone = BackboneConfiguration()
        (backbone.width, backbone.depth, backbone.heads, backbone.mlpRatio) = (16, 4, 4, 3)
        (backbone.imageSize, backbone.dropPath, backbone.normEps) = ([64, 64], 0, 1e-12)
        var upernet = UperNetConfiguration()
        (upernet.features, upernet.dropout) = (features, 0)
        upernet.auxiliary?.channels = 16
        return .segmentation(backbone, DecoderConfiguration(.upernet(upernet), classes: 6))
    }

    func load() throws -> Segmenter {
        guard case .segmentation(let model) = Model(configuration, .unset) else { throw CocoaError(.coderInvalidValue) }
        let file = try HDF5Reader(OracleModel.file("\(folder)/official"))
        for (path, tensor) in model.tensors {
            try file.readFloats("/" + path.replacing("/", with: "."), into: tensor.buffer)
        }
        return model
    }

    func array(_ name: String) throws -> Tensor {
        let (shape, values) = try HDF5Reader(OracleModel.file("\(folder)/arrays")).readFloats("/" + name)
        return Tensor(values, shape.isEmpty ? [1] : shape)
    }

    func loss(_ model: Segmenter, _ tape: Tape) throws -> Variable {
        let labels = try HDF5Reader(OracleModel.file("\(folder)/arrays")).readInts("/labels").values.map(Int32.init)
        return model.loss(
            Variable(try array("pixel_values")), labels: labels, size: [64, 64], ignoreIndex: 255, tape)
    }
}

@Suite struct UperNetTests {
    struct Run: CustomTestStringConvertible, Sendable {
        var oracle: UperNetOracle
        var engine: MatrixEngine
        /// Whether Winograd's way serves these few channels too.
        var winograd: Bool
        var testDescription: String { "\(oracle.folder) on \(engine)\(winograd ? " by Winograd" : "")" }
    }
    static let runs = UperNetOracle.all.flatMap { oracle in
        MatrixEngine.available.flatMap { engine in
            [false, true].map { Run(oracle: oracle, engine: engine, winograd: $0) }
        }
    }

    @Test(arguments: runs) func logitsMatch(_ run: Run) throws {
        let bounds = run.winograd ? .init(channels: 1, tiles: 1) : WinogradConvolution.bounds
        try WinogradConvolution.$bounds.withValue(bounds) { try logitsMatch(run.oracle, run.engine) }
    }

    private func logitsMatch(_ oracle: UperNetOracle, _ engine: MatrixEngine) throws {
        try MatrixEngine.$current.withValue(engine) {
            let (model, want) = (try oracle.load(), try oracle.array("logits"))
            let pixels = Variable(try oracle.array("pixel_values"))
            func logits(_ tape: Tape) -> Tensor { model(pixels, tape).value.transposed([0, 3, 1, 2]) }
            #expect(largestError(logits(Tape(.inference)).values, want.values) < 2e-4)
            let learning = Tape(.training)
            learning.usesRunningStatistics = true
            #expect(largestError(logits(learning).values, want.values) < 2e-4)
            let features = model.backbone.features(pixels, at: oracle.features, Tape(.inference))
            let auxiliary = try #require(model.decoder.auxiliaryLogits(features, Tape(.inference)).first)
            #expect(auxiliary.weight == 0.4)
            let wanted = try oracle.array("aux_logits")
            #expect(largestError(auxiliary.logits.value.transposed([0, 3, 1, 2]).values, wanted.values) < 2e-4)
            // Frozen twice, as a module within others is.
            model.freeze(.fp32)
            model.freeze(.fp32)
            #expect(largestError(logits(Tape(.inference)).values, want.values) < 2e-4)
            #expect(model.decoder.auxiliaryLogits(features, Tape(.inference)).isEmpty)
        }
    }

    /// Frozen to bfloat16 and to bytes, by Winograd's way and by the sums over all taps.
    @Test(arguments: UperNetOracle.all, [Precision.bf16, .int8].filter { $0.problem == nil })
    func reducedPrecisions(_ oracle: UperNetOracle, _ precision: Precision) throws {
        let (want, pixels) = (try oracle.array("logits"), Variable(try oracle.array("pixel_values")))
        let found = try [WinogradConvolution.bounds, .init(channels: 1, tiles: 1)].map { bounds in
            try WinogradConvolution.$bounds.withValue(bounds) {
                let model = try oracle.load()
                model.freeze(precision)
                return model(pixels, Tape(.inference)).value.transposed([0, 3, 1, 2]).values
            }
        }
        #expect((found[0] != found[1]) == (Precision.bf16.problem == nil))
        for logits in found { #expect(relativeError(logits, want.values) < (precision == .bf16 ? 0.02 : 0.05)) }
    }

    /// Of all numbers together.
    private func relativeError(_ values: [Float], _ want: [Float]) -> Float {
        let errors = zip(values, want).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
        return (errors / want.reduce(0) { $0 + $1 * $1 }).squareRoot()
    }

    @Test(arguments: UperNetOracle.all) func featuresAreWhatTheBlocksPutOut(_ oracle: UperNetOracle) throws {
        let model = try oracle.load()
        let features = model.backbone.features(
            Variable(try oracle.array("pixel_values")), at: [2, -1, 3, 0], Tape(.inference))
        for (feature, state) in zip(features, [3, 0, 4, 1]) {
            let want = try oracle.array("hidden_state_\(state)")
            let patches = Tape(.inference).patchTokens(Variable(want)).value
            #expect(feature.shape == [2, 4, 4, 16])
            #expect(largestError(feature.value.values, patches.values) < 2e-5)
        }
    }

    /// The backbone's last features are to be had beside the logits, whatever blocks these take.
    @Test func lastFeatures() throws {
        let oracle = UperNetOracle.all[1], model = try oracle.load()
        let pixels = Variable(try oracle.array("pixel_values"))
        var last: Tensor?
        let logits = model(pixels, Tape(.inference)) { last = $0.value }
        let want = Tape(.inference).patchTokens(Variable(try oracle.array("hidden_state_4"))).value
        #expect(largestError(try #require(last).values, want.values) < 2e-5)
        #expect(logits.value.values == model(pixels, Tape(.inference)).value.values)
    }

    @Test(arguments: MatrixEngine.available, [false, true])
    func lossGradientsAndStatisticsMatch(_ engine: MatrixEngine, byBatch: Bool) throws {
        try MatrixEngine.$current.withValue(engine) {
            let oracle = UperNetOracle.all[0], model = try oracle.load(), before = try oracle.load()
            let tape = Tape(.training)
            tape.usesRunningStatistics = !byBatch
            let loss = try oracle.loss(model, tape)
            let want = try oracle.array(byBatch ? "train_loss" : "loss")
            #expect(abs(loss.value.scalar - want.scalar) < 1e-4)
            tape.backward(from: loss)
            let file = try HDF5Reader(
                OracleModel.file("upernet/gradients-\(byBatch ? "batch" : "frozen")-statistics"))
            for named in model.parameters {
                let gradient = try #require(named.parameter.gradient, "\(named.path)").values
                let want = try file.readFloats("/" + named.path.replacing("/", with: ".")).values
                expectGradient(gradient, want, named.path)
            }
            for (now, then) in zip(model.buffers, before.buffers) { #expect(now.tensor.values == then.tensor.values) }
            tape.statistics.forEach { $0.apply() }
            #expect(tape.statistics.count == (byBatch ? model.buffers.count / 2 : 0))
            guard byBatch else { return }
            let after = try HDF5Reader(OracleModel.file("upernet/running-statistics-after"))
            for (path, tensor) in model.buffers {
                let want = try after.readFloats("/" + path.replacing("/", with: ".")).values
                #expect(largestError(tensor.values, want) < 1e-5, "\(path)")
            }
        }
    }

    @Test(arguments: MatrixEngine.available) func threadsAndCheckpointsDoNotChangeABit(_ engine: MatrixEngine) throws {
        func bits(threads: Int, checkpoints: Bool) throws -> [[UInt32]] {
            try MatrixEngine.$current.withValue(engine) {
                try WorkerPool.$scoped.withValue(WorkerPool(threads: threads)) {
                    let oracle = UperNetOracle.all[0], model = try oracle.load(), tape = Tape(.training)
                    model.backbone.checkpointsBlocks = checkpoints
                    tape.backward(from: try oracle.loss(model, tape))
                    let gradients = try model.parameters.map { try #require($0.parameter.gradient) }
                    tape.statistics.forEach { $0.apply() }
                    let statistics = model.buffers.map { $0.tensor.copy() }
                    model.freeze(.fp32)
                    let logits = model(Variable(try oracle.array("pixel_values")), Tape(.inference)).value
                    return ([logits] + gradients + statistics).map { $0.values.map(\.bitPattern) }
                }
            }
        }
        let one = try bits(threads: 1, checkpoints: false)
        for threads in [2, 5] { #expect(try bits(threads: threads, checkpoints: false) == one) }
        #expect(try bits(threads: 2, checkpoints: true) == one)
    }

    /// The names are those of the release's files, which count batches besides.
    @Test func pathsAreTheOfficialNames() throws {
        let names = try HDF5Reader(OracleModel.file("upernet/official")).datasets.map { String($0.path.dropFirst()) }
        let paths = try UperNetOracle.all[0].load().tensors.map { $0.path.replacing("/", with: ".") }
        #expect(paths.sorted() == names.filter { !$0.hasSuffix("num_batches_tracked") }.sorted())
    }

    /// As the authors count the parameters of their two ADE20K models of 640 pixels.
    @Test(arguments: [(Preset.base, [3, 5, 7, 11], 163_407_980), (.large, [7, 11, 15, 23], 441_271_084)])
    func fullSizes(_ preset: Preset, _ features: [Int], _ count: Int) {
        var backbone = preset.backbone
        backbone.imageSize = [640, 640]
        let configuration = ModelConfiguration.segmentation(backbone, DecoderConfiguration(.upernet, classes: 150))
        #expect(configuration.problem == nil)
        #expect(configuration.decoder?.wantedFeatures == features)
        #expect(Model(configuration, .unset).module.parameterCount == count)
        let weights = configuration.decoder?.weightCount(width: backbone.width) ?? 0
        let decoder = Model(configuration, .unset).module.parameters.filter { named in
            named.parameter.decays
                && ["backbone/fpn", "decode_head", "auxiliary_head"].contains { named.path.hasPrefix($0) }
        }
        #expect(weights == Double(decoder.reduce(0) { $0 + $1.parameter.fullShape.elementCount }))
    }

    /// Of 1210 GFLOP of the plain network 465 go where resized maps are convolved at their own size, and a few more in the
    /// pooling.
    @Test func arithmetic() throws {
        var backbone = Preset.base.backbone
        backbone.imageSize = [512, 512]
        let configuration = ModelConfiguration.segmentation(backbone, DecoderConfiguration(.upernet, classes: 150))
        let flops = try #require(configuration.forwardFlops)
        #expect(abs(flops / 1e9 - 735) < 5, "\(flops)")
    }

    @Test func heads() throws {
        let configuration = DecoderConfiguration(.upernet, classes: 3)
        #expect(configuration.classHeads == ["decode_head/conv_seg/", "auxiliary_head/conv_seg/"])
        let small = UperNetOracle.all[0].configuration
        let model = Model(small, Initializer(seed: 1, style: .finetuning)).module
        for named in model.parameters where !named.path.hasPrefix("backbone/blocks") {
            let isOutside = ["backbone/fpn", "decode_head", "auxiliary_head"].contains { named.path.hasPrefix($0) }
            #expect((named.layer == nil) == isOutside, "\(named.path)")
            if named.path.hasSuffix("conv_seg/weight") {
                let deviation = named.parameter.value.values.reduce(0) { $0 + $1 * $1 } / 96
                #expect(abs(deviation.squareRoot() - 0.01) < 2e-3)
            }
        }
        for (path, tensor) in model.buffers {
            #expect(tensor.values.allSatisfy { $0 == (path.hasSuffix("running_var") ? 1 : 0) })
        }
    }
}

@Suite struct DecoderConfigurationTests {
    static let texts = [
        #"{"channels":[8,4],"classes":13,"kind":"deconvolution","norm_groups":2}"#,
        #"{"classes":7,"kind":"linear"}"#,
        #"{"auxiliary_channels":256,"auxiliary_concat":false,"auxiliary_convolutions":1,"auxiliary_weight":0.4,"#
            + #""channels":768,"classes":150,"dropout":0.1,"features":[3,5,7,11],"kind":"upernet","#
            + #""pool_scales":[1,2,3,6]}"#,
    ]

    @Test(arguments: texts) func theTextIsTheContracts(_ text: String) throws {
        let configuration = try JSONText.decode(DecoderConfiguration.self, from: text.utf8, of: "config")
        #expect(try JSONText.line(configuration) == text)
    }

    /// No auxiliary head where no channels are given or 0; the rest follows from the backbone.
    @Test(arguments: ["", #", "auxiliary_channels": 0, "channels": [64]"#]) func whatIsLeftOut(_ more: String) throws {
        let text =
            #"{"backbone": {"width": 32, "depth": 12, "heads": 2, "image_size": [64, 64]}, "#
            + #""decoder": {"kind": "upernet", "classes": 3"# + more + "}}"
        let configuration = try JSONText.decode(ModelConfiguration.self, from: text.utf8, of: "config")
        let upernet = try #require(configuration.decoder?.upernet)
        #expect(upernet.features == [3, 5, 7, 11] && upernet.channels == (more.isEmpty ? 32 : 64))
        #expect(upernet.auxiliary == nil && configuration.problem == nil)
    }

    @Test func usualFeatures() {
        #expect(UperNetConfiguration.usualFeatures(depth: 24) == [7, 11, 15, 23])
        #expect(UperNetConfiguration.usualFeatures(depth: 32) == [7, 15, 23, 31])
        #expect(UperNetConfiguration.usualFeatures(depth: 4) == [0, 1, 2, 3])
        #expect(UperNetConfiguration.usualFeatures(depth: 2) == [0, 0, 0, 1])
    }

    @Test func problems() {
        var configuration = UperNetOracle.all[0].configuration
        func problem(_ change: (inout UperNetConfiguration) -> Void) -> String? {
            var upernet = UperNetConfiguration()
            (upernet.features, upernet.channels) = ([0, 1, 2, 3], 16)
            change(&upernet)
            configuration.decoder = DecoderConfiguration(.upernet(upernet), classes: 6)
            return configuration.problem
        }
        #expect(problem { _ in } == nil)
        #expect(problem { $0.features = [0, 1, 2, 4] }?.hasPrefix("decoder.features") == true)
        #expect(problem { $0.features = [0, 1, 2] }?.hasPrefix("decoder.features") == true)
        #expect(problem { $0.features = [-2, 1, 2, 3] }?.hasPrefix("decoder.features") == true)
        #expect(problem { $0.channels = -1 }?.hasPrefix("decoder.channels") == true)
        #expect(problem { $0.poolScales = [1, 0] }?.hasPrefix("decoder.pool_scales") == true)
        #expect(problem { $0.dropout = 1 }?.hasPrefix("decoder.dropout") == true)
        #expect(problem { $0.auxiliary?.channels = -5 }?.hasPrefix("decoder.auxiliary_channels") == true)
        #expect(problem { $0.auxiliary?.convolutions = 0 }?.hasPrefix("decoder.auxiliary_convolutions") == true)
        #expect(problem { $0.auxiliary?.weight = .nan }?.hasPrefix("decoder.auxiliary_weight") == true)
        #expect(problem { _ in } == nil)
        configuration.backbone?.imageSize = [64, 16]
        #expect(configuration.problem?.contains("two patches") == true)
    }
}

/// Relative L2 below 1e-3, or every entry within 1e-5, as the oracle's notes say.
func expectGradient(_ x: [Float], _ want: [Float], _ path: String) {
    guard x.count == want.count else {
        Issue.record("\(path): \(x.count) values instead of \(want.count)")
        return
    }
    let difference = zip(x, want).map { Double($0 - $1) }
    let relative = (difference.reduce(0) { $0 + $1 * $1 } / want.reduce(0) { $0 + Double($1) * Double($1) })
        .squareRoot()
    #expect(relative <= 1e-3 || difference.allSatisfy { abs($0) <= 1e-5 }, "\(path): relative error \(relative)")
}
