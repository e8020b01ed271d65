import BEiTFiles
import Foundation
import BEiTImageIO

/// Segments an image strip by strip into its files.
struct StripPrediction {
    private let network: WindowNetwork
    private let options: InferenceOptions
    private let writer: PredictionWriter

    init(_ network: WindowNetwork, _ options: InferenceOptions, _ writer: PredictionWriter) {
        (self.network, self.options, self.writer) = (network, options, writer)
    }

    /// Whether `error` lies in the image, and the run can go on with the others.
    static func isAbout(_ image: InputImage, _ error: any Error) -> Bool {
        error is ImageError || (error as? FileError)?.path == image.path
    }

    /// - Returns: nil where a signal came before the end; then no file has been written.
    /// - Throws: `FileError`, `ImageError`.
    func predict(_ image: InputImage) throws -> PredictionRecord? {
        let start = ContinuousClock.now
        let rows = try ImageRows(image.path, limits: ImageLimits(maximumPixels: options.maximumPixels))
        let segmenter = StripSegmenter(network: network, options: options)
        var counts = ClassCounts(of: writer.classes.count)
        if let axes = segmenter.axes(width: rows.width, height: rows.height) {
            let files = try StripWriter(writer, image.stem, width: rows.width, height: rows.height)
            let queue = BackgroundQueue(places: 2)
            let isDone = try segmenter.segment(
                rows, axes.rows, axes.columns, confidence: writer.formats.contains(.confidence)
            ) { strip in
                counts.add(strip.classes)
                try queue.submit { try files.write(strip) }
            }
            try queue.finish()
            guard isDone else { return nil }
            try files.finish()
        } else {
            counts.add(try predictWhole(image, rows))
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        return PredictionRecord(image.path, rows.width, rows.height, counts, writer.classes, seconds: seconds)
    }

    /// An image smaller than a window.
    private func predictWhole(_ image: InputImage, _ rows: ImageRows) throws -> [UInt16] {
        let photo = RGBImage(width: rows.width, height: rows.height, pixels: try rows.read(rows.height))
        let result = PhotoSegmenter(network, options).segment(
            PreparedPhoto(photo, network.size, options), confidence: writer.formats.contains(.confidence))
        try writer.write(result, photo: photo, stem: image.stem)
        return result.classes
    }
}
