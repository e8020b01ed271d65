import BEiTCheckpoints
import BEiTFiles
import BEiTImageIO
import BEiTLayers
import BEiTModels
import BEiTOps
import BEiTProcesses
import BEiTTeams
import BEiTTensorCore
import Foundation
import Testing

import BEiTMetrics
@testable import BEiTPrediction
@testable import BEiTScoring

/// The bound of small random models against sums written out in double precision.
@Suite struct EvidenceBoundTests {
    private final class Folder {
        let path = NSTemporaryDirectory() + "beit-seg-" + UUID().uuidString
        var tokenizer: String { path + "/tokenizer.h5" }
        var model: String { path + "/mim.h5" }
        var photos: String { path + "/photos" }

        init(modelSeed: UInt64 = 2) throws {
            var size = TokenizerConfiguration()
            (size.hidden, size.blocks, size.groups, size.vocabulary, size.codeWidth) = (8, 1, 3, 16, 8)
            try save(
                .tokenizer(size), .tokenizer,
                .tokenizer(size: [16, 24]),
                Provenance(command: "test"), to: tokenizer)
            var backbone = BackboneConfiguration()
            (backbone.width, backbone.depth, backbone.heads, backbone.patchSize) = (8, 1, 2, 8)
            backbone.imageSize = [32, 48]
            var head = MIMConfiguration()
            head.vocabulary = 16
            let digest = try SHA256.hexDigest(ofFile: tokenizer)
            try save(
                .mim(backbone, head), .mim, Preprocessing(size: [32, 48]),
                Provenance(command: "test", tokenizerSHA256: digest), to: model)
            for index in 0..<3 {
                let pixels = (0..<3 * 48 * 32).map { UInt8(($0 * (7 + index) / 5 + 40 * index) % 256) }
                try writePNG(RGBImage(width: 48, height: 32, pixels: pixels), to: photos + "/\(index).png")
            }
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }

        private func save(
            _ configuration: ModelConfiguration, _ task: ModelTask, _ form: Preprocessing, _ origin: Provenance,
            to path: String
        ) throws {
            let model = Model(configuration, Initializer(seed: 1, style: .pretraining))
            try Checkpoint.save(
                model.module,
                ModelDescription(
                    task: task, configuration: configuration, classes: [], preprocessing: form, provenance: origin),
                to: path)
        }

        func estimate(
            _ settings: EvidenceSettings, by team: any Communicator = SingleProcess()
        ) throws -> EvidenceReport {
            try EvidenceBound(tokenizer: tokenizer, model: model, settings)
                .estimate(try InputImages([photos]).images, by: team, failed: { _ in })
        }
    }

    private func distribution(_ logits: ArraySlice<Float>) -> [Double] {
        let powers = logits.map { exp(Double($0)) }
        let total = powers.reduce(0, +)
        return powers.map { $0 / total }
    }

    @Test(arguments: [2, 3]) func severalFindWhatOneFinds(_ size: Int) throws {
        let folder = try Folder()
        let alone = try JSONText.line(folder.estimate(EvidenceSettings()))
        let found = ThreadTeam(size).run { try JSONText.line(folder.estimate(EvidenceSettings(), by: $0)) }
        for one in found { #expect(try one.get() == alone) }
    }

    /// With everything hidden the mask is known, and so is each term.
    @Test func termsAreTheSums() throws {
        let folder = try Folder()
        var settings = EvidenceSettings()
        (settings.ratios, settings.masking) = ([1], .random)
        let report = try folder.estimate(settings)
        guard case .mim(let model) = try Checkpoint.load(folder.model).model else { return }
        let tokenizer = try PhotoTokenizer(folder.tokenizer)
        var (uniform, prior, surprise, best) = (0.0, 0.0, 0.0, 0.0)
        for index in 0..<3 {
            let photo = try decodeImage(folder.photos + "/\(index).png")
            let pixels = Tensor(uninitialized: [1, 3, 32, 48])
            for c in 0..<3 {
                for place in 0..<32 * 48 {
                    pixels.pointer[c * 32 * 48 + place] = (Float(photo.pixels[3 * place + c]) / 255 - 0.5) / 0.5
                }
            }
            let mapped = tokenizer.pixels([tokenizer.view(photo)])
            let q = tokenizer.model.encoder(Variable(mapped), Tape(.inference)).value.values
            let p = model(Variable(pixels), mask: Array(repeating: true, count: 24), Tape(.inference)).value.values
            var tokens: [Int32] = []
            for cell in 0..<24 {
                let (q, p) = (distribution(q[16 * cell..<16 * cell + 16]), distribution(p[16 * cell..<16 * cell + 16]))
                uniform += q.reduce(0) { $0 + $1 * log($1 * 16) } / 3
                prior += zip(q, p).reduce(0) { $0 + $1.0 * log($1.0 / $1.1) } / 72
                let token = q.indices.max { q[$0] < q[$1] } ?? 0
                surprise -= log(p[token]) / 72
                tokens.append(Int32(token))
            }
            let output = tokenizer.model.decoder(
                Variable(tokenizer.model.oneHot(tokens, [1, 4, 6])),
                Tape(.inference)
            ).value.values
            for (place, x) in mapped.values.enumerated() {
                let (mu, scale) = (output[place / 3 * 6 + place % 3], output[place / 3 * 6 + 3 + place % 3])
                let (x, b) = (Double(x), exp(Double(scale)))
                best += (log(0.8) - log(2 * b * x * (1 - x)) - abs(log(x / (1 - x)) - Double(mu)) / b) / 3
            }
        }
        func close(_ x: Double, _ y: Double) -> Bool { abs(x - y) < 1e-4 * max(1, abs(y)) }
        #expect(close(report.uniformKL.mean, uniform), "\(report.uniformKL.mean) \(uniform)")
        #expect(close(report.masked[0].priorKL.mean, prior), "\(report.masked[0].priorKL.mean) \(prior)")
        #expect(close(report.masked[0].surprise.mean, surprise))
        #expect(close(report.reconstructionOfBest.mean, best), "\(report.reconstructionOfBest.mean) \(best)")
        #expect(close(report.bound.mean, report.reconstruction.mean - uniform))
        let bound = report.reconstruction.mean - 24 * prior
        #expect(close(report.masked[0].bound.mean, bound))
        #expect(close(report.masked[0].bitsPerDimension.mean, -bound / (log(2) * 3 * 16 * 24)))
    }

    @Test func standardErrorsAreThoseOfTheMean() throws {
        let estimate = EvidenceReport.Estimate([1, 2, 3, 6])
        #expect(estimate.mean == 3)
        #expect(abs(try #require(estimate.standardError) - (14.0 / 3 / 4).squareRoot()) < 1e-12)
        #expect(EvidenceReport.Estimate([1]).standardError == nil)
    }

    /// More draws change the reconstruction alone.
    @Test func masksDoNotDependOnTheDraws() throws {
        let folder = try Folder()
        var settings = EvidenceSettings()
        let one = try folder.estimate(settings)
        settings.samples = 3
        let three = try folder.estimate(settings)
        #expect(one.masked.map(\.priorKL) == three.masked.map(\.priorKL))
        #expect(one.reconstruction != three.reconstruction)
    }

    /// Weights as large as numbers can be: of the model, of the tokenizer's decoder.
    @Test(arguments: [true, false]) func outputThatIsNotFiniteIsNoEvidence(_ ofTheModel: Bool) throws {
        let folder = try Folder()
        let file = ofTheModel ? folder.model : folder.tokenizer
        var (model, description) = try Checkpoint.load(file, for: .learning)
        let path = ofTheModel ? "lm_head/weight" : "decoder/blocks/output/conv/w"
        for named in model.module.parameters where named.path.hasSuffix(path) {
            let value = named.parameter.value  // every other one: features behind a norm add up to nothing
            for index in stride(from: 0, to: value.count, by: 2) { value.pointer[index] = 3e38 }
        }
        try Checkpoint.save(model.module, description, to: file)
        if !ofTheModel {
            (model, description) = try Checkpoint.load(folder.model, for: .learning)
            description.provenance.tokenizerSHA256 = nil
            try Checkpoint.save(model.module, description, to: folder.model)
        }
        var failed: [String] = []
        #expect(throws: PredictionError.neverFinite(model: folder.model)) {
            try EvidenceBound(tokenizer: folder.tokenizer, model: folder.model, EvidenceSettings())
                .estimate(try InputImages([folder.photos]).images) { failed.append($0) }
        }
        #expect(failed.count == 3 && failed.allSatisfy { $0.contains("not finite") }, "\(failed)")
    }

    @Test func anotherTokenizerIsRefused() throws {
        let (one, other) = (try Folder(), try Folder())
        var size = TokenizerConfiguration()
        (size.hidden, size.blocks, size.groups, size.vocabulary, size.codeWidth) = (8, 1, 3, 16, 8)
        let changed = Model(.tokenizer(size), Initializer(seed: 9, style: .pretraining))
        try Checkpoint.save(
            changed.module, try Checkpoint.describe(other.tokenizer), to: other.tokenizer)
        #expect(throws: EvidenceError.otherTokenizer(model: one.model, tokenizer: other.tokenizer)) {
            try EvidenceBound(tokenizer: other.tokenizer, model: one.model, EvidenceSettings())
        }
        #expect(throws: CheckpointError.self) {
            try EvidenceBound(tokenizer: one.model, model: one.model, EvidenceSettings())
        }
    }
}
