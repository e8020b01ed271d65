import BEiTImageIO
import BEiTTensorCore

/// From 8-bit pixels to what a network takes: (v/255 − mean) / std per channel, channels first.
package struct PixelScaling: Sendable {
    /// The result for each channel and each of the 256 values.
    private let table: [Float]

    /// - Parameters: three numbers each, for pixels in 0…1.
    package init(mean: [Float], std: [Float]) {
        precondition(mean.count == 3 && std.count == 3, "\(mean), \(std)")
        table = (0..<3).flatMap { c in (0..<256).map { (Float($0) / 255 - mean[c]) / std[c] } }
    }

    /// Writes `image` as planes `[3, height, width]`; where it is smaller, at their top left, and the rest is 0, the mean
    /// colour.
    ///
    /// - Precondition: the image is not larger.
    package func write(_ image: RGBImage, to planes: UnsafeMutablePointer<Float>, height: Int, width: Int) {
        precondition(image.width <= width && image.height <= height, "\(image) for \(width) × \(height)")
        if image.width < width || image.height < height { planes.update(repeating: 0, count: 3 * height * width) }
        image.pixels.withUnsafeBufferPointer { pixels in
            table.withUnsafeBufferPointer { table in
                for c in 0..<3 {
                    for y in 0..<image.height {
                        let (row, source) = (planes + (c * height + y) * width, 3 * y * image.width + c)
                        for x in 0..<image.width { row[x] = table[c * 256 + Int(pixels[source + 3 * x])] }
                    }
                }
            }
        }
    }

    /// Writes the part of `image` of `width` × `height` pixels whose top left corner is at (`x`, `y`) as planes
    /// `[3, height, width]`, left and right exchanged where it is mirrored.
    ///
    /// - Precondition: it lies inside the image.
    package func write(
        _ image: RGBImage, x: Int, y: Int, width: Int, height: Int, isMirrored: Bool = false,
        to planes: UnsafeMutablePointer<Float>
    ) {
        precondition(x >= 0 && y >= 0 && x + width <= image.width && y + height <= image.height, "outside \(image)")
        image.pixels.withUnsafeBufferPointer { pixels in
            table.withUnsafeBufferPointer { table in
                for c in 0..<3 {
                    for line in 0..<height {
                        let row = planes + (c * height + line) * width
                        let source = 3 * ((y + line) * image.width + x) + c
                        if isMirrored {
                            for i in 0..<width { row[width - 1 - i] = table[c * 256 + Int(pixels[source + 3 * i])] }
                        } else {
                            for i in 0..<width { row[i] = table[c * 256 + Int(pixels[source + 3 * i])] }
                        }
                    }
                }
            }
        }
    }

    /// Writes `image` as planes `[3, H, W]`.
    package func write(_ image: RGBImage, to planes: UnsafeMutablePointer<Float>) {
        write(image, to: planes, height: image.height, width: image.width)
    }

    /// Writes `image` as pixels `[H, W, 3]`.
    package func write(_ image: RGBImage, toPixels values: UnsafeMutablePointer<Float>) {
        image.pixels.withUnsafeBufferPointer { pixels in
            table.withUnsafeBufferPointer { table in
                for i in pixels.indices { values[i] = table[i % 3 * 256 + Int(pixels[i])] }
            }
        }
    }
}

extension RGBImage {
    /// The picture number `index` of `pictures` `[B, H, W, 3]`, whose values are within 0…1.
    package init(_ pictures: Tensor, _ index: Int) {
        let (height, width) = (pictures.shape[1], pictures.shape[2])
        let values = pictures.rows(index..<index + 1).buffer
        self.init(width: width, height: height, pixels: values.map { $0.isNaN ? 0 : UInt8((255 * $0).rounded()) })
    }
}
