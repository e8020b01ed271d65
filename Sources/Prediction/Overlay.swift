import BEiTImageIO

/// How the colours of classes are laid over a photo.
package struct OverlayStyle: Equatable, Sendable {
    /// The colours' share, 0…1.
    package var opacity = 0.5
    /// Whether the names of the classes that occur stand on the picture.
    package var hasLegend = true
    /// Whether only the borders of the classes' regions are drawn.
    package var hasContours = false

    package init(opacity: Double = 0.5, hasLegend: Bool = true, hasContours: Bool = false) {
        (self.opacity, self.hasLegend, self.hasContours) = (opacity, hasLegend, hasContours)
    }
}

/// Lays the colours of classes over a photo, strip by strip. Where a class is black (a background) the photo stays as it
/// is.
struct OverlayPainter {
    private let width: Int
    private var classes: [(name: String, color: RGBColor)]
    /// Of 256, the colours' share.
    private let weight: Int
    private let legend: Legend?
    private var contours: Contours?
    private var counts: ClassCounts
    /// Rows of the picture that are still to come before those that the legend can cover.
    private var clear: Int
    /// Those that it can cover.
    private var held: [UInt8] = []

    /// - Parameters:
    ///   - width, height: of the photo, in pixels.
    ///   - palette: the colour of each class, and of pixels without one.
    init(width: Int, height: Int, classes: [LabelClass], palette: [RGBColor], _ style: OverlayStyle) {
        precondition((0...1).contains(style.opacity), "opacity \(style.opacity) is not in 0...1")
        self.width = width
        self.classes = palette.enumerated().map { ($0 < classes.count ? classes[$0].name : "", $1) }
        weight = Int(style.opacity * 256 + 0.5)
        counts = ClassCounts(of: palette.count)
        let visible = self.classes.count { !$0.color.isBlack }
        legend = style.hasLegend ? Legend(width: width, height: height, classes: visible) : nil
        clear = height - min(height, legend?.rows ?? 0)
        guard style.hasContours else { return }
        contours = Contours(width: width, height: height, none: self.classes.count)
        self.classes.append(("", RGBColor(0, 0, 0)))
    }

    /// The finished rows `[R, G, B]` that the strip completes.
    mutating func add(_ strip: SegmentedStrip, _ photo: PictureStrip) -> [UInt8] {
        if legend != nil { counts.add(strip.classes) }
        let first = 3 * photo.top * width
        let pixels = photo.image.pixels[first..<first + 3 * strip.classes.count]
        guard let ready = contours?.add(strip.classes, pixels) else { return hold(blended(strip.classes, pixels)) }
        return hold(blended(ready.classes, ready.photo[...]))
    }

    /// Keeps the rows that the legend can cover, and returns the others.
    private mutating func hold(_ pixels: [UInt8]) -> [UInt8] {
        guard legend != nil else { return pixels }
        let rows = pixels.count / (3 * width)
        let free = min(clear, rows)
        clear -= free
        held += pixels[(3 * width * free)...]
        return free == rows ? pixels : Array(pixels[..<(3 * width * free)])
    }

    /// The last rows, with the legend: the largest classes first.
    mutating func finish() -> [UInt8] {
        let late = contours?.finish()
        let rest = late.map { hold(blended($0.classes, $0.photo[...])) } ?? []
        let found = counts.pixels.indices.filter { counts.pixels[$0] > 0 && !classes[$0].color.isBlack }
        let order = found.sorted { (-counts.pixels[$0], $0) < (-counts.pixels[$1], $1) }
        legend?.draw(order.map { classes[$0] }, over: &held)
        return rest + held
    }

    private func blended(_ values: [UInt16], _ photo: ArraySlice<UInt8>) -> [UInt8] {
        let share = 256 - weight
        // A class's part of the sum, with a half for rounding; the photo's alone where a class is black.
        let parts = classes.map { class_ -> (share: Int, red: Int, green: Int, blue: Int) in
            let color = class_.color
            guard !color.isBlack else { return (256, 0, 0, 0) }
            return (
                share, Int(color.red) * weight + 128, Int(color.green) * weight + 128, Int(color.blue) * weight + 128
            )
        }
        return [UInt8](unsafeUninitializedCapacity: 3 * values.count) { result, count in
            photo.withUnsafeBufferPointer { photo in
                parts.withUnsafeBufferPointer { parts in
                    for (place, value) in values.enumerated() {
                        let (part, to) = (parts[Int(value)], 3 * place)
                        func blend(_ channel: Int, _ color: Int) -> UInt8 {
                            UInt8(truncatingIfNeeded: (Int(photo[to + channel]) * part.share + color) >> 8)
                        }
                        result[to] = blend(0, part.red)
                        result[to + 1] = blend(1, part.green)
                        result[to + 2] = blend(2, part.blue)
                    }
                }
            }
            count = 3 * values.count
        }
    }
}

extension RGBColor {
    fileprivate var isBlack: Bool { self == RGBColor(0, 0, 0) }
}
