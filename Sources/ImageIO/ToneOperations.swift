// Pillow's `ImageOps` and `ImageEnhance.Sharpness` on 8-bit RGB, bit for bit: what RandAugment is made of, beside
// ``RGBImage/adjustBrightness(_:)`` and its kin.

extension RGBImage {
    /// Stretches each channel until it reaches from 0 to 255.
    package mutating func autoContrast() {
        mapChannels { counts in
            guard let low = counts.firstIndex(where: { $0 > 0 }), let high = counts.lastIndex(where: { $0 > 0 }),
                low < high
            else { return nil }
            let scale = 255 / Double(high - low)
            let offset = -Double(low) * scale
            return (0...255).map { UInt8(min(max(Double($0) * scale + offset, 0), 255)) }
        }
    }

    /// Makes the values of each channel equally frequent.
    package mutating func equalize() {
        mapChannels { counts in
            guard let last = counts.last(where: { $0 > 0 }) else { return nil }
            let step = (counts.reduce(0, +) - last) / 255
            guard step > 0 else { return nil }
            var sum = step / 2
            return counts.map { count in
                defer { sum += count }
                return UInt8(min(sum / step, 255))
            }
        }
    }

    /// The negative.
    package mutating func invert() { map { 255 - $0 } }

    /// Keeps the highest `bits` (0 to 8) of each value.
    package mutating func posterize(bits: Int) {
        precondition(0...8 ~= bits, "\(bits) bits")
        let mask = UInt8(truncatingIfNeeded: 0xFF << (8 - bits))
        map { $0 & mask }
    }

    /// Turns values from `threshold` (0 to 256) on into their negative.
    package mutating func solarize(threshold: Int) { map { Int($0) < threshold ? $0 : 255 - $0 } }

    /// Adds `amount` to the values below 128 (timm's `solarize_add`).
    package mutating func solarize(adding amount: Int) { map { $0 < 128 ? UInt8(min(255, Int($0) + amount)) : $0 } }

    /// Blends with the image smoothed: a factor of 1 changes nothing, 0 smooths, more than 1 sharpens.
    package mutating func adjustSharpness(_ factor: Float) {
        let smooth = smoothed()
        for i in pixels.indices { pixels[i] = blended(from: smooth.pixels[i], to: pixels[i], factor) }
    }

    /// Each pixel inside the border becomes the mean of its neighbours and five times itself (Pillow's `SMOOTH`).
    private func smoothed() -> RGBImage {
        var result = self
        guard width > 2, height > 2 else { return result }
        for y in 1..<height - 1 {
            for i in 3 * (y * width + 1)..<3 * (y * width + width - 1) {
                var sum = 4 * Int(pixels[i])
                for row in [i - 3 * width, i, i + 3 * width] {
                    sum += Int(pixels[row - 3]) + Int(pixels[row]) + Int(pixels[row + 3])
                }
                result.pixels[i] = UInt8((2 * sum + 13) / 26)
            }
        }
        return result
    }

    private mutating func map(_ change: (UInt8) -> UInt8) {
        let table = (0...255).map { change(UInt8($0)) }
        for i in pixels.indices { pixels[i] = table[Int(pixels[i])] }
    }

    /// - Parameter table: from how often each value occurs to what each becomes; nil for no change.
    private mutating func mapChannels(_ table: (_ counts: [Int]) -> [UInt8]?) {
        for channel in 0..<3 {
            var counts = [Int](repeating: 0, count: 256)
            for i in stride(from: channel, to: pixels.count, by: 3) { counts[Int(pixels[i])] += 1 }
            guard let table = table(counts) else { continue }
            for i in stride(from: channel, to: pixels.count, by: 3) { pixels[i] = table[Int(pixels[i])] }
        }
    }
}
