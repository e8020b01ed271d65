/// Distinct colours for classes: PASCAL VOC's colour map, whose first colour is black.
package enum ColorMap {
    /// The first `count` colours. Source: `VOClabelcolormap.m` of the VOC development kit: the bits of the class index
    /// are dealt out in turn to red, green and blue, highest first.
    package static func colors(_ count: Int) -> [RGBColor] { (0..<count).map(color) }

    /// The colour of class `index`.
    package static func color(_ index: Int) -> RGBColor {
        var color = RGBColor(0, 0, 0)
        for step in 0..<8 {
            let bits = index >> (3 * step)
            color.red |= UInt8(bits & 1) << (7 - step)
            color.green |= UInt8(bits >> 1 & 1) << (7 - step)
            color.blue |= UInt8(bits >> 2 & 1) << (7 - step)
        }
        return color
    }
}

extension IndexMask {
    /// The mask in its own colours: `palette`, the mask's, or ``ColorMap``'s where they do not reach.
    package func colored(_ palette: [RGBColor]? = nil) -> RGBImage {
        let table = colorTable(palette)
        let pixels = [UInt8](unsafeUninitializedCapacity: 3 * values.count) { pixels, count in
            for (i, value) in values.enumerated() {
                let color = table[Int(value)]
                (pixels[3 * i], pixels[3 * i + 1], pixels[3 * i + 2]) = (color.red, color.green, color.blue)
            }
            count = 3 * values.count
        }
        return RGBImage(width: width, height: height, pixels: pixels)
    }

    /// A colour for each index that occurs.
    private func colorTable(_ palette: [RGBColor]?) -> [RGBColor] {
        let known = palette ?? self.palette ?? []
        return known + ColorMap.colors(max(Int(values.max() ?? 0) + 1, known.count))[known.count...]
    }
}

extension RGBImage {
    /// The photo with `colors` laid over it: `(1 - opacity) · photo + opacity · colour`, rounded.
    ///
    /// - Precondition: both have the same size, and `opacity` is in 0...1.
    package func overlaid(with colors: RGBImage, opacity: Double = 0.5) -> RGBImage {
        precondition(colors.width == width && colors.height == height, "the overlay has another size than the photo")
        precondition((0...1).contains(opacity), "opacity \(opacity) is not in 0...1")
        let weight = Int(opacity * 256 + 0.5)
        var blended = self
        blended.pixels.withUnsafeMutableBufferPointer { photo in
            colors.pixels.withUnsafeBufferPointer { color in
                for i in photo.indices {
                    photo[i] = UInt8(
                        truncatingIfNeeded: (Int(photo[i]) * (256 - weight) + Int(color[i]) * weight + 128) >> 8)
                }
            }
        }
        return blended
    }
}
