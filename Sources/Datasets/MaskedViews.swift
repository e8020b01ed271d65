import BEiTImageIO
import BEiTTensorCore

/// Photos in two views of the same crop, with a mask over the first.
package struct MaskedBatch: Sendable {
    /// For the transformer: `[B, 3, H, W]`, normalised.
    package var pixels: Tensor
    /// For the tokenizer; none where it has nothing to look at.
    package var tokenViews: [RGBImage] = []
    /// B·N flags, true where the patch is hidden.
    package var mask: [Bool] = []
    /// The files of the photos.
    package var images: [String] = []
    /// The visual tokens, B·N in all, where they are known beforehand.
    package var tokens: [Int32] = []
}

/// Makes the batches of masked image modeling (the authors' `datasets.py`, `transforms.py`): colours changed, a mirror
/// image every other time, a random crop; the crop at the transformer's size (bicubic) and at the tokenizer's (Lanczos).
package struct MaskedViews: Sendable {
    /// What the tokenizer sees.
    package struct TokenView: Sendable {
        /// Height and width in pixels.
        var size: [Int]
        var filter: ResizeFilter

        package init(size: [Int], filter: ResizeFilter) { (self.size, self.filter) = (size, filter) }
    }

    package var photos: any PhotoSource { loader.photos }
    private let loader: PhotoLoader
    /// Height and width in pixels of the transformer's view.
    private let size: [Int]
    /// Nil if there is none.
    private let tokenView: TokenView?
    private let scaling: PixelScaling
    private let masking: MaskGenerator
    private let augmentation: Augmentation?
    private let seed: UInt64

    /// - Parameters:
    ///   - augmentation: of training photos; nil to show the central part of each, as it is.
    ///   - warn: hears of each damaged photo once, on any thread.
    package init(
        _ photos: any PhotoSource, size: [Int], tokenView: TokenView?, scaling: PixelScaling, masking: MaskGenerator,
        augmentation: Augmentation?, seed: UInt64, warn: @escaping @Sendable (String) -> Void
    ) {
        loader = PhotoLoader(photos, warn: warn)
        (self.size, self.tokenView, self.scaling) = (size, tokenView, scaling)
        (self.masking, self.augmentation, self.seed) = (masking, augmentation, seed)
    }

    /// The authors' augmentation: crops of 8 % to all of the area.
    package static var augmentation: Augmentation {
        var result = Augmentation()
        result.area = [0.08, 1]
        return result
    }

    /// For learning: each photo by its place in the run. Throws ``DatasetError`` where too many photos are damaged.
    package func training(_ members: [(image: Int, place: Int)]) throws -> MaskedBatch {
        try batch(members, augmentation)
    }

    /// For validation: the central part of each photo, and a mask that is always the same.
    package func validation(_ range: Range<Int>) throws -> MaskedBatch {
        // Their places lie beyond those of any run.
        try batch(range.map { ($0, 1 << 48 + $0) }, nil)
    }

    private func batch(_ members: [(image: Int, place: Int)], _ augmentation: Augmentation?) throws -> MaskedBatch {
        var result = MaskedBatch(pixels: Tensor(uninitialized: [members.count, 3] + size))
        for (index, member) in members.enumerated() {
            var (photo, taken) = try loader.load(member.image, shrinkingTo: sufficientSide(augmentation))
            var generator = RandomStream.augmentation.generator(seed: seed, member.place)
            let view = MaskedViews.crop(&photo, augmentation, &generator)
            scaling.write(view(size, .bicubic), to: result.pixels.rows(index..<index + 1).pointer)
            if let tokenView { result.tokenViews.append(view(tokenView.size, tokenView.filter)) }
            result.mask += masking(&generator)
            result.images.append(photos.name(taken))
        }
        return result
    }

    /// Changes the colours and chooses the part that all views show.
    /// - Returns: makes a view of a height and width in pixels.
    private static func crop(
        _ photo: inout RGBImage, _ augmentation: Augmentation?, _ generator: inout Philox
    ) -> (_ size: [Int], _ filter: ResizeFilter) -> RGBImage {
        guard let augmentation else {
            return { [photo] in photo.central(height: $0[0], width: $0[1], filter: $1) }
        }
        augmentation.jitter(&photo, &generator)
        let isMirrored = generator.bernoulli(augmentation.flip)
        let box = augmentation.box(width: photo.width, height: photo.height, &generator)
        return { [photo] size, filter in
            let view = photo.resized(width: size[1], height: size[0], filter: filter, box: box)
            return isMirrored ? view.flippedHorizontally() : view
        }
    }

    /// A JPEG may be decoded smaller, as long as the smallest crop has about the view's resolution.
    private func sufficientSide(_ augmentation: Augmentation?) -> Int {
        Int((Double(max(size[0], size[1])) / Double(augmentation?.area[0] ?? 1).squareRoot()).rounded(.up))
    }
}
