import BEiTImageIO
import BEiTTensorCore
import Foundation

/// A photo at a random size and a random part of it, as mmsegmentation trains: `RandomResize` with `keep_ratio`, then
/// `RandomCrop` with `cat_max_ratio` (BEiT's `semantic_segmentation/configs`).
///
/// The base size has the network's shorter side as its short side, and the long side may be four times as long: 512 ×
/// 2048 pixels for a network of 512 × 512.
package struct ScaleCrop: Codable, Equatable, Sendable {
    /// The photo's size in units of the base size.
    package var scale: [Float] = [0.5, 2]
    /// A part that one class fills to this share, or alone, is drawn again, ten times at most; 1 for any part.
    package var largestShare: Float = 0.75

    package init() {}

    /// What makes the ranges impossible, in one sentence; nil if nothing does.
    var problem: String? {
        guard scale.count == 2, scale[0] > 0.01, scale[0] <= scale[1], scale[1] <= 16 else {
            return "the scale \(scale) is not a range within 0 and 16"
        }
        return largestShare > 0 ? nil : "the largest share \(largestShare) of a class is not above 0"
    }

    /// A part of at most `height` × `width` pixels, smaller where the photo is; the photo is resized bilinearly, the mask
    /// by its nearest pixels.
    func callAsFunction(
        _ image: RGBImage, _ mask: IndexMask, height: Int, width: Int, _ generator: inout Philox
    ) -> (image: RGBImage, mask: IndexMask) {
        let ratio = generator.uniform(scale[0]..<scale[1])
        let (w, h) = ScaleCrop.size(width: image.width, height: image.height, base: min(width, height), ratio: ratio)
        let resized = mask.resized(width: w, height: h)
        let box = crop(resized, height: min(height, h), width: min(width, w), &generator)
        // Only the part that is kept is resized; in the photo it lies between pixels.
        let scale = (x: Double(image.width) / Double(w), y: Double(image.height) / Double(h))
        let part = Rectangle(
            x: Double(box.x) * scale.x, y: Double(box.y) * scale.y,
            width: min(Double(box.width) * scale.x, Double(image.width) - Double(box.x) * scale.x),
            height: min(Double(box.height) * scale.y, Double(image.height) - Double(box.y) * scale.y))
        return (
            image.resized(width: box.width, height: box.height, filter: .bilinear, box: part),
            resized.cropped(x: box.x, y: box.y, width: box.width, height: box.height)
        )
    }

    /// mmcv's `imrescale` to (4·base, base)·ratio, each side cut to whole pixels.
    static func size(width: Int, height: Int, base: Int, ratio: Float) -> (width: Int, height: Int) {
        let long = Double(Int(4 * Float(base) * ratio)), short = Double(max(1, Int(Float(base) * ratio)))
        let factor = min(long / Double(max(width, height)), short / Double(min(width, height)))
        let side = { (length: Int) in max(1, Int(Double(length) * factor + 0.5)) }
        return (side(width), side(height))
    }

    /// A place that is not nearly all of one class, or the last of eleven.
    func crop(
        _ mask: IndexMask, height: Int, width: Int, _ generator: inout Philox
    ) -> (x: Int, y: Int, width: Int, height: Int) {
        func place() -> (x: Int, y: Int, width: Int, height: Int) {
            let y = generator.integer(below: mask.height - height + 1)
            return (generator.integer(below: mask.width - width + 1), y, width, height)
        }
        var box = place()
        guard largestShare < 1 else { return box }
        for _ in 0..<10 {
            if isVaried(mask.cropped(x: box.x, y: box.y, width: width, height: height)) { break }
            box = place()
        }
        return box
    }

    /// Whether several classes are in `mask` and none of them fills it; void counts for nothing.
    func isVaried(_ mask: IndexMask) -> Bool {
        var counts: [UInt16: Int] = [:]
        var previous: (value: UInt16, count: Int) = (LabelMap.void, 0)
        // Neighbours are mostly alike: one look-up a run.
        for value in mask.values {
            if value != previous.value {
                counts[previous.value, default: 0] += previous.count
                previous = (value, 0)
            }
            previous.count += 1
        }
        counts[previous.value, default: 0] += previous.count
        counts[LabelMap.void] = nil
        counts = counts.filter { $0.value > 0 }
        let all = counts.values.reduce(0, +)
        return counts.count > 1 && Float(counts.values.max() ?? 0) < largestShare * Float(all)
    }
}
