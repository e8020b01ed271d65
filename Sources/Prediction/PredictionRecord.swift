import BEiTFiles
import BEiTImageIO

/// What became of an image.
package struct PredictionRecord: Codable, Equatable, Sendable {
    package enum Status: String, Codable, Sendable {
        case done, failed
    }

    /// A photo as it was when it was read; by it a photo is known again, however its path is spelled.
    package struct Photo: Codable, Equatable, Sendable {
        /// Without links, "." and "..".
        package var file: String
        package var bytes: Int
        /// The time of its last change, in nanoseconds since 1970.
        package var modified: Int

        /// Throws `FileError` where the photo is not there, or is no file.
        init(_ path: String) throws(FileError) {
            let status = try FileSystem.requireStatus(of: path)
            guard status.kind == .file else {
                throw FileError(
                    .notAFile, path: path,
                    reason: status.kind == .folder
                        ? "it is a folder, not an image" : "it is no file, but a device or a pipe")
            }
            (file, bytes, modified) = (FileSystem.realPath(path) ?? path, status.size, status.modified)
        }
    }

    /// As it was opened.
    package var path: String
    package var status: Status
    /// Of the image, upright, in pixels.
    package var width, height: Int?
    /// Spent on its segmentation, without reading and writing.
    package var seconds: Double?
    /// Pixels of each class that occurs, by name.
    package var pixels: [String: Int]?
    /// The mean probability of the pixels' classes, 0…1, over every eighth row.
    package var meanConfidence: Double?
    /// The results, as seen from the output folder.
    package var files: [String]?
    package var photo: Photo?
    /// Why it failed.
    package var error: String?

    private enum CodingKeys: String, CodingKey {
        case path, status, width, height, seconds, pixels, files, photo, error
        case meanConfidence = "mean_confidence"
    }

    /// An image that failed.
    init(_ path: String, failed error: String) { (self.path, status, self.error) = (path, .failed, error) }

    /// An image that is done.
    init(
        _ path: String, _ width: Int, _ height: Int, _ counts: ClassCounts, _ classes: [LabelClass], photo: Photo?,
        files: [String], seconds: Double? = nil, meanConfidence: Double? = nil
    ) {
        (self.path, status) = (path, .done)
        (self.width, self.height, self.seconds, self.meanConfidence) = (width, height, seconds, meanConfidence)
        (self.photo, self.files) = (photo, files)
        var pixels: [String: Int] = [:]
        for (info, count) in zip(classes, counts.pixels) where count > 0 { pixels[info.name, default: 0] += count }
        self.pixels = pixels
    }

    /// What makes it impossible, in half a line; nil if nothing does.
    var problem: String? {
        if path.isEmpty { return "an image without a path" }
        if status == .failed { return nil }
        guard let width, let height, width > 0, height > 0, width <= 1 << 31, height <= 1 << 31 else {
            return "an image without a size (\(path.shown))"
        }
        let counts = pixels ?? [:]
        if !counts.values.allSatisfy({ (0...width * height).contains($0) }) {
            return "pixels that are no part of the image (\(path.shown))"
        }
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
