// Pillow's `ImageEnhance` and `Image.blend` (`src/libImaging/Blend.c`) on 8-bit RGB, which torchvision's ColorJitter
// calls. A factor of 1 changes nothing, 0 gives the plain end (black, grey, colourless), more than 1 exaggerates.

extension RGBImage {
    /// Blends with black.
    package mutating func adjustBrightness(_ factor: Float) { blend(from: 0, factor) }

    /// Blends with the image's mean luminance.
    package mutating func adjustContrast(_ factor: Float) {
        guard !pixels.isEmpty else { return }
        var sum = 0
        for i in stride(from: 0, to: pixels.count, by: 3) {
            sum += Int(luminance(pixels[i], pixels[i + 1], pixels[i + 2]))
        }
        blend(from: UInt8(Double(sum) / Double(width * height) + 0.5), factor)
    }

    /// Blends with the image's luminance, pixel by pixel.
    package mutating func adjustSaturation(_ factor: Float) {
        pixels.withUnsafeMutableBufferPointer { pixels in
            for i in stride(from: 0, to: pixels.count, by: 3) {
                let grey = luminance(pixels[i], pixels[i + 1], pixels[i + 2])
                for channel in i..<i + 3 { pixels[channel] = blended(from: grey, to: pixels[channel], factor) }
            }
        }
    }

    private mutating func blend(from plain: UInt8, _ factor: Float) {
        let table = (0...255).map { blended(from: plain, to: $0, factor) }
        pixels.withUnsafeMutableBufferPointer { pixels in
            table.withUnsafeBufferPointer { table in
                for i in pixels.indices { pixels[i] = table[Int(pixels[i])] }
            }
        }
    }
}

/// ITU-R 601-2 luma, Pillow's conversion to "L".
private func luminance(_ red: UInt8, _ green: UInt8, _ blue: UInt8) -> UInt8 {
    let sum: UInt32 = UInt32(red) * 19595 + UInt32(green) * 38470 + UInt32(blue) * 7471
    return UInt8((sum + 0x8000) >> 16)
}

/// `from + factor · (to - from)`, clamped and without its fraction.
func blended(from: UInt8, to: UInt8, _ factor: Float) -> UInt8 {
    UInt8(min(max(Float(from) + factor * (Float(to) - Float(from)), 0), 255))
}
