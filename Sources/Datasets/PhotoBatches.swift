import BEiTImageIO
import BEiTTensorCore

/// Photos of one size, ready for a network.
package struct PhotoBatch: Sendable {
    /// `[B, H, W, 3]`, normalised.
    package var pixels: Tensor
    /// The files, to name them in an error.
    package var images: [String]
}

/// Makes batches of photos without labels, at the size of the network.
package struct PhotoBatches: Sendable {
    package var photos: any PhotoSource { loader.photos }
    private let loader: PhotoLoader
    /// Height and width in pixels.
    private let size: [Int]
    private let scaling: PixelScaling
    private let filter: ResizeFilter

    /// - Parameter warn: hears of each damaged photo once, on any thread.
    package init(
        _ photos: any PhotoSource, size: [Int], scaling: PixelScaling, filter: ResizeFilter,
        warn: @escaping @Sendable (String) -> Void
    ) {
        (self.size, self.scaling, self.filter) = (size, scaling, filter)
        loader = PhotoLoader(photos, warn: warn)
    }

    /// For learning: a random part of each photo, by the photo's place in the run.
    ///
    /// Throws ``DatasetError`` where too many photos are damaged.
    package func training(
        _ members: [(image: Int, place: Int)], seed: UInt64, _ augmentation: Augmentation
    ) throws -> PhotoBatch {
        // A part's side is seldom less than half of the photo's.
        let side = 2 * (size.max() ?? 0)
        return try batch(members.map(\.image), shrinkingTo: side) { index, photo in
            var generator = RandomStream.augmentation.generator(seed: seed, members[index].place)
            return augmentation(photo, height: size[0], width: size[1], filter: filter, &generator)
        }
    }

    /// For validation: the central part.
    package func validation(_ images: [Int]) throws -> PhotoBatch {
        try batch(images) { $1.central(height: size[0], width: size[1], filter: filter) }
    }

    private func batch(
        _ images: [Int], shrinkingTo side: Int? = nil, _ change: (Int, RGBImage) -> RGBImage
    ) throws -> PhotoBatch {
        let pixels = Tensor(uninitialized: [images.count] + size + [3])
        var names: [String] = []
        for (index, image) in images.enumerated() {
            let (photo, taken) = try loader.load(image, shrinkingTo: side)
            scaling.write(change(index, photo), toPixels: pixels.rows(index..<index + 1).pointer)
            names.append(photos.name(taken))
        }
        return PhotoBatch(pixels: pixels, images: names)
    }
}

extension Augmentation {
    /// A photo alone, changed and resized to `height` × `width` pixels.
    func callAsFunction(
        _ image: RGBImage, height: Int, width: Int, filter: ResizeFilter, _ generator: inout Philox
    ) -> RGBImage {
        let box = box(width: image.width, height: image.height, &generator)
        var image = image.resized(width: width, height: height, filter: filter, box: box)
        if generator.bernoulli(flip) { image = image.flippedHorizontally() }
        jitter(&image, &generator)
        return image
    }
}
