import BEiTImageIO
import Foundation

/// The photos that a report shows, chosen while they are scored: the mistakes and the hits that the model is surest of.
/// Only these are kept, small and encoded.
package final class ClassificationGallery {
    package struct Entry {
        package let image: ClassificationScore.Image
        package let picture: Picture
    }

    /// The longer side of the pictures, in pixels.
    static let side = 168
    static let places = 12

    private var mistakes = Ranking<Entry>(places: places)
    private var hits = Ranking<Entry>(places: places)

    package init() {}

    func offer(_ image: ClassificationScore.Image, _ small: RGBImage) throws {
        let isHit = image.rank == 0
        let rank = Double(image.confidence)
        guard isHit ? hits.admits(rank) : mistakes.admits(rank) else { return }
        let entry = Entry(image: image, picture: try Picture(jpeg: small))
        if isHit { hits.insert(entry, rank) } else { mistakes.insert(entry, rank) }
    }

    /// The most certain first.
    package var worst: [Entry] { mistakes.entries }
    package var best: [Entry] { hits.entries }
}
