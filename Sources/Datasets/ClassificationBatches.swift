import BEiTImageIO
import BEiTTensorCore

/// Photos of one size with the distribution over classes that each shall get.
package struct ClassificationBatch: Sendable {
    /// `[B, 3, H, W]`, normalised.
    package var pixels: Tensor
    /// `[B, K]`; each row adds up to 1.
    package var targets: Tensor
    /// The class of each photo before any mixing.
    package var labels: [Int]
    /// What people call the photos, to name them in an error.
    package var images: [String]
}

/// How training photos and their targets are changed (BEiT's fine-tuning recipe).
package struct ClassificationAugmentation: Codable, Equatable, Sendable {
    /// Crop, mirror image and, without RandAugment, colours.
    package var crop: Augmentation
    /// Nil for none; it then takes the place of the colour jitter.
    package var randAugment: RandAugment? = RandAugment()
    /// Of a rectangle becoming noise.
    package var erasing: Float = 0.25
    package var mixing = BatchMixing()
    /// What the target takes from the true class and gives to all evenly.
    package var labelSmoothing: Float = 0.1

    package init() {
        crop = Augmentation()
        crop.area = [0.08, 1]
    }

    /// What makes it impossible, in one sentence; nil if nothing does.
    package var problem: String? {
        if let problem = crop.problem ?? randAugment?.problem { return problem }
        let shares = [("random-erasing", erasing), ("label-smoothing", labelSmoothing)]
        for (name, value) in shares where !(0...1 ~= value) { return "`\(name)` is \(value), and must be from 0 to 1" }
        return mixing.problem
    }

    /// Crop, mirror, RandAugment or colours.
    func callAsFunction(
        _ photo: RGBImage, height: Int, width: Int, fill: RGBColor, _ generator: inout Philox
    ) -> RGBImage {
        var crop = crop
        if randAugment != nil { crop.colorJitter = 0 }
        let image = crop(photo, height: height, width: width, filter: .bicubic, &generator)
        return randAugment?(image, fill: fill, &generator) ?? image
    }
}

/// Makes batches of photos that have a class each, at the size of the network.
package struct ClassificationBatches: Sendable {
    package var photos: any PhotoSource { loader.photos }
    private let loader: PhotoLoader
    /// The class of each photo.
    private let labels: [Int]
    /// K.
    private let classes: Int
    /// Height and width in pixels.
    private let size: [Int]
    private let scaling: PixelScaling
    /// The mean colour: what RandAugment fills with.
    private let fill: RGBColor

    /// - Parameters:
    ///   - labels: the class of each photo, in `0..<classes`.
    ///   - mean: of the normalisation, for pixels in 0…1.
    ///   - warn: hears of each damaged photo once, on any thread.
    package init(
        _ photos: any PhotoSource, labels: [Int], classes: Int, size: [Int], mean: [Float], std: [Float],
        warn: @escaping @Sendable (String) -> Void
    ) {
        precondition(labels.count == photos.count, "\(labels.count) labels of \(photos.count) photos")
        (self.labels, self.classes, self.size) = (labels, classes, size)
        loader = PhotoLoader(photos, warn: warn)
        scaling = PixelScaling(mean: mean, std: std)
        let color = mean.map { UInt8(min(max((255 * $0).rounded(.toNearestOrEven), 0), 255)) }
        fill = RGBColor(color[0], color[1], color[2])
    }

    /// For learning: augmented, each photo by its place in the run, and mixed, each batch by that of its first photo.
    ///
    /// Throws ``DatasetError`` where too many photos are damaged.
    package func training(
        _ members: [(image: Int, place: Int)], seed: UInt64, _ augmentation: ClassificationAugmentation
    ) throws -> ClassificationBatch {
        var generators = members.map { RandomStream.augmentation.generator(seed: seed, $0.place) }
        // A part's side is seldom less than half of the photo's.
        let result = try batch(
            members.map(\.image), shrinkingTo: 2 * (size.max() ?? 0), smoothing: augmentation.labelSmoothing
        ) { index, photo in
            augmentation(photo, height: size[0], width: size[1], fill: fill, &generators[index])
        }
        let erasing = RandomErasing(probability: augmentation.erasing)
        for index in members.indices {
            erasing(result.pixels.rows(index..<index + 1).reshaped([3] + size), &generators[index])
        }
        var generator = RandomStream.mixing.generator(seed: seed, members.first?.place ?? 0)
        augmentation.mixing(result.pixels, result.targets, &generator)
        return result
    }

    /// For validation: the middle of each photo.
    /// - Parameter share: see ``RGBImage/centerCropped(height:width:share:filter:)``.
    package func validation(_ range: Range<Int>, share: Double) throws -> ClassificationBatch {
        try batch(Array(range)) { _, photo in
            photo.centerCropped(height: size[0], width: size[1], share: share, filter: .bicubic)
        }
    }

    private func batch(
        _ members: [Int], shrinkingTo side: Int? = nil, smoothing: Float = 0, _ change: (Int, RGBImage) -> RGBImage
    ) throws -> ClassificationBatch {
        let pixels = Tensor(uninitialized: [members.count, 3] + size)
        let targets = Tensor(repeating: smoothing / Float(classes), [members.count, classes])
        var result = ClassificationBatch(pixels: pixels, targets: targets, labels: [], images: [])
        for (index, member) in members.enumerated() {
            let (photo, taken) = try loader.load(member, shrinkingTo: side)
            scaling.write(change(index, photo), to: pixels.rows(index..<index + 1).pointer)
            targets.pointer[index * classes + labels[taken]] += 1 - smoothing
            result.labels.append(labels[taken])
            result.images.append(photos.name(taken))
        }
        return result
    }
}

/// How much of a test photo the network sees: BEiT's 224 of 256 pixels, and all of it from 384 on.
package func standardCropShare(size: [Int]) -> Double { (size.min() ?? 0) >= 384 ? 1 : 0.875 }
