import BEiTLayers
import BEiTModels
import BEiTOps
import BEiTTensorCore
import Testing

@Suite struct OutlierSmoothingTests {
    private static let width = 64

    /// A classifier some channels of whose norms are 30 times as large as the others, and the columns behind them as much
    /// smaller.
    private func model() -> Classifier {
        var backbone = BackboneConfiguration(), head = ClassifierConfiguration()
        (backbone.width, backbone.depth, backbone.heads, backbone.imageSize) = (Self.width, 4, 4, [64, 64])
        backbone.layerScale = 1
        head.classes = 40
        let model = Classifier(backbone, head, Initializer(seed: 5, style: .finetuning))
        var generator = Philox(seed: 6)
        for named in model.parameters {
            let values = named.parameter.value
            let isMatrix = named.parameter.outputAxis != nil
            if isMatrix { for index in 0..<values.count { values.pointer[index] = 0.15 * generator.normal() } }
            let isNorm = named.path.contains("/norm1/weight") || named.path.contains("/norm2/weight")
            let isBehind = named.path.contains("qkv/weight") || named.path.contains("fc1/weight")
            for channel in [3, 17, 40] {
                if isNorm { values.pointer[channel] *= 30 }
                guard isBehind else { continue }
                for row in 0..<values.count / Self.width { values.pointer[row * Self.width + channel] /= 30 }
            }
        }
        return model
    }

    private func pixels(_ seed: UInt64) -> Variable {
        var generator = Philox(seed: seed)
        return Variable(Tensor((0..<64 * 3 * 64 * 64).map { _ in generator.normal() }, [64, 3, 64, 64]))
    }

    private func error(_ found: Tensor, _ wanted: Tensor) -> Float {
        let squares = zip(found.values, wanted.values).map { ($0 - $1) * ($0 - $1) }.reduce(0, +)
        return (squares / wanted.values.map { $0 * $0 }.reduce(0, +)).squareRoot()
    }

    @Test func outliersGoAndTheFunctionStays() {
        let (plain, smoothed, pixels) = (model(), model(), pixels(7))
        let wanted = plain(pixels, Tape(.inference)).value
        let smoothing = OutlierSmoothing(smoothed.backbone)
        smoothing.observe { _ = smoothed(self.pixels(8), Tape(.inference)) }
        smoothing.apply()
        // Powers of two round nothing.
        #expect(smoothed(pixels, Tape(.inference)).value.values == wanted.values)
        let norms = smoothed.parameters.filter { $0.path.hasSuffix("norm1/weight") }.map(\.parameter.value.values)
        #expect(norms.allSatisfy { ($0.max() ?? 99) < 4 * ($0.min() ?? 0) })

        let errors = [plain, smoothed].map { model in
            model.freeze(.int8)
            return error(model(pixels, Tape(.inference)).value, wanted)
        }
        #expect(errors[1] < errors[0] / 2, "\(errors)")
    }
}
