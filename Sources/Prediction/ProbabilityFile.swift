import BEiTFiles
import BEiTHDF5
import BEiTImageIO
import BEiTTensorCore

/// The probabilities of a photo's classes: `probabilities`, float16 `[K, H, W]`, with the names of the classes as an
/// attribute.
final class ProbabilityFile: ResultFile {
    private static let dataset = "/probabilities"
    private let file: HDF5Writer
    private let classes: Int
    private let width: Int

    /// Throws `HDF5Error`.
    init(_ path: String, width: Int, height: Int, _ classes: [LabelClass]) throws {
        file = try HDF5Writer(path)
        (self.classes, self.width) = (classes.count, width)
        try file.create(
            Self.dataset, shape: [classes.count, height, width], as: .float16,
            chunk: [1, min(height, PhotoSegmenter.strip), width])
        try file.setAttribute("classes", try JSONText.line(classes.map(\.name)), at: Self.dataset)
    }

    func write(_ strip: SegmentedStrip, _ photo: PictureStrip?) throws {
        guard let values = strip.probabilities?.pointer else { preconditionFailure("a strip without probabilities") }
        for index in 0..<classes {
            let plane = (0..<strip.rows.count * width).map { values[$0 * classes + index] }
            try file.writeBox(Self.dataset, [index..<index + 1, strip.rows, 0..<width], floats: plane)
        }
    }

    func finish() throws { try file.commit() }
}
