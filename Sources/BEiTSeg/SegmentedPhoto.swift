import BEiTFiles
import BEiTImageIO
import BEiTPrediction

/// A photo with the class of each of its pixels.
public struct SegmentedPhoto: Sendable {
    /// Of the photo, in pixels.
    public var width: Int { result.width }
    public var height: Int { result.height }
    /// The class of each pixel, as an index of ``classes``: rows from top to bottom, `width · height` in all.
    public var mask: [UInt16] { result.classes }
    /// The probability of each pixel's class, 0…1, in the order of ``mask``.
    public var confidence: [Float] { result.confidence }
    /// The model's classes.
    public let classes: [PixelClass]
    private let photo: RGBImage
    private let result: Segmentation
    /// The files that it was made of: nothing is written over them.
    private let sources: [String]

    init(_ photo: RGBImage, _ result: Segmentation, _ classes: [PixelClass], sources: [String]) {
        (self.photo, self.result, self.classes, self.sources) = (photo, result, classes, sources)
    }

    /// A class that occurs, and how much of the photo it covers.
    public struct Area: Equatable, Sendable {
        /// The class's index in ``SegmentedPhoto/classes``.
        public let index: Int
        public let name: String
        public let pixels: Int
        /// Of the photo, 0…1.
        public let share: Double
    }

    /// The classes that occur, the largest first.
    public var areas: [Area] {
        var pixels = [Int](repeating: 0, count: classes.count)
        for index in mask { pixels[Int(index)] += 1 }
        return classes.indices.filter { pixels[$0] > 0 }.sorted { (-pixels[$0], $0) < (-pixels[$1], $1) }.map {
            Area(
                index: $0, name: classes[$0].name, pixels: pixels[$0],
                share: Double(pixels[$0]) / Double(width * height))
        }
    }

    /// The class of the pixel in column `x` and row `y`, from the top left.
    /// - Precondition: the pixel lies in the photo.
    public subscript(x: Int, y: Int) -> PixelClass {
        precondition((0..<width).contains(x) && (0..<height).contains(y), "(\(x), \(y)) in \(width) × \(height)")
        return classes[Int(mask[y * width + x])]
    }

    /// Writes the mask as a PNG whose values are class indices: with the classes' colours as its palette, or 16-bit grey
    /// where there are more than 256 classes. The file appears whole or not at all.
    ///
    /// - Parameter path: the file to write.
    /// - Throws: ``BEiTSegError``, also where the path leads to the photo or the model.
    public func writeMask(to path: String) throws(BEiTSegError) {
        try BEiTSegError.translating {
            try OutputCheck.check(write: path, reads: sources)
            try result.write(.index, to: path, classes: labelClasses)
        }
    }

    /// Writes the photo with the classes' colours over it as a PNG; where a class is black, the photo stays as it is. The
    /// file appears whole or not at all.
    ///
    /// - Parameters:
    ///   - path: the file to write.
    ///   - opacity: of the colours, 0…1.
    ///   - hasLegend: whether the names of the classes that occur stand on the picture.
    /// - Throws: ``BEiTSegError``, also where the path leads to the photo or the model.
    public func writeOverlay(
        to path: String, opacity: Double = 0.5, hasLegend: Bool = true
    ) throws(BEiTSegError) {
        guard (0...1).contains(opacity) else { throw BEiTSegError(.usage, "an opacity of \(opacity) is not 0 to 1") }
        try BEiTSegError.translating {
            try OutputCheck.check(write: path, reads: sources)
            try result.write(
                .overlay, to: path, classes: labelClasses, photo: photo,
                overlay: OverlayStyle(opacity: opacity, hasLegend: hasLegend))
        }
    }

    private var labelClasses: [LabelClass] {
        classes.map { LabelClass(name: $0.name, color: RGBColor($0.color[0], $0.color[1], $0.color[2])) }
    }
}
