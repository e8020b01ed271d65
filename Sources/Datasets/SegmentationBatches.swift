import BEiTImageIO
import BEiTTensorCore

/// Photos and labels of one size, ready for a network.
package struct SegmentationBatch: Sendable {
    /// `[B, 3, H, W]`, normalised.
    package var pixels: Tensor
    /// B·H·W class indices, row-major; ``LabelMap/void`` where none counts. The background of a set that may be several
    /// classes has a label of its own (``BackgroundLabels``).
    package var labels: [Int32]
    /// What people call the photos, to name them in an error.
    package var images: [String]
}

/// Makes batches of labelled photos, at the size of the network.
///
/// A photo or mask that turns out damaged in the middle of a run gives its place to the next pair.
package struct SegmentationBatches: Sendable {
    private let photos: any LabelledSource
    /// Height and width in pixels.
    private let size: [Int]
    private let scaling: PixelScaling
    private let backgrounds: BackgroundLabels
    private let damage: DamagedPhotos

    /// - Parameter warn: hears of each damaged pair once, on any thread.
    package init(
        _ photos: any LabelledSource, size: [Int], scaling: PixelScaling, _ backgrounds: BackgroundLabels,
        warn: @escaping @Sendable (String) -> Void
    ) {
        (self.photos, self.size, self.scaling, self.backgrounds) = (photos, size, scaling, backgrounds)
        damage = DamagedPhotos(of: photos.count, warn: warn)
    }

    /// For learning: augmented, each image by its place in the run, and mixed, each batch by that of its first image.
    ///
    /// - Parameter cutmix: see ``BatchMixing/exchangeRectangles(_:_:alpha:_:)``; 0 for none.
    /// - Throws: ``DatasetError``, also where too many pairs are damaged, and what is no fault of a photo.
    package func training(
        _ members: [(image: Int, place: Int)], seed: UInt64, _ augmentation: Augmentation, cutmix: Float = 0
    ) throws -> SegmentationBatch {
        let pixels = Tensor(uninitialized: [members.count, 3] + size)
        var batch = SegmentationBatch(pixels: pixels, labels: [], images: [])
        batch.labels.reserveCapacity(members.count * size[0] * size[1])
        for (index, member) in members.enumerated() {
            let (image, mask, taken) = try load(member.image)
            var generator = RandomStream.augmentation.generator(seed: seed, member.place)
            let result = augmentation(image, mask, height: size[0], width: size[1], &generator)
            scaling.write(
                result.image, to: pixels.rows(index..<index + 1).pointer, height: size[0], width: size[1])
            append(result.mask, of: photos.set(taken), to: &batch.labels)
            batch.images.append(photos.name(taken))
        }
        if cutmix > 0 {
            var generator = RandomStream.mixing.generator(seed: seed, members.first?.place ?? 0)
            BatchMixing.exchangeRectangles(pixels, &batch.labels, alpha: cutmix, &generator)
        }
        return batch
    }

    /// Pair number `index`, or the first behind it that is sound, and its number.
    private func load(_ index: Int) throws -> (image: RGBImage, mask: IndexMask, index: Int) {
        try damage.firstSound(from: index) {
            let mask = try photos.mask($0)
            return (try photos.decode($0), mask, $0)
        }
    }

    /// Appends the labels of a picture of the network's size; where the mask is smaller, the rest is void.
    private func append(_ mask: IndexMask, of set: Int, to labels: inout [Int32]) {
        let (void, own) = (Int32(LabelMap.void), backgrounds[set])
        func label(_ value: UInt16) -> Int32 {
            if let own, value == own.background { return own.label }
            return Int32(value)
        }
        for row in 0..<mask.height {
            labels += mask.values[row * mask.width..<(row + 1) * mask.width].lazy.map(label)
            labels += repeatElement(void, count: size[1] - mask.width)
        }
        labels += repeatElement(void, count: (size[0] - mask.height) * size[1])
    }
}
