import BEiTImageIO
import BEiTTensorCore

/// mmsegmentation's `PhotoMetricDistortion` (`mmseg/datasets/transforms/transforms.py`): brightness, contrast,
/// saturation and hue, each every other time; contrast before or after the two others. On 8-bit values, clipped and
/// without their fractions after each change.
package struct PhotometricDistortion: Codable, Equatable, Sendable {
    /// What is added to every channel is within ± this.
    package var brightness: Float = 32
    package var contrast: [Float] = [0.5, 1.5]
    package var saturation: [Float] = [0.5, 1.5]
    /// In units of two degrees.
    package var hue = 18

    package init() {}

    /// What makes the ranges impossible, in one sentence; nil if nothing does.
    var problem: String? {
        func isRange(_ x: [Float]) -> Bool { x.count == 2 && x[0] >= 0 && x[0] < x[1] && x[1] <= 255 }
        guard brightness > 0, brightness <= 255, isRange(contrast), isRange(saturation), 0...180 ~= hue else {
            return "the photometric distortion's ranges are none"
        }
        return nil
    }

    /// One draw of the changes; nil leaves as it is.
    struct Change: Equatable {
        var brightness, contrast, saturation: Float?
        /// 0…179, to be added.
        var hue: Int?
        var contrastFirst = true
    }

    package func callAsFunction(_ image: inout RGBImage, _ generator: inout Philox) {
        draw(&generator).apply(to: &image)
    }

    func draw(_ generator: inout Philox) -> Change {
        // Always the same number of draws, so that what follows does not depend on the coins.
        func sometimes(_ range: Range<Float>) -> Float? {
            let (coin, value) = (generator.bernoulli(0.5), generator.uniform(range))
            return coin ? value : nil
        }
        var change = Change()
        change.brightness = sometimes(-brightness..<brightness)
        change.contrastFirst = generator.bernoulli(0.5)
        change.contrast = sometimes(contrast[0]..<contrast[1])
        change.saturation = sometimes(saturation[0]..<saturation[1])
        let (coin, turn) = (generator.bernoulli(0.5), generator.integer(below: max(1, 2 * hue)) - hue)
        change.hue = coin ? (turn + 180) % 180 : nil
        return change
    }
}

extension PhotometricDistortion.Change {
    func apply(to image: inout RGBImage) {
        if let brightness { image.map(table(times: 1, plus: brightness)) }
        if contrastFirst, let contrast { image.map(table(times: contrast, plus: 0)) }
        // Two conversions where both change, each with its own rounding, as in the original.
        if let saturation {
            let table = table(times: saturation, plus: 0)
            image.changeHSV { $0.saturation = table[Int($0.saturation)] }
        }
        if let hue { image.changeHSV { $0.hue = UInt8((Int($0.hue) + hue) % 180) } }
        if !contrastFirst, let contrast { image.map(table(times: contrast, plus: 0)) }
    }

    /// `alpha · value + beta` for each of the 256 values.
    private func table(times alpha: Float, plus beta: Float) -> [UInt8] {
        (0...255).map { UInt8(min(max(Float($0) * alpha + beta, 0), 255)) }
    }
}
