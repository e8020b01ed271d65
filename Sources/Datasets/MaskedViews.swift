import Foundation
import ImageIO
import TensorCore

/// Photos in two views of the same crop, with a mask over the first.
public struct MaskedBatch: Sendable {
    /// For the transformer: `[B, 3, H, W]`, normalised.
    public var pixels: Tensor
    /// For the tokenizer; none where the pixels themselves are predicted.
    public var tokenViews: [RGBImage]
    /// B·N flags, true where the patch is hidden.
    public var mask: [Bool]
    /// The photos, to name them in an error.
    public var images: [String]
    /// Photos that could not be decoded, with the reason; the one behind each took its place.
    public var replaced: [String]
}

/// Makes the batches of masked image modeling (the authors' `datasets.py`, `transforms.py`): colours changed, a mirror
/// image every other time, a random crop; the crop at the transformer's size (bicubic) and at the tokenizer's (Lanczos).
public struct MaskedViews: Sendable {
    /// Paths.
    public let photos: [String]
    /// Height and width in pixels of the transformer's view.
    let size: [Int]
    /// The same of the tokenizer's; nil if there is none.
    let tokenSize: [Int]?
    let scaling: PixelScaling
    let masking: MaskGenerator
    let augmentation: Augmentation
    let seed: UInt64

    public init(
        _ photos: [String], size: [Int], tokenSize: [Int]?, scaling: PixelScaling, masking: MaskGenerator,
        augmentation: Augmentation, seed: UInt64
    ) {
        (self.photos, self.size, self.tokenSize, self.scaling) = (photos, size, tokenSize, scaling)
        (self.masking, self.augmentation, self.seed) = (masking, augmentation, seed)
    }

    /// The authors' augmentation: crops of 8 % to all of the area.
    public static var augmentation: Augmentation {
        var result = Augmentation()
        result.area = [0.08, 1]
        return result
    }

    /// For learning: each photo by its place in the run. Throws `ImageError` where many photos in a row are damaged.
    public func training(_ members: [(image: Int, place: Int)]) throws -> MaskedBatch {
        try batch(members) { photo, generator in
            augmentation.jitter(&photo, &generator)
            let isMirrored = generator.bernoulli(augmentation.flip)
            return (augmentation.crop(width: photo.width, height: photo.height, &generator), isMirrored)
        }
    }

    /// For validation: the centre of each photo, and a mask that is always the same.
    public func validation(_ range: Range<Int>) throws -> MaskedBatch {
        // Their places lie beyond those of any run.
        try batch(range.map { ($0, 1 << 48 + $0) }) { photo, _ in (centre(photo), false) }
    }

    /// - Parameter change: changes the colours, and says which part is taken, and whether as a mirror image.
    private func batch(
        _ members: [(image: Int, place: Int)],
        _ change: (inout RGBImage, inout Philox) -> (box: Rectangle, isMirrored: Bool)
    ) throws -> MaskedBatch {
        var result = MaskedBatch(
            pixels: Tensor(uninitialized: [members.count, 3] + size), tokenViews: [], mask: [], images: [], replaced: []
        )
        for (index, member) in members.enumerated() {
            var (photo, path) = try decode(member.image, &result.replaced)
            var generator = RandomStream.augmentation.generator(seed: seed, member.place)
            let (box, isMirrored) = change(&photo, &generator)
            func view(_ size: [Int], _ filter: ResizeFilter) -> RGBImage {
                let view = photo.resized(width: size[1], height: size[0], filter: filter, box: box)
                return isMirrored ? view.flippedHorizontally() : view
            }
            scaling.write(view(size, .bicubic), to: result.pixels.rows(index..<index + 1).pointer)
            if let tokenSize { result.tokenViews.append(view(tokenSize, .lanczos)) }
            result.mask += masking(&generator)
            result.images.append(path)
        }
        return result
    }

    /// The photo, or the first behind it that can be decoded: one damaged file must not end a run of days.
    private func decode(_ index: Int, _ replaced: inout [String]) throws -> (RGBImage, String) {
        let tries = min(8, photos.count)
        for attempt in 0..<tries {
            let path = photos[(index + attempt) % photos.count]
            do {
                return (try decodeImage(path, shrinkingTo: sufficientSide), path)
            } catch let error as ImageError where attempt < tries - 1 { replaced.append("\(error)") }
        }
        preconditionFailure("the last try returns or throws")
    }

    /// A JPEG may be decoded smaller, as long as the smallest crop has about the view's resolution.
    private var sufficientSide: Int {
        Int((Double(max(size[0], size[1])) / Double(augmentation.area[0]).squareRoot()).rounded(.up))
    }

    /// The largest part in the middle that has the view's shape.
    private func centre(_ photo: RGBImage) -> Rectangle {
        let scale = min(Double(photo.width) / Double(size[1]), Double(photo.height) / Double(size[0]))
        // Whole pixels, so that no rounding leads out of the photo.
        let width = min(photo.width, max(1, Int(scale * Double(size[1]))))
        let height = min(photo.height, max(1, Int(scale * Double(size[0]))))
        return Rectangle(
            x: Double((photo.width - width) / 2), y: Double((photo.height - height) / 2), width: Double(width),
            height: Double(height))
    }
}
