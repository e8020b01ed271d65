import ImageIO
import TensorCore

/// From 8-bit pixels to what a network takes: (v/255 − mean) / std per channel, channels first.
public struct PixelScaling: Sendable {
    /// The result for each channel and each of the 256 values.
    private let table: [Float]

    /// - Parameters: three numbers each, for pixels in 0…1.
    public init(mean: [Float], std: [Float]) {
        precondition(mean.count == 3 && std.count == 3, "\(mean), \(std)")
        table = (0..<3).flatMap { c in (0..<256).map { (Float($0) / 255 - mean[c]) / std[c] } }
    }

    /// Writes `image` as planes `[3, H, W]`.
    public func write(_ image: RGBImage, to planes: UnsafeMutablePointer<Float>) {
        let count = image.width * image.height
        image.pixels.withUnsafeBufferPointer { pixels in
            table.withUnsafeBufferPointer { table in
                for c in 0..<3 {
                    for i in 0..<count { planes[c * count + i] = table[c * 256 + Int(pixels[3 * i + c])] }
                }
            }
        }
    }

    /// Writes `image` as pixels `[H, W, 3]`.
    public func write(_ image: RGBImage, toPixels values: UnsafeMutablePointer<Float>) {
        image.pixels.withUnsafeBufferPointer { pixels in
            table.withUnsafeBufferPointer { table in
                for i in pixels.indices { values[i] = table[i % 3 * 256 + Int(pixels[i])] }
            }
        }
    }
}

extension RGBImage {
    /// The picture number `index` of `pictures` `[B, H, W, 3]`, whose values are within 0…1.
    public init(_ pictures: Tensor, _ index: Int) {
        let (height, width) = (pictures.shape[1], pictures.shape[2])
        let values = pictures.rows(index..<index + 1).buffer
        self.init(width: width, height: height, pixels: values.map { $0.isNaN ? 0 : UInt8((255 * $0).rounded()) })
    }
}
