import BEiTLayers
import BEiTOps

/// UperNet (Xiao et al., arXiv:1807.10221) on the features of four blocks; see ``UperNetConfiguration``.
final class UperNet: SegmentationDecoder {
    private let pyramid: FeaturePyramid
    private let head: UperNetHead
    /// Gone once the model is frozen: inference does not ask it.
    private var auxiliary: AuxiliaryHead?
    private let auxiliaryWeight: Float

    init(_ configuration: UperNetConfiguration, width: Int, classes: Int, _ initializer: Initializer) {
        pyramid = FeaturePyramid(width, initializer)
        head = UperNetHead(configuration, width: width, classes: classes, initializer)
        auxiliary = configuration.auxiliary.map {
            AuxiliaryHead($0, width: width, classes: classes, dropout: configuration.dropout, initializer)
        }
        auxiliaryWeight = configuration.auxiliary?.weight ?? 0
    }

    var members: [Member] {
        [.module("backbone", pyramid), .module("decode_head", head)]
            + (auxiliary.map { [.module("auxiliary_head", $0)] } ?? [])
    }

    func freeze(_ precision: Precision) {
        pyramid.freeze(precision)
        head.freeze(precision)
        auxiliary = nil
    }

    var classifier: Conv2d { head.classifier }

    func map(_ features: [Variable], _ tape: Tape) -> Variable { head(pyramid(features, tape), tape) }

    /// The third level of the pyramid is the feature as it is.
    func auxiliaryLogits(_ features: [Variable], _ tape: Tape) -> [(logits: Variable, weight: Float)] {
        auxiliary.map { [($0(features[UperNetConfiguration.Auxiliary.feature], tape), auxiliaryWeight)] } ?? []
    }
}

/// From the four features, all of the patch grid's size, maps of 4, 2, 1 and ½ times its height and width.
private final class FeaturePyramid: Module {
    /// Transposed convolution, batch norm and GELU, transposed convolution.
    private final class Fourfold: Module {
        let first, second: ConvTranspose2d
        let norm: BatchNorm

        init(_ width: Int, _ initializer: Initializer) {
            first = ConvTranspose2d(width, width, kernel: 2, stride: 2, hasBias: true, initializer)
            norm = BatchNorm(width, .gelu, initializer)
            second = ConvTranspose2d(width, width, kernel: 2, stride: 2, hasBias: true, initializer)
        }

        // The first convolution's are spelled out, because the norm goes into it when the model is frozen.
        var members: [Member] {
            [.parameter("0/weight", first.weight)] + (first.bias.map { [.parameter("0/bias", $0)] } ?? [])
                + norm.members("1") + [.module("3", second)]
        }

        func freeze(_ precision: Precision) {
            norm.fold(into: first.weight, own: first.bias) {
                $0.freezeTransposedConvolution(stride: 2, padding: 0, precision)
            }
            second.freeze(precision)
        }

        func callAsFunction(_ x: Variable, _ tape: Tape) -> Variable {
            let middle = norm(tape, own: first.bias) {
                tape.convTranspose2d(x, weight: first.weight, bias: $0, stride: 2, activation: $1)
            }
            return second(middle, tape)
        }
    }

    private let fourfold: Fourfold
    private let twofold: ConvTranspose2d

    init(_ width: Int, _ initializer: Initializer) {
        fourfold = Fourfold(width, initializer)
        twofold = ConvTranspose2d(width, width, kernel: 2, stride: 2, hasBias: true, initializer)
    }

    var members: [Member] { [.module("fpn1", fourfold), .module("fpn2/0", twofold)] }

    func callAsFunction(_ features: [Variable], _ tape: Tape) -> [Variable] {
        [
            fourfold(features[0], tape), twofold(features[1], tape), features[2],
            tape.maxPool2d(features[3], kernel: 2, stride: 2),
        ]
    }
}

/// The pyramid's levels, finest first, to one map at the finest one's resolution, and that to class logits.
private final class UperNetHead: Module {
    private let scales: [Int]
    /// One for each scale.
    private let pooled: [ConvNorm]
    private let bottleneck: ConvNorm
    /// Of the levels but the coarsest.
    private let laterals, outputs: [ConvNorm]
    private let fusion: ConvNorm
    let classifier: Conv2d
    private let dropout: Float

    init(_ configuration: UperNetConfiguration, width: Int, classes: Int, _ initializer: Initializer) {
        let channels = configuration.channels
        (scales, dropout) = (configuration.poolScales, configuration.dropout)
        pooled = scales.map { _ in ConvNorm([width], channels, kernel: 1, initializer) }
        bottleneck = ConvNorm([width] + scales.map { _ in channels }, channels, kernel: 3, initializer)
        laterals = (0..<3).map { _ in ConvNorm([width], channels, kernel: 1, initializer) }
        outputs = (0..<3).map { _ in ConvNorm([channels], channels, kernel: 3, initializer) }
        fusion = ConvNorm([Int](repeating: channels, count: 4), channels, kernel: 3, initializer)
        classifier = .ofClasses(channels, classes, initializer)
    }

    var members: [Member] {
        [.module("conv_seg", classifier)]
            + pooled.enumerated().map { .module("psp_modules/\($0)/1", $1) } + [.module("bottleneck", bottleneck)]
            + Member.list("lateral_convs", laterals) + Member.list("fpn_convs", outputs)
            + [.module("fpn_bottleneck", fusion)]
    }

    func freeze(_ precision: Precision) {
        (pooled + [bottleneck] + laterals + outputs + [fusion]).forEach { $0.freeze(precision) }
        classifier.freeze(precision.ofClassifiers)
    }

    func callAsFunction(_ levels: [Variable], _ tape: Tape) -> Variable {
        let pooling = zip(scales, pooled).map { $1(tape.averagePool(levels[3], height: $0, width: $0), tape) }
        let coarsest = bottleneck([levels[3]] + pooling, tape)
        var sums = [coarsest]
        for (level, lateral) in zip(levels, laterals).reversed() {
            sums.insert(tape.add(lateral(level, tape), resized: sums[0]), at: 0)
        }
        let maps = zip(sums, outputs).map { $1($0, tape) } + [coarsest]
        return tape.channelDropout(fusion(maps, tape), rate: dropout)
    }
}

/// The head that only learning uses (mmsegmentation `fcn_head.py`).
private final class AuxiliaryHead: Module {
    private let convolutions: [ConvNorm]
    private let joined: ConvNorm?
    private let classifier: Conv2d
    private let dropout: Float

    init(
        _ configuration: UperNetConfiguration.Auxiliary, width: Int, classes: Int, dropout: Float,
        _ initializer: Initializer
    ) {
        let channels = configuration.channels
        convolutions = (0..<configuration.convolutions).map {
            ConvNorm([$0 == 0 ? width : channels], channels, kernel: 3, initializer)
        }
        joined = configuration.concat ? ConvNorm([width, channels], channels, kernel: 3, initializer) : nil
        classifier = .ofClasses(channels, classes, initializer)
        self.dropout = dropout
    }

    var members: [Member] {
        [.module("conv_seg", classifier)] + Member.list("convs", convolutions)
            + (joined.map { [.module("conv_cat", $0)] } ?? [])
    }

    func callAsFunction(_ feature: Variable, _ tape: Tape) -> Variable {
        let x = convolutions.reduce(feature) { $1($0, tape) }
        return classifier(tape.channelDropout(joined?([feature, x], tape) ?? x, rate: dropout), tape)
    }
}

extension Conv2d {
    /// The last 1×1 convolution of a head: weights N(0, 0.01²), biases 0 (mmsegmentation `decode_head.py`).
    fileprivate static func ofClasses(_ inputs: Int, _ classes: Int, _ initializer: Initializer) -> Conv2d {
        Conv2d(
            inputs, classes, kernel: 1, weight: initializer.normal([classes, inputs, 1, 1], deviation: 0.01),
            bias: initializer.zeros([classes]), initializer)
    }
}
