import Foundation

/// Where a pixel of a new image comes from: (a·x + b·y + c, d·x + e·y + f), from pixel centres, in pixels.
package struct AffineMap: Equatable, Sendable {
    package var a, b, c, d, e, f: Double

    package init(_ a: Double, _ b: Double, _ c: Double, _ d: Double, _ e: Double, _ f: Double) {
        (self.a, self.b, self.c, self.d, self.e, self.f) = (a, b, c, d, e, f)
    }

    /// Counter-clockwise by `degrees` about the middle of an image, as Pillow's `Image.rotate`.
    package static func rotation(degrees: Double, width: Int, height: Int) -> AffineMap {
        let angle = -degrees * .pi / 180
        func rounded(_ value: Double) -> Double { (value * 1e15).rounded() / 1e15 }
        let (x, y) = (Double(width) / 2, Double(height) / 2)
        var result = AffineMap(
            rounded(cos(angle)), rounded(sin(angle)), 0, rounded(-sin(angle)), rounded(cos(angle)), 0)
        result.c = result.a * -x + result.b * -y + x
        result.f = result.d * -x + result.e * -y + y
        return result
    }
}

extension RGBImage {
    /// The image moved, turned or sheared at its size, with `fill` where nothing of it lies.
    ///
    /// Pillow's `Image.transform` with `AFFINE` and `BICUBIC` (`src/libImaging/Geometry.c`): Keys' cubic with a = −1 over
    /// 4 × 4 pixels, those of the border repeated, without a fraction in the end.
    package func transformed(_ transform: AffineMap, fill: RGBColor) -> RGBImage {
        let colors = [fill.red, fill.green, fill.blue]
        var result = self
        for y in 0..<height {
            for x in 0..<width {
                let (u, v) = (Double(x) + 0.5, Double(y) + 0.5)
                let sx = transform.a * u + transform.b * v + transform.c
                let sy = transform.d * u + transform.e * v + transform.f
                let place = 3 * (y * width + x)
                if sx < 0 || sx >= Double(width) || sy < 0 || sy >= Double(height) {
                    for channel in 0..<3 { result.pixels[place + channel] = colors[channel] }
                } else {
                    cubic(sx - 0.5, sy - 0.5) { result.pixels[place + $0] = $1 }
                }
            }
        }
        return result
    }

    /// The value at (`x`, `y`), counted from the centre of the first pixel, of each channel.
    private func cubic(_ x: Double, _ y: Double, _ store: (_ channel: Int, _ value: UInt8) -> Void) {
        let (left, top) = (Int(x.rounded(.down)), Int(y.rounded(.down)))
        let (dx, dy) = (x - Double(left), y - Double(top))
        func column(_ k: Int) -> Int { 3 * min(max(left - 1 + k, 0), width - 1) }
        func row(_ k: Int) -> Int { 3 * width * min(max(top - 1 + k, 0), height - 1) }
        pixels.withUnsafeBufferPointer { pixels in
            let columns = (column(0), column(1), column(2), column(3))
            for channel in 0..<3 {
                func across(_ k: Int) -> Double {
                    let start = row(k) + channel
                    return interpolated(
                        Double(pixels[start + columns.0]), Double(pixels[start + columns.1]),
                        Double(pixels[start + columns.2]), Double(pixels[start + columns.3]), dx)
                }
                let value = interpolated(across(0), across(1), across(2), across(3), dy)
                store(channel, UInt8(min(max(value, 0), 255)))
            }
        }
    }
}

/// Between `v2` (at 0) and `v3` (at 1).
private func interpolated(_ v1: Double, _ v2: Double, _ v3: Double, _ v4: Double, _ d: Double) -> Double {
    v2 + d * (v3 - v1 + d * (2 * (v1 - v2) + v3 - v4 + d * (v2 - v1 - v3 + v4)))
}
