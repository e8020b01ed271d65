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
///
/// A photo or mask that turns out damaged in the middle of a run gives its place to the next pair.
package struct SegmentationBatches: Sendable {
    package let dataset: SegmentationDataset
    package let images: [LabelledImage]
    /// Height and width in pixels.
    package let size: [Int]
    package let scaling: PixelScaling
    private let damage: DamagedPhotos

    /// - Parameter warn: hears of each damaged pair once, on any thread.
    package init(
        _ dataset: SegmentationDataset, _ images: [LabelledImage], size: [Int], scaling: PixelScaling,
        warn: @escaping @Sendable (String) -> Void
    ) {
        (self.dataset, self.images, self.size, self.scaling) = (dataset, images, size, scaling)
        damage = DamagedPhotos(of: images.count, warn: warn)
    }

    /// For learning: augmented, each image by its place in the run.
    ///
    /// Throws ``DatasetError``, also where too many pairs are damaged, and what is no fault of a photo.
    package func training(
        _ members: [(image: Int, place: Int)], seed: UInt64, _ augmentation: Augmentation
    ) throws -> SegmentationBatch {
        let pixels = Tensor(uninitialized: [members.count, 3] + size)
        var batch = SegmentationBatch(pixels: pixels, labels: [], images: [])
        batch.labels.reserveCapacity(members.count * size[0] * size[1])
        for (index, member) in members.enumerated() {
            let (image, mask, path) = try load(member.image)
            var generator = RandomStream.augmentation.generator(seed: seed, member.place)
            let result = augmentation(image, mask, height: size[0], width: size[1], &generator)
            scaling.write(
                result.image, to: pixels.rows(index..<index + 1).pointer, height: size[0], width: size[1])
            append(result.mask, to: &batch.labels)
            batch.images.append(path)
        }
        return batch
    }

    /// Pair number `index`, or the first behind it that is sound, and the path of its photo.
    private func load(_ index: Int) throws -> (image: RGBImage, mask: IndexMask, path: String) {
        try damage.firstSound(from: index) {
            let (image, mask) = try dataset.load(images[$0])
            return (image, mask, images[$0].image)
        }
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
