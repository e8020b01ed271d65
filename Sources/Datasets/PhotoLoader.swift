import BEiTImageIO
import Synchronization

/// Decodes the photos of a list, on any thread.
///
/// A photo whose header was in order may turn out damaged in the middle of a run; the next one then takes its place.
struct PhotoLoader: Sendable {
    let paths: [String]
    private let damage: DamagedPhotos

    /// - Parameter warn: hears of each damaged photo once, on any thread.
    init(_ paths: [String], warn: @escaping @Sendable (String) -> Void) {
        self.paths = paths
        damage = DamagedPhotos(of: paths.count, warn: warn)
    }

    /// Photo number `image`, or the first behind it that can be decoded.
    ///
    /// - Parameter side: as of `decodeImage`.
    /// - Throws: ``DatasetError`` where too many photos are damaged.
    func load(_ image: Int, shrinkingTo side: Int?) throws -> (photo: RGBImage, path: String) {
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
