import BEiTFiles
import BEiTImageIO
import Foundation

/// What became of an image.
package struct PredictionRecord: Codable, Equatable, Sendable {
    package enum Status: String, Codable, Sendable {
        case done, failed
    }

    /// As it was opened.
    package var path: String
    /// The page that was asked for, counted from 1; nil where nobody named one.
    package var page: Int?
    package var status: Status
    /// Of the image, upright, in pixels.
    package var width, height: Int?
    /// Spent on its segmentation, without reading and writing.
    package var seconds: Double?
    /// Pixels of each class that occurs, by name.
    package var pixels: [String: Int]?
    /// The mean probability of the pixels' classes, 0…1, over every eighth row.
    package var meanConfidence: Double?
    /// Over the same rows: the mean entropy of the probabilities, as a share of the largest that is possible, 0…1.
    package var entropy: Double?
    /// The share of pixels whose class has a probability below a half.
    package var doubtful: Double?
    /// The share of pixels that the mirror image or another size shows as another class; nil where all is seen once.
    package var disagreement: Double?
    /// Where windows overlap, the share of places that one shows as another class than those before it; nil where there is
    /// one window.
    package var windowDisagreement: Double?
    /// Of each class that occurs, where that was asked for.
    package var areas: [ClassArea]?
    /// Square metres of a pixel, where that is known.
    package var pixelArea: Double?
    /// The results, as seen from the output folder.
    package var files: [String]?
    package var photo: KnownFile?
    /// Why it failed.
    package var error: String?

    private enum CodingKeys: String, CodingKey {
        case path, page, status, width, height, seconds, pixels, areas, entropy, doubtful, disagreement, files, photo,
            error
        case meanConfidence = "mean_confidence"
        case windowDisagreement = "window_disagreement"
        case pixelArea = "pixel_square_metres"
    }

    /// An image that failed.
    init(_ image: InputImage, failed error: String) {
        (path, page, status, self.error) = (image.path, image.page, .failed, error)
    }

    /// What people call the image: its path, and behind it the page where one was asked for.
    package var name: String { path + (page.map { "#page=\($0)" } ?? "") }

    /// An image that is done.
    init(
        _ path: String, _ width: Int, _ height: Int, _ counts: ClassCounts, _ classes: [LabelClass], photo: KnownFile?,
        files: [String], seconds: Double? = nil
    ) {
        (self.path, status) = (path, .done)
        (self.width, self.height, self.seconds) = (width, height, seconds)
        (self.photo, self.files) = (photo, files)
        var pixels: [String: Int] = [:]
        for (info, count) in zip(classes, counts.pixels) where count > 0 { pixels[info.name, default: 0] += count }
        self.pixels = pixels
    }

    /// - Parameters:
    ///   - classes: of the model.
    ///   - views: how often every pixel was seen.
    mutating func note(_ certainty: Certainty, classes: Int, views: Int) {
        meanConfidence = certainty.mean(certainty.sum)
        entropy = certainty.mean(classes > 1 ? certainty.entropy / log(Double(classes)) : 0)
        doubtful = certainty.mean(Double(certainty.doubtful))
        if views > 1 { disagreement = certainty.mean(Double(certainty.disagreeing)) }
        if certainty.overlaps > 0 {
            windowDisagreement = Double(certainty.overlapsDisagreeing) / Double(certainty.overlaps)
        }
    }

    /// What makes it impossible, in half a line; nil if nothing does.
    var problem: String? {
        if path.isEmpty { return "an image without a path" }
        if let page, page < 1 { return "a page \(page) (\(path.shown))" }
        if status == .failed { return nil }
        guard let width, let height, width > 0, height > 0, width <= 1 << 31, height <= 1 << 31 else {
            return "an image without a size (\(path.shown))"
        }
        let counts = pixels ?? [:]
        if !counts.values.allSatisfy({ (0...width * height).contains($0) }) {
            return "pixels that are no part of the image (\(path.shown))"
        }
        let areas = areas ?? []
        guard areas.allSatisfy({ 0...width * height ~= $0.pixels && $0.index >= 0 && 0...$0.pixels ~= $0.regions })
        else { return "areas that are no part of the image (\(path.shown))" }
        if let pixelArea, !(pixelArea > 0) { return "a pixel of \(pixelArea) square metres (\(path.shown))" }
        if let seconds, !(seconds >= 0) { return "\(seconds) seconds (\(path.shown))" }
        if let meanConfidence, !(0...1.001).contains(meanConfidence) {
            return "a confidence of \(meanConfidence) (\(path.shown))"
        }
        return nil
    }
}

/// Pixels of each class.
struct ClassCounts {
    private(set) var pixels: [Int]

    /// - Precondition: `values` are below `classes`.
    init(_ values: [UInt16] = [], of classes: Int) {
        pixels = [Int](repeating: 0, count: classes)
        add(values)
    }

    mutating func add(_ values: [UInt16]) {
        pixels.withUnsafeMutableBufferPointer { pixels in for index in values { pixels[Int(index)] += 1 } }
    }
}
