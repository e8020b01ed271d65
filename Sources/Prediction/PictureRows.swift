import BEiTDatasets
import BEiTImageIO

/// Some rows of a picture: those of `image` from row `top` on.
struct PictureStrip {
    var image: RGBImage
    var top: Int
}

/// A picture that is asked for rows from top to bottom; what lies above those asked for last may be forgotten.
protocol PictureRows: AnyObject {
    /// - Throws: `FileError` and `ImageError` where they are read from a file.
    func strip(_ rows: Range<Int>) throws -> PictureStrip
}

/// A picture in memory.
final class WholePicture: PictureRows {
    private let image: RGBImage

    init(_ image: RGBImage) { self.image = image }

    func strip(_ rows: Range<Int>) -> PictureStrip { PictureStrip(image: image, top: rows.lowerBound) }
}

/// Pictures of an image file at several sizes, made row by row: it is read once, by a thread of its own, and only the rows
/// of each picture that are not yet used are in memory.
final class StreamedPictures {
    private let chunks: Prefetcher<[[UInt8]]>
    private var bands: [Band]

    /// The rows of a picture that have come and are still needed.
    private struct Band {
        let width: Int
        var pixels: [UInt8] = []
        var first = 0

        var end: Int { first + pixels.count / (3 * width) }
    }

    /// - Parameters:
    ///   - image: not used by anyone else.
    ///   - sizes: width and height of each picture.
    init(_ image: ImageRows, _ sizes: [(width: Int, height: Int)], filter: ResizeFilter) {
        bands = sizes.map { Band(width: $0.width) }
        // Some megabytes of the image at once.
        let count = min(256, max(8, (4 << 20) / (3 * image.width)))
        nonisolated(unsafe) let image = image  // of the one loader alone, as are the resizers
        nonisolated(unsafe) var resizers = sizes.map {
            RowResizer(
                width: image.width, height: image.remaining, toWidth: $0.width, height: $0.height, filter: filter)
        }
        chunks = Prefetcher(0..<(image.remaining + count - 1) / count, ahead: 2, threads: 1) { _ in
            let rows = try image.read(min(count, image.remaining))
            return resizers.indices.map { resizers[$0].add(rows) }
        }
    }

    var pictures: [any PictureRows] { bands.indices.map { Picture(self, $0) } }

    private final class Picture: PictureRows {
        private let source: StreamedPictures
        private let index: Int

        init(_ source: StreamedPictures, _ index: Int) { (self.source, self.index) = (source, index) }

        func strip(_ rows: Range<Int>) throws -> PictureStrip { try source.strip(rows, of: index) }
    }

    private func strip(_ rows: Range<Int>, of index: Int) throws -> PictureStrip {
        precondition(rows.lowerBound >= bands[index].first, "rows \(rows) are gone")
        while bands[index].end < rows.upperBound, let chunk = try chunks.next() {
            for (place, rows) in chunk.enumerated() { bands[place].pixels += rows }
        }
        precondition(bands[index].end >= rows.upperBound, "rows \(rows) of \(bands[index].end)")
        let rowBytes = 3 * bands[index].width
        bands[index].pixels.removeFirst((rows.lowerBound - bands[index].first) * rowBytes)
        bands[index].first = rows.lowerBound
        let image = RGBImage(
            width: bands[index].width, height: bands[index].pixels.count / rowBytes, pixels: bands[index].pixels)
        return PictureStrip(image: image, top: 0)
    }
}

/// The rows of an image file as they are.
final class StoredRows: PictureRows {
    private let image: ImageRows
    private var next = 0

    /// - Parameter image: not used by anyone else.
    init(_ image: ImageRows) { self.image = image }

    /// - Precondition: the rows follow those asked for last.
    func strip(_ rows: Range<Int>) throws -> PictureStrip {
        precondition(rows.lowerBound == next, "rows \(rows) instead of \(next)")
        next = rows.upperBound
        let pixels = try image.read(rows.count)
        return PictureStrip(image: RGBImage(width: image.width, height: rows.count, pixels: pixels), top: 0)
    }
}
