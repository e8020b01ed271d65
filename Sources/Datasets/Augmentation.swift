import BEiTImageIO
import BEiTTensorCore
import Foundation

/// Random changes that leave the labels true: a crop of random place, size and shape, a mirror image, other colours.
package struct Augmentation: Codable, Equatable, Sendable {
    /// How a part of the photo is chosen.
    package enum Crop: String, Codable, CaseIterable, Sendable {
        /// A part of random area and shape fills the network's input (torchvision's RandomResizedCrop).
        case resized
        /// The photo at a random size; a part of the network's size (mmsegmentation; see ``ScaleCrop``).
        case scale
    }
    /// Nil for ``Crop/resized``, as in checkpoints from before there was a choice.
    package var crop: Crop?
    /// For ``Crop/scale``; nil for its defaults.
    package var scaleCrop: ScaleCrop?
    /// In place of the colour jitter.
    package var photometric: PhotometricDistortion?
    /// The crop's share of the photo's area.
    package var area: [Float] = [0.25, 1]
    /// The crop's width ÷ height, before it is resized; drawn log-uniformly.
    package var aspect: [Float] = [3.0 / 4, 4.0 / 3]
    /// Probability of a mirror image.
    package var flip: Float = 0.5
    /// Brightness, contrast and saturation change by a factor within 1 ± this, in random order.
    package var colorJitter: Float = 0.4

    package init() {}

    /// What makes the ranges impossible, in one sentence; nil if nothing does.
    package var problem: String? {
        func isRange(_ x: [Float]) -> Bool { x.count == 2 && x[0] > 0 && x[0] <= x[1] && x[1].isFinite }
        if !isRange(area) || area[1] > 1 || area[0] < 1e-6 {
            return "`crop-area` is \(area.first ?? .nan), and must be above 0 and at most \(area.last ?? .nan)"
        }
        if !isRange(aspect) || aspect[1] > 1e3 || aspect[0] < 1e-3 {
            return "the crop's aspect \(aspect) is not a range above 0"
        }
        if let problem = scaleCrop?.problem ?? photometric?.problem { return problem }
        if !(0...1 ~= flip) { return "the probability \(flip) of a flip is not within 0 and 1" }
        return 0...1 ~= colorJitter ? nil : "`color-jitter` is \(colorJitter), and must be from 0 to 1"
    }

    /// Photo and mask, changed together, of `height` × `width` pixels (with ``Crop/scale`` at most): the photo resized
    /// bilinearly, the mask by its nearest pixels.
    package func callAsFunction(
        _ image: RGBImage, _ mask: IndexMask, height: Int, width: Int, _ generator: inout Philox
    ) -> (image: RGBImage, mask: IndexMask) {
        var (image, mask) = cropped(image, mask, height: height, width: width, &generator)
        if generator.bernoulli(flip) { (image, mask) = (image.flippedHorizontally(), mask.flippedHorizontally()) }
        if let photometric {
            photometric(&image, &generator)
        } else {
            jitter(&image, &generator)
        }
        return (image, mask)
    }

    private func cropped(
        _ image: RGBImage, _ mask: IndexMask, height: Int, width: Int, _ generator: inout Philox
    ) -> (image: RGBImage, mask: IndexMask) {
        switch crop ?? .resized {
        case .scale: return (scaleCrop ?? ScaleCrop())(image, mask, height: height, width: width, &generator)
        case .resized:
            let box = box(width: image.width, height: image.height, &generator)
            return (
                image.resized(width: width, height: height, filter: .bilinear, box: box),
                mask.resized(width: width, height: height, box: box)
            )
        }
    }

    /// As torchvision's RandomResizedCrop: ten tries, then the largest central crop of a permitted aspect.
    func box(width: Int, height: Int, _ generator: inout Philox) -> Rectangle {
        for _ in 0..<10 {
            let target = Float(width * height) * generator.uniform(area[0]..<area[1])
            let ratio = exp(generator.uniform(log(aspect[0])..<log(aspect[1])))
            let w = Int((target * ratio).squareRoot().rounded()), h = Int((target / ratio).squareRoot().rounded())
            guard w > 0, h > 0, w <= width, h <= height else { continue }
            let x = generator.integer(below: width - w + 1), y = generator.integer(below: height - h + 1)
            return Rectangle(x: Double(x), y: Double(y), width: Double(w), height: Double(h))
        }
        let ratio = min(max(Float(width) / Float(height), aspect[0]), aspect[1])
        let w = min(width, max(1, Int(Float(height) * ratio))), h = min(height, max(1, Int(Float(width) / ratio)))
        return Rectangle(
            x: Double((width - w) / 2), y: Double((height - h) / 2), width: Double(w), height: Double(h))
    }

    func jitter(_ image: inout RGBImage, _ generator: inout Philox) {
        guard colorJitter > 0 else { return }
        let order = generator.permutation(3)
        for kind in order {
            let factor = generator.uniform(1 - colorJitter..<1 + colorJitter)
            switch kind {
            case 0: image.adjustBrightness(factor)
            case 1: image.adjustContrast(factor)
            default: image.adjustSaturation(factor)
            }
        }
    }
}
