import BEiTLayers
import BEiTOps

/// Several transposed convolutions 4×4 of stride 2, each with group norm and GELU; then a 1×1 convolution.
package struct DeconvolutionConfiguration: DecoderArchitecture {
    /// Channels after each transposed convolution.
    package var channels = [256, 128, 64, 32]
    package var normGroups = 32

    package init(channels: [Int] = [256, 128, 64, 32], normGroups: Int = 32) {
        (self.channels, self.normGroups) = (channels, normGroups)
    }

    private enum CodingKeys: String, CodingKey {
        case channels
        case normGroups = "norm_groups"
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        channels = try values.decode([Int].self, forKey: .channels)
        normGroups = try values.decodeIfPresent(Int.self, forKey: .normGroups) ?? 32
    }

    var wantedFeatures: [Int]? { nil }
    var classHeads: [String] { ["decoder/head/"] }
    var summary: String { " \(channels), norm groups \(normGroups)" }

    func problem(behind backbone: BackboneConfiguration) -> String? {
        if channels.isEmpty || channels.count > 6 { return "decoder.channels \(channels) are not 1 to 6 stages" }
        for count in channels where count < 1 || count > 1 << 14 || normGroups < 1 || count % normGroups != 0 {
            return "decoder.channels \(channels) cannot be divided into \(normGroups) groups (decoder.norm_groups)"
        }
        return nil
    }

    /// Inputs and outputs of each stage, and the pixels that a patch has before it.
    private func stages(_ width: Double) -> [(inputs: Double, outputs: Double, pixels: Double)] {
        let outputs = channels.map(Double.init)
        var pixels = 0.25
        return zip([width] + outputs, outputs).map { inputs, outputs in
            pixels *= 4
            return (inputs, outputs, pixels)
        }
    }

    /// Of the last stage.
    private func result(_ width: Double) -> (channels: Double, pixels: Double) {
        stages(width).last.map { ($0.outputs, 4 * $0.pixels) } ?? (width, 1)
    }

    func weightCount(width: Double, classes: Double) -> Double {
        stages(width).reduce(result(width).channels * classes) { $0 + 16 * $1.inputs * $1.outputs }
    }

    func forwardFlops(width: Double, patches: Double, classes: Double) -> Double {
        let last = result(width)
        return stages(width).reduce(2 * patches * last.pixels * last.channels * classes) {
            $0 + 2 * 16 * patches * $1.pixels * $1.inputs * $1.outputs
        }
    }

    func keptCount(width: Double, patches: Double, classes: Double) -> Double {
        // Not the logits: at the photo's own size they are never in memory (``Tape/projectedCrossEntropy``).
        patches * stages(width).reduce(0) { $0 + 4 * $1.pixels * $1.outputs }
    }

    func makeDecoder(width: Int, classes: Int, _ initializer: Initializer) -> any SegmentationDecoder {
        DeconvolutionDecoder(self, width: width, classes: classes, initializer)
    }
}

/// A 1×1 convolution on the patch grid.
package struct LinearConfiguration: DecoderArchitecture {
    package init() {}

    var wantedFeatures: [Int]? { nil }
    var classHeads: [String] { ["decoder/head/"] }
    var summary: String { "" }

    func problem(behind backbone: BackboneConfiguration) -> String? { nil }
    func weightCount(width: Double, classes: Double) -> Double { width * classes }
    func forwardFlops(width: Double, patches: Double, classes: Double) -> Double { 2 * patches * width * classes }
    func keptCount(width: Double, patches: Double, classes: Double) -> Double { patches * classes }

    func makeDecoder(width: Int, classes: Int, _ initializer: Initializer) -> any SegmentationDecoder {
        LinearDecoder(width: width, classes: classes, initializer)
    }
}

/// Several transposed convolutions, each doubling the resolution (BEiT §2.5: "several deconvolution layers").
final class DeconvolutionDecoder: SegmentationDecoder {
    private final class Stage: Module {
        let deconv: ConvTranspose2d
        let norm: GroupNorm

        init(_ inputs: Int, _ outputs: Int, groups: Int, _ initializer: Initializer) {
            deconv = ConvTranspose2d(
                inputs, outputs, kernel: 4, stride: 2, padding: 1, hasBias: false, initializer)
            norm = GroupNorm(outputs, groups: groups, initializer)
        }

        var members: [Member] { [.module("deconv", deconv), .module("norm", norm)] }
    }

    private let stages: [Stage]
    let classifier: Conv2d

    init(_ configuration: DeconvolutionConfiguration, width: Int, classes: Int, _ initializer: Initializer) {
        let channels = [width] + configuration.channels
        stages = zip(channels, channels.dropFirst()).map {
            Stage($0, $1, groups: configuration.normGroups, initializer)
        }
        classifier = Conv2d(channels.last ?? width, classes, kernel: 1, initializer)
    }

    var members: [Member] { Member.list("decoder/blocks", stages) + [.module("decoder/head", classifier)] }

    func freeze(_ precision: Precision) {
        stages.forEach { $0.freeze(precision) }
        classifier.freeze(precision.ofClassifiers)
    }

    func map(_ features: [Variable], _ tape: Tape) -> Variable {
        var x = features[0]
        for (index, stage) in stages.enumerated() {
            let reader = index + 1 < stages.count ? tape.inputType(of: stages[index + 1].deconv.weight) : .float32
            x = stage.norm(stage.deconv(x, tape), gelu: true, tape, as: reader)
        }
        return x
    }
}

/// A 1×1 convolution on the patch grid.
final class LinearDecoder: SegmentationDecoder {
    let classifier: Conv2d

    init(width: Int, classes: Int, _ initializer: Initializer) {
        classifier = Conv2d(width, classes, kernel: 1, initializer)
    }

    var members: [Member] { [.module("decoder/head", classifier)] }

    func freeze(_ precision: Precision) { classifier.freeze(precision.ofClassifiers) }

    func map(_ features: [Variable], _ tape: Tape) -> Variable { features[0] }
}
