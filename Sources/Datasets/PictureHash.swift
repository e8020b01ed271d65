import BEiTImageIO

/// 128 bits of a photo that stay when it is saved again, resized or slightly changed: whether brightness rises from one
/// part to the next, along rows and along columns (the difference hash of N. Krawetz, in both directions).
package struct PictureHash: Hashable, Sendable {
    private var across: UInt64 = 0
    private var down: UInt64 = 0

    /// Bits in which photos that look alike differ, at most.
    package static let nearby = 6

    /// Nil for a photo of one colour, which resembles all others of that kind.
    package init?(_ photo: RGBImage) {
        let small = photo.resized(width: 9, height: 9, filter: .bilinear)
        let grey = (0..<81).map { place in
            let (red, green, blue) = (
                Int(small.pixels[3 * place]), Int(small.pixels[3 * place + 1]), Int(small.pixels[3 * place + 2])
            )
            return 299 * red + 587 * green + 114 * blue
        }
        guard let least = grey.min(), let most = grey.max(), most - least >= 8000 else { return nil }
        for y in 0..<8 {
            for x in 0..<8 {
                across = across << 1 | (grey[9 * y + x] < grey[9 * y + x + 1] ? 1 : 0)
                down = down << 1 | (grey[9 * y + x] < grey[9 * y + 9 + x] ? 1 : 0)
            }
        }
    }

    package func distance(to other: PictureHash) -> Int {
        (across ^ other.across).nonzeroBitCount + (down ^ other.down).nonzeroBitCount
    }

    /// Eight parts: of two hashes that are near each other, one at least is equal.
    var parts: [UInt16] {
        [across, down].flatMap { word in (0..<4).map { UInt16(truncatingIfNeeded: word >> (16 * UInt64($0))) } }
    }
}

/// Hashes by their parts, to find those near to one without looking at all.
struct HashIndex {
    private var places: [[UInt16: [Int]]] = Array(repeating: [:], count: 8)
    private var hashes: [PictureHash] = []

    /// Adds a hash, and returns the numbers of those that were there and are near, in order.
    mutating func add(_ hash: PictureHash) -> [Int] {
        var found: Set<Int> = []
        for (table, part) in hash.parts.enumerated() {
            for place in places[table][part] ?? [] where hashes[place].distance(to: hash) <= PictureHash.nearby {
                found.insert(place)
            }
            places[table][part, default: []].append(hashes.count)
        }
        hashes.append(hash)
        return found.sorted()
    }
}
