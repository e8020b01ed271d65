import BEiTImageIO
import BEiTTensorCore
import Foundation

/// RandAugment (Cubuk et al., arXiv:1909.13719): a few operations drawn at random, all of about one strength.
///
/// The operations, their ranges and the noise of the strength are those of timm's `rand-m9-mstd0.5-inc1`, BEiT's recipe.
package struct RandAugment: Codable, Equatable, Sendable {
    /// Operations of an image; each is carried out every other time.
    package var operations = 2
    /// The mean strength, 0 to 10.
    package var magnitude: Float = 9
    /// The strength's standard deviation.
    package var deviation: Float = 0.5

    package init() {}

    /// What makes it impossible, in one sentence; nil if nothing does.
    var problem: String? {
        guard 1...16 ~= operations, 0...10 ~= magnitude, 0...10 ~= deviation else {
            return "RandAugment has \(operations) operations of strength \(magnitude) ± \(deviation)"
        }
        return nil
    }

    /// `m9-n2` or `m9-n2-mstd0.5`, in any order; nil for what is not of this form.
    package init?(_ text: String) {
        for part in text.split(separator: "-", omittingEmptySubsequences: false) {
            if let value = RandAugment.number(part, "mstd"), value >= 0, value <= 10 {
                deviation = value
            } else if let value = RandAugment.number(part, "m"), value >= 0, value <= 10 {
                magnitude = value
            } else if let value = RandAugment.number(part, "n").flatMap({ Int(exactly: $0) }), 1...16 ~= value {
                operations = value
            } else {
                return nil
            }
        }
    }

    private static func number(_ part: Substring, _ prefix: String) -> Float? {
        part.hasPrefix(prefix) ? Float(part.dropFirst(prefix.count)) : nil
    }

    package var name: String { "m\(magnitude.plain)-n\(operations)-mstd\(deviation.plain)" }

    /// - Parameter fill: what appears where the image is moved away.
    package func callAsFunction(_ image: RGBImage, fill: RGBColor, _ generator: inout Philox) -> RGBImage {
        var image = image
        for _ in 0..<operations {
            let operation = Operation.allCases[generator.integer(below: Operation.allCases.count)]
            guard generator.bernoulli(0.5) else { continue }
            let strength = min(max(magnitude + deviation * generator.normal(), 0), 10) / 10
            operation.apply(to: &image, strength: strength, negative: generator.bernoulli(0.5), fill: fill)
        }
        return image
    }

    /// timm's `_RAND_INCREASING_TRANSFORMS`, in its order.
    enum Operation: CaseIterable {
        case autoContrast, equalize, invert, rotate, posterize, solarize, solarizeAdd
        case color, contrast, brightness, sharpness, shearX, shearY, translateX, translateY

        /// - Parameters:
        ///   - strength: 0…1.
        ///   - negative: the other way, where there are two.
        func apply(to image: inout RGBImage, strength: Float, negative: Bool, fill: RGBColor) {
            let signed = negative ? -strength : strength
            let factor = max(0.1, 1 + 0.9 * signed)
            func move(_ transform: AffineMap) { image = image.transformed(transform, fill: fill) }
            let (width, height) = (Double(image.width), Double(image.height))
            switch self {
            case .autoContrast: image.autoContrast()
            case .equalize: image.equalize()
            case .invert: image.invert()
            case .rotate: move(.rotation(degrees: 30 * Double(signed), width: image.width, height: image.height))
            case .posterize: image.posterize(bits: 4 - Int(4 * strength))
            case .solarize: image.solarize(threshold: 256 - min(256, Int(256 * strength)))
            case .solarizeAdd: image.solarize(adding: min(128, Int(110 * strength)))
            case .color: image.adjustSaturation(factor)
            case .contrast: image.adjustContrast(factor)
            case .brightness: image.adjustBrightness(factor)
            case .sharpness: image.adjustSharpness(factor)
            case .shearX: move(AffineMap(1, 0.3 * Double(signed), 0, 0, 1, 0))
            case .shearY: move(AffineMap(1, 0, 0, 0.3 * Double(signed), 1, 0))
            case .translateX: move(AffineMap(1, 0, 0.45 * width * Double(signed), 0, 1, 0))
            case .translateY: move(AffineMap(1, 0, 0, 0, 1, 0.45 * height * Double(signed)))
            }
        }
    }
}

extension Float {
    /// Without a fraction that is 0.
    fileprivate var plain: String { self == rounded() ? String(Int(self)) : String(self) }
}
