import CBEiTImageShim

/// A picture of 8-bit RGB pixels.
package struct RGBImage: Sendable, Equatable, CustomStringConvertible {
    package let width, height: Int
    /// Rows from top to bottom, `R G B` per pixel: `3 · width · height` bytes.
    package var pixels: [UInt8]

    /// - Precondition: `pixels` has `3 · width · height` bytes.
    package init(width: Int, height: Int, pixels: [UInt8]) {
        precondition(pixels.count == 3 * width * height, "\(pixels.count) bytes for \(width) × \(height) RGB pixels")
        (self.width, self.height, self.pixels) = (width, height, pixels)
    }

    package var description: String { "RGB image of \(width) × \(height) pixels" }

    /// The part of `width` × `height` pixels whose top left corner is at (`x`, `y`).
    ///
    /// - Precondition: it lies inside the image.
    package func cropped(x: Int, y: Int, width: Int, height: Int) -> RGBImage {
        precondition(x >= 0 && y >= 0 && x + width <= self.width && y + height <= self.height, "crop outside the image")
        return gathered(from: y * self.width + x, stepX: 1, stepY: self.width, width: width, height: height)
    }

    /// The mirror image, left and right exchanged.
    package func flippedHorizontally() -> RGBImage {
        gathered(from: width - 1, stepX: -1, stepY: width, width: width, height: height)
    }

    /// The image whose pixel (x, y) is this one's pixel number `origin + x · stepX + y · stepY`.
    func gathered(from origin: Int, stepX: Int, stepY: Int, width: Int, height: Int) -> RGBImage {
        guard width > 0 && height > 0 else { return RGBImage(width: width, height: height, pixels: []) }
        let gathered = [UInt8](unsafeUninitializedCapacity: 3 * width * height) { target, count in
            pixels.withUnsafeBufferPointer { source in
                beitseg_gather_rgb(
                    source.baseAddress! + 3 * origin, stepX, stepY, target.baseAddress!, width, height)
            }
            count = 3 * width * height
        }
        return RGBImage(width: width, height: height, pixels: gathered)
    }
}

/// An opaque colour.
package struct RGBColor: Sendable, Hashable {
    package var red, green, blue: UInt8

    package init(_ red: UInt8, _ green: UInt8, _ blue: UInt8) {
        (self.red, self.green, self.blue) = (red, green, blue)
    }
}
