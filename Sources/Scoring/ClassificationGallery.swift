import BEiTImageIO
import Foundation

/// The photos that a report shows, chosen while they are scored: the mistakes and the hits that the model is surest of.
/// Only these are kept, small and encoded.
package final class ClassificationGallery {
    package struct Entry: Codable, Sendable {
        /// Its place among the photos.
        fileprivate let number: Int
        package let image: ClassificationScore.Image
        package let picture: Picture
    }

    /// The longer side of the pictures, in pixels.
    static let side = 168
    static let places = 12

    private var mistakes = Ranking<Entry>(places: places)
    private var hits = Ranking<Entry>(places: places)

    package init() {}

    /// Keeps a photo if it is one to show among those that were seen here.
    ///
    /// - Parameter number: its place among the photos: of equal ones the first is shown, in whatever order they come.
    /// - Returns: what is to be told to ``take(_:)`` of the processes that share the work; nil for one that is not to show.
    func offer(_ number: Int, _ image: ClassificationScore.Image, _ small: RGBImage) throws -> Entry? {
        let ranking = image.isHit ? hits : mistakes
        guard ranking.admits(Double(image.confidence), number) else { return nil }
        let entry = Entry(number: number, image: image, picture: try Picture(jpeg: small))
        take(entry)
        return entry
    }

    /// Hears of a photo that was scored here or elsewhere.
    func take(_ entry: Entry) {
        let rank = Double(entry.image.confidence)
        if entry.image.isHit {
            hits.insert(entry, rank, entry.number)
        } else {
            mistakes.insert(entry, rank, entry.number)
        }
    }

    /// The most certain first.
    package var worst: [Entry] { mistakes.entries }
    package var best: [Entry] { hits.entries }
}
