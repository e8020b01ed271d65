/// A class index per pixel.
package struct IndexMask: Sendable, Equatable {
    package let width, height: Int
    /// Rows from top to bottom: `width · height` indices.
    package var values: [UInt16]
    /// The colour of each index, where the mask has a palette. Indices beyond it (255 for "ignore") are allowed.
    package var palette: [RGBColor]?

    /// - Precondition: there are `width · height` values.
    package init(width: Int, height: Int, values: [UInt16], palette: [RGBColor]? = nil) {
        precondition(values.count == width * height, "\(values.count) values for \(width) × \(height) pixels")
        (self.width, self.height, self.values, self.palette) = (width, height, values, palette)
    }

    /// The part of `width` × `height` pixels whose top left corner is at (`x`, `y`).
    ///
    /// - Precondition: it lies inside the mask.
    package func cropped(x: Int, y: Int, width: Int, height: Int) -> IndexMask {
        precondition(x >= 0 && y >= 0 && x + width <= self.width && y + height <= self.height, "crop outside the mask")
        var part: [UInt16] = []
        part.reserveCapacity(width * height)
        for row in y..<y + height { part += values[row * self.width + x..<row * self.width + x + width] }
        return IndexMask(width: width, height: height, values: part, palette: palette)
    }

    /// The mirror image, left and right exchanged.
    package func flippedHorizontally() -> IndexMask {
        var mirrored = self
        mirrored.values.withUnsafeMutableBufferPointer { values in
            for row in 0..<height { values[row * width..<(row + 1) * width].reverse() }
        }
        return mirrored
    }
}
