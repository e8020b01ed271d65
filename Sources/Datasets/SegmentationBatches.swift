import BEiTImageIO
import BEiTTensorCore

/// Photos and labels of one size, ready for a network.
package struct SegmentationBatch: Sendable {
    /// `[B, 3, H, W]`, normalised.
    package var pixels: Tensor
    /// B·H·W class indices, row-major; ``LabelMap/void`` where none counts.
    package var labels: [Int32]
    /// The photos, to name them in an error.
    package var images: [String]
}

/// Makes batches of a data set's images, at the size of the network.
package struct SegmentationBatches: Sendable {
    package let dataset: SegmentationDataset
    package let images: [LabelledImage]
    /// Height and width in pixels.
    package let size: [Int]
    package let scaling: PixelScaling

    package init(_ dataset: SegmentationDataset, _ images: [LabelledImage], size: [Int], scaling: PixelScaling) {
        (self.dataset, self.images, self.size, self.scaling) = (dataset, images, size, scaling)
    }

    /// For learning: augmented, each image by its place in the run. Throws ``ImageError`` or ``DatasetError``.
    package func training(
        _ members: [(image: Int, place: Int)], seed: UInt64, _ augmentation: Augmentation
    ) throws -> SegmentationBatch {
        try batch(members.map { images[$0.image] }) { index, image, mask in
            var generator = RandomStream.augmentation.generator(seed: seed, members[index].place)
            return augmentation(image, mask, height: size[0], width: size[1], &generator)
        }
    }

    /// For validation: the whole photo, whatever its shape, resized to the network's size.
    package func validation(_ range: Range<Int>) throws -> SegmentationBatch {
        try batch(Array(images[range])) { _, image, mask in
            (
                image.resized(width: size[1], height: size[0], filter: .bilinear),
                mask.resized(width: size[1], height: size[0])
            )
        }
    }

    private func batch(
        _ pairs: [LabelledImage], _ change: (Int, RGBImage, IndexMask) -> (image: RGBImage, mask: IndexMask)
    ) throws -> SegmentationBatch {
        let pixels = Tensor(uninitialized: [pairs.count, 3] + size)
        var labels: [Int32] = []
        labels.reserveCapacity(pairs.count * size[0] * size[1])
        for (index, pair) in pairs.enumerated() {
            let (image, mask) = try dataset.load(pair)
            let result = change(index, image, mask)
            scaling.write(
                result.image, to: pixels.rows(index..<index + 1).pointer, height: size[0], width: size[1])
            append(result.mask, to: &labels)
        }
        return SegmentationBatch(pixels: pixels, labels: labels, images: pairs.map(\.image))
    }

    /// Appends the classes of a picture of the network's size; where the mask is smaller, the rest is void.
    private func append(_ mask: IndexMask, to labels: inout [Int32]) {
        let void = Int32(LabelMap.void)
        for row in 0..<mask.height {
            labels += mask.values[row * mask.width..<(row + 1) * mask.width].lazy.map(Int32.init)
            labels += repeatElement(void, count: size[1] - mask.width)
        }
        labels += repeatElement(void, count: (size[0] - mask.height) * size[1])
    }
}
