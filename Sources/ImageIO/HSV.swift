// OpenCV's 8-bit `COLOR_RGB2HSV` and `COLOR_HSV2RGB` (`modules/imgproc/src/color_hsv.simd.hpp`), which mmsegmentation's
// PhotoMetricDistortion calls.

/// A colour as hue (0…179, two degrees each), saturation and value (0…255).
package struct HSVColor: Equatable, Sendable {
    package var hue, saturation, value: UInt8

    package init(hue: UInt8, saturation: UInt8, value: UInt8) {
        (self.hue, self.saturation, self.value) = (hue, saturation, value)
    }

    /// In fixed point with 12 bits after the point, quotients by table, as OpenCV does it.
    @inline(__always) init(red: UInt8, green: UInt8, blue: UInt8, _ tables: UnsafeBufferPointer<(Int32, Int32)>) {
        let (r, g, b) = (Int32(red), Int32(green), Int32(blue))
        let most = max(r, g, b), span = most - min(r, g, b)
        let sector = most == r ? g - b : most == g ? b - r + 2 * span : r - g + 4 * span
        let angle = (sector &* tables[Int(span)].1 &+ half) >> bits
        hue = UInt8(truncatingIfNeeded: angle < 0 ? angle + 180 : angle)
        saturation = UInt8(truncatingIfNeeded: min(255, (span &* tables[Int(most)].0 &+ half) >> bits))
        value = UInt8(truncatingIfNeeded: most)
    }

    /// Red, green, blue.
    @inline(__always) var rgb: (UInt8, UInt8, UInt8) {
        let v = Float(value) * (1 / 255), s = Float(saturation) * (1 / 255)
        let angle = Float(hue) * (6 / 180)
        let sector = Int(angle), h = angle - Float(sector)
        let byte = { (x: Float) in UInt8(min(max((x * 255).rounded(.toNearestOrEven), 0), 255)) }
        let (top, low) = (byte(v), byte(v * (1 - s)))
        let (down, up) = (byte(v * (1 - s * h)), byte(v * (1 - s * (1 - h))))
        switch sector {
        case 0: return (top, up, low)
        case 1: return (down, top, low)
        case 2: return (low, top, up)
        case 3: return (low, down, top)
        case 4: return (up, low, top)
        default: return (top, low, down)
        }
    }
}

private let bits: Int32 = 12
private let half: Int32 = 1 << (bits - 1)

/// For each number 255/n and 30/n with 12 bits after the point.
private let quotients: [(Int32, Int32)] =
    [(0, 0)]
    + (1...255).map { n in
        let rounded = { (x: Double) in Int32(x.rounded(.toNearestOrEven)) }
        return (rounded(Double(255 << bits) / Double(n)), rounded(Double(180 << bits) / (6 * Double(n))))
    }

extension RGBImage {
    /// Each pixel as hue, saturation and value.
    package var hsv: [HSVColor] {
        var result: [HSVColor] = []
        result.reserveCapacity(width * height)
        quotients.withUnsafeBufferPointer { tables in
            for i in stride(from: 0, to: pixels.count, by: 3) {
                result.append(HSVColor(red: pixels[i], green: pixels[i + 1], blue: pixels[i + 2], tables))
            }
        }
        return result
    }

    /// Changes each pixel's hue, saturation and value.
    package mutating func changeHSV(_ change: (inout HSVColor) -> Void) {
        pixels.withUnsafeMutableBufferPointer { pixels in
            quotients.withUnsafeBufferPointer { tables in
                for i in stride(from: 0, to: pixels.count, by: 3) {
                    var color = HSVColor(red: pixels[i], green: pixels[i + 1], blue: pixels[i + 2], tables)
                    change(&color)
                    (pixels[i], pixels[i + 1], pixels[i + 2]) = color.rgb
                }
            }
        }
    }

    /// Every channel of every pixel becomes what `table` has for it.
    /// - Precondition: the table has 256 values.
    package mutating func map(_ table: [UInt8]) {
        precondition(table.count == 256, "a table of \(table.count) values")
        pixels.withUnsafeMutableBufferPointer { pixels in
            table.withUnsafeBufferPointer { table in
                for i in pixels.indices { pixels[i] = table[Int(pixels[i])] }
            }
        }
    }
}
