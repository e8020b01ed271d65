import ImageIO
import Synchronization
import TensorCore

/// Photos of one size, ready for a network.
public struct PhotoBatch: Sendable {
    /// `[B, H, W, 3]`, normalised.
    public var pixels: Tensor
    /// The files, to name them in an error.
    public var images: [String]
}

/// Makes batches of photos without labels, at the size of the network.
///
/// A photo whose header was in order may turn out damaged in the middle of a run; the next one then takes its place.
public struct PhotoBatches: Sendable {
    public let paths: [String]
    /// Height and width in pixels.
    private let size: [Int]
    private let scaling: PixelScaling
    private let filter: ResizeFilter
    private let damage: DamagedPhotos

    /// - Parameter warn: hears of each damaged photo once, on any thread.
    public init(
        _ paths: [String], size: [Int], scaling: PixelScaling, filter: ResizeFilter,
        warn: @escaping @Sendable (String) -> Void
    ) {
        (self.paths, self.size, self.scaling, self.filter) = (paths, size, scaling, filter)
        damage = DamagedPhotos(of: paths.count, warn: warn)
    }

    /// For learning: a random part of each photo, by the photo's place in the run.
    ///
    /// Throws ``DatasetError`` where too many photos are damaged.
    public func training(
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
    public func validation(_ images: [Int]) throws -> PhotoBatch {
        try batch(images) { $1.central(height: size[0], width: size[1], filter: filter) }
    }

    private func batch(
        _ images: [Int], shrinkingTo side: Int? = nil, _ change: (Int, RGBImage) -> RGBImage
    ) throws -> PhotoBatch {
        let pixels = Tensor(uninitialized: [images.count] + size + [3])
        var names: [String] = []
        for (index, image) in images.enumerated() {
            let (photo, name) = try load(image, shrinkingTo: side)
            scaling.write(change(index, photo), toPixels: pixels.rows(index..<index + 1).pointer)
            names.append(name)
        }
        return PhotoBatch(pixels: pixels, images: names)
    }

    private func load(_ image: Int, shrinkingTo side: Int?) throws -> (photo: RGBImage, path: String) {
        var image = image
        while true {
            do { return (try decodeImage(paths[image], shrinkingTo: side), paths[image]) } catch {
                try damage.note(image, "\(error)")
                image = (image + 1) % paths.count
            }
        }
    }
}

/// The photos that could not be decoded, noted from several threads.
final class DamagedPhotos: Sendable {
    private let errors = Mutex<[Int: String]>([:])
    private let count: Int
    private let warn: @Sendable (String) -> Void

    init(of count: Int, warn: @escaping @Sendable (String) -> Void) { (self.count, self.warn) = (count, warn) }

    /// Throws ``DatasetError`` if they have become too many.
    func note(_ image: Int, _ error: String) throws {
        let (isNew, all) = errors.withLock { errors in
            (errors.updateValue(error, forKey: image) == nil, errors.sorted { $0.key < $1.key }.map(\.value))
        }
        if isNew { warn("left out: \(error)") }
        guard all.count < count else { throw DatasetError(.invalid, path: "data", reason: "no photo is readable") }
        try PhotoDataset.check(all, of: count)
    }
}

extension Augmentation {
    /// A photo alone, changed and resized to `height` × `width` pixels.
    func callAsFunction(
        _ image: RGBImage, height: Int, width: Int, filter: ResizeFilter, _ generator: inout Philox
    ) -> RGBImage {
        let box = crop(width: image.width, height: image.height, &generator)
        var image = image.resized(width: width, height: height, filter: filter, box: box)
        if generator.bernoulli(flip) { image = image.flippedHorizontally() }
        if colorJitter > 0 { jitter(&image, &generator) }
        return image
    }
}
