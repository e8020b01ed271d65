import BEiTFiles
import BEiTImageIO
import Synchronization

/// Decodes the photos that a run learns from, on any thread.
///
/// A photo whose header was in order may turn out damaged in the middle of a run; the next one then takes its place.
struct PhotoLoader: Sendable {
    let photos: any PhotoSource
    private let damage: DamagedPhotos

    /// - Parameter warn: hears of each damaged photo once, on any thread.
    init(_ photos: any PhotoSource, warn: @escaping @Sendable (String) -> Void) {
        self.photos = photos
        damage = DamagedPhotos(of: photos.count, warn: warn)
    }

    /// Photo number `image`, or the first behind it that can be decoded.
    ///
    /// - Parameter side: as of `decodeImage`.
    /// - Returns: also the number of the photo that was taken.
    /// - Throws: ``DatasetError`` where too many photos are damaged, and what is no fault of a photo.
    func load(_ image: Int, shrinkingTo side: Int?) throws -> (photo: RGBImage, index: Int) {
        try damage.firstSound(from: image) { (try photos.decode($0, shrinkingTo: side), $0) }
    }
}

/// The photos of a list that could not be decoded, noted from several threads.
final class DamagedPhotos: Sendable {
    private let errors = Mutex<[Int: String]>([:])
    private let count: Int
    private let warn: @Sendable (String) -> Void

    init(of count: Int, warn: @escaping @Sendable (String) -> Void) { (self.count, self.warn) = (count, warn) }

    /// What `read` makes of photo number `image`, or of the first behind it that is sound: a function of the files alone,
    /// so that a run that is resumed sees the same.
    ///
    /// - Throws: ``DatasetError`` where too many photos are damaged, and what is no fault of a photo: a failing disk, too
    ///   many open files.
    func firstSound<Result>(from image: Int, _ read: (Int) throws -> Result) throws -> Result {
        var image = image
        while true {
            do { return try read(image) } catch  where isDamage(error) {
                try note(image, "\(error)")
                image = (image + 1) % count
            }
        }
    }

    private func note(_ image: Int, _ error: String) throws {
        let (isNew, all) = errors.withLock { errors in
            (errors.updateValue(error, forKey: image) == nil, errors.sorted { $0.key < $1.key }.map(\.value))
        }
        if isNew { warn("left out: \(error)") }
        guard all.count < count else { throw DatasetError(.invalid, path: "data", reason: "no photo is readable") }
        try PhotoDataset.check(all, of: count)
    }
}

/// Whether an error is that of one photo: its contents, or that it has gone. Others (a failing disk, too many open files)
/// would meet every photo.
package func isDamage(_ error: any Error) -> Bool {
    error is ImageError || (error as? FileError)?.kind == .missing
}
