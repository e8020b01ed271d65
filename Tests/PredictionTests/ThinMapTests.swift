import BEiTCheckpoints
import BEiTImageIO
import BEiTLayers
import BEiTModels
import BEiTOps
import BEiTTensorCore
import Testing

@testable import BEiTPrediction

/// A model with more classes than channels before them: its windows are averaged before the classifier.
@Suite struct ThinMapTests {
    private func network(thin: Bool) throws -> WindowNetwork {
        var backbone = BackboneConfiguration()
        (backbone.imageSize, backbone.patchSize, backbone.width) = ([16, 16], 4, 24)
        (backbone.depth, backbone.heads) = (1, 2)
        let classes = (0..<40).map { LabelClass(name: "class \($0)", color: RGBColor(0, 0, UInt8($0))) }
        let configuration = ModelConfiguration.segmentation(
            backbone, DecoderConfiguration(.deconvolution(.init(channels: [8], normGroups: 4)), classes: 40))
        guard case .segmentation(let model) = Model(configuration, Initializer(seed: 7, style: .finetuning)) else {
            preconditionFailure("a model of another task")
        }
        model.freeze(.fp32)
        let description = ModelDescription(
            task: .segmentation, configuration: configuration, classes: classes,
            preprocessing: Preprocessing(size: [16, 16]), provenance: Provenance(version: "", command: ""))
        let network = WindowNetwork(model, description)
        #expect(network.channels == 8 && network.classifier != nil)
        if thin { return network }
        return WindowNetwork(size: network.size, classes: 40, scaling: network.scaling) {
            model(Variable($0), Tape(.inference)).value
        }
    }

    @Test(arguments: [false, true]) func probabilitiesAreThoseOfLogits(flips: Bool) throws {
        var options = InferenceOptions()
        (options.resizing, options.flips) = (.none, flips)
        var generator = Philox(seed: 2)
        let pixels = (0..<3 * 45 * 37).map { _ in UInt8(generator.integer(below: 256)) }
        let photo = RGBImage(width: 45, height: 37, pixels: pixels)
        let results = try [false, true].map { thin -> [Float] in
            var all: [Float] = []
            let network = try network(thin: thin)
            _ = try PhotoSegmenter(network, options).segment(PreparedPhoto(photo, PhotoPlan(network, options))) {
                all += $1.values
            }
            return all
        }
        #expect(results[0].count == 45 * 37 * 40)
        var certainties: [Certainty] = []
        for thin in [false, true] {
            let network = try network(thin: thin)
            var all = Certainty()
            let input = PreparedPhoto(photo, PhotoPlan(network, options)).input
            try PhotoSegmenter(network, options).segment(input, [.meanConfidence, .doubts]) { all += $0.certainty }
            certainties.append(all)
        }
        #expect(certainties[0].overlaps == certainties[1].overlaps && certainties[0].overlapsDisagreeing > 0)
        #expect(abs(certainties[0].overlapsDisagreeing - certainties[1].overlapsDisagreeing) <= 1)
        let error = zip(results[0], results[1]).map { abs($0 - $1) }.max() ?? 1
        #expect(error < 1e-6)
    }
}
