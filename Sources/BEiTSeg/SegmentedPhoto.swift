import BEiTImageIO
import BEiTPrediction

/// A photo with the class of each of its pixels.
public struct SegmentedPhoto: Sendable {
    /// Of the photo, in pixels.
    public let width, height: Int
    /// The class of each pixel, as an index of ``classes``: rows from top to bottom, `width · height` in all.
    public let mask: [UInt16]
    /// The probability of each pixel's class, 0…1, in the order of ``mask``.
    public let confidence: [Float]
    /// The model's classes.
    public let classes: [PixelClass]
    private let photo: RGBImage

    init(_ photo: RGBImage, _ result: Segmentation, _ classes: [PixelClass]) {
        (self.photo, self.classes) = (photo, classes)
        (width, height) = (result.width, result.height)
        (mask, confidence) = (result.classes, result.confidence)
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
    /// - Throws: ``BEiTSegError``.
    public func writeMask(to path: String) throws(BEiTSegError) {
        try BEiTSegError.translating { try writePNG(indexMask, to: path) }
    }

    /// Writes the photo with the classes' colours over it as a PNG. The file appears whole or not at all.
    ///
    /// Where a class is black, as a background mostly is, the photo stays as it is.
    ///
    /// - Parameters:
    ///   - opacity: of the colours, 0…1.
    ///   - legend: whether the names of the classes that occur stand on it.
    /// - Throws: ``BEiTSegError``.
    public func writeOverlay(
        to path: String, opacity: Double = 0.5, legend: Bool = true
    ) throws(BEiTSegError) {
        guard (0...1).contains(opacity) else { throw BEiTSegError(.usage, "an opacity of \(opacity) is not 0 to 1") }
        try BEiTSegError.translating {
            try Segmentation(width: width, height: height, classes: mask, confidence: []).write(
                .overlay, to: path,
                classes: classes.map {
                    LabelClass(name: $0.name, color: RGBColor($0.color[0], $0.color[1], $0.color[2]))
                }, photo: photo,
                overlay: OverlayStyle(opacity: opacity, hasLegend: legend))
        }
    }

    private var indexMask: IndexMask {
        let palette = classes.map { RGBColor($0.color[0], $0.color[1], $0.color[2]) }
        return IndexMask(width: width, height: height, values: mask, palette: palette)
    }
}
