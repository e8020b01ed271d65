import BEiTDatasets
import BEiTImageIO
import BEiTMetrics
import BEiTPrediction
import Foundation

/// The images that a report shows, chosen while they are scored: whatever the number of images, only those that are among
/// the best, the worst, or those on which two models differ most, are kept, and these small and encoded.
package final class ScoreGallery {
    /// An image with its scores: photo (where there is one), truth, and a prediction for each model.
    package struct Entry: Codable, Sendable {
        /// Its place among the images.
        fileprivate let number: Int
        package let pair: LabelledImage
        package let confusions: [ImageConfusion]
        package let pictures: [Picture]
        /// The photo lies under the masks.
        package let hasPhoto: Bool
    }

    /// The longer side of the pictures, in pixels.
    static let side = 360
    static let places = 6

    private var palettes: [[RGBColor]] = []
    private var count = 0
    private var lowest = Ranking<Entry>(places: places)
    private var highest = Ranking<Entry>(places: places)
    private var furthest = Ranking<Entry>(places: places)

    package init() {}

    /// - Parameter palettes: for each model the colours of its classes; ``ColorMap``'s beyond.
    func begin(_ palettes: [[RGBColor]]) { self.palettes = palettes }

    /// Keeps the image if it is one to show among those that were seen here. Images of which no pixel counts are not.
    ///
    /// - Parameter number: its place among the images: of equal ones the first is shown, in whatever order they come.
    func offer(_ number: Int, _ pair: LabelledImage, _ image: ScoredImage) throws {
        guard let score = image.confusions[0].meanIoU else { return }
        let isNeeded = lowest.admits(-score, number) || highest.admits(score, number)
        guard isNeeded || Self.difference(image.confusions).map({ furthest.admits($0, number) }) == true else { return }
        let entry = Entry(
            number: number, pair: pair, confusions: image.confusions, pictures: try pictures(image),
            hasPhoto: image.photo != nil)
        insert(entry, score)
    }

    /// What is to be told to ``take(_:_:)`` of the processes that share the work; nil for an image that is not to show.
    func entry(_ number: Int) -> Entry? {
        (lowest.entries + highest.entries + furthest.entries).first { $0.number == number }
    }

    /// Hears of an image that was scored here or elsewhere.
    func take(_ confusions: [ImageConfusion], _ entry: Entry?) {
        guard let score = confusions[0].meanIoU else { return }
        count += 1
        if let entry { insert(entry, score) }
    }

    private func insert(_ entry: Entry, _ score: Double) {
        lowest.insert(entry, -score, entry.number)
        highest.insert(entry, score, entry.number)
        if let difference = Self.difference(entry.confusions) { furthest.insert(entry, difference, entry.number) }
    }

    /// Between the scores of two models; nil where there is none.
    private static func difference(_ confusions: [ImageConfusion]) -> Double? {
        guard confusions.count > 1, let one = confusions[0].meanIoU, let other = confusions[1].meanIoU, one != other
        else { return nil }
        return abs(other - one)
    }

    /// The worst first. Where there are few images none is shown both here and in ``best``.
    package var worst: [Entry] {
        let best = Set(best.map(\.pair.image))
        return lowest.entries.filter { !best.contains($0.pair.image) }
    }

    /// The best first.
    package var best: [Entry] { Array(highest.entries.prefix((count + 1) / 2)) }

    /// Those on which the models' scores differ most.
    package var apart: [Entry] { furthest.entries }

    private func pictures(_ image: ScoredImage) throws -> [Picture] {
        let masks = [(image.labels[0], palettes[0])] + zip(image.predictions, palettes)
        let painted = masks.map { mask, palette in mask.shrunk(to: Self.side).painted(palette) }
        // Flat colours are smaller, and sharper, as PNG.
        guard let photo = image.photo else { return try painted.map { try Picture(png: $0) } }
        return try ([photo] + painted.map { photo.overlaid(with: $0, opacity: 0.55) }).map { try Picture(jpeg: $0) }
    }
}

/// A few entries, those of the highest rank first; of equal ones that of the lowest number. Each number counts once.
struct Ranking<Entry> {
    private let places: Int
    private var ranked: [(rank: Double, number: Int, entry: Entry)] = []
    var entries: [Entry] { ranked.map(\.entry) }

    package init(places: Int) { self.places = places }

    func admits(_ rank: Double, _ number: Int) -> Bool {
        ranked.count < places || ranked.last.map { Self.precedes((rank, number), ($0.rank, $0.number)) } == true
    }

    private static func precedes(_ one: (rank: Double, number: Int), _ other: (rank: Double, number: Int)) -> Bool {
        (-one.rank, one.number) < (-other.rank, other.number)
    }

    mutating func insert(_ entry: Entry, _ rank: Double, _ number: Int) {
        guard admits(rank, number), !ranked.contains(where: { $0.number == number }) else { return }
        let place = ranked.firstIndex { Self.precedes((rank, number), ($0.rank, $0.number)) }
        ranked.insert((rank, number, entry), at: place ?? ranked.count)
        if ranked.count > places { ranked.removeLast() }
    }
}

extension IndexMask {
    /// The mask in the colours of `palette`, void hatched in greys.
    func painted(_ palette: [RGBColor]) -> RGBImage {
        var classes = self
        for place in values.indices where values[place] == LabelMap.void { classes.values[place] = 0 }
        var image = classes.colored(palette)
        for place in values.indices where values[place] == LabelMap.void {
            let isLight = (place % width + place / width) / 4 % 2 == 0
            for channel in 0..<3 { image.pixels[3 * place + channel] = isLight ? 214 : 120 }
        }
        return image
    }
}

/// An encoded picture for a page.
package struct Picture: Codable, Sendable {
    package let width, height: Int
    /// For an `img`'s `src`.
    package let uri: String

    package init(jpeg image: RGBImage) throws { self.init(image, "jpeg", try encodeJPEG(image)) }

    package init(png image: RGBImage) throws { self.init(image, "png", try encodePNG(image, compression: 9)) }

    private init(_ image: RGBImage, _ type: String, _ bytes: [UInt8]) {
        (width, height) = (image.width, image.height)
        uri = "data:image/\(type);base64," + Data(bytes).base64EncodedString()
    }
}
