/// A file damaged by chance: bits, runs of bytes, numbers where lengths may stand, its end, pieces of itself elsewhere.
package struct Mutant {
    package private(set) var bytes: [UInt8]
    private var state: UInt64

    package init(of sound: [UInt8], number: Int, seed: String) {
        bytes = sound
        state = seed.utf8.reduce(UInt64(number) &* 0x9E37_79B9_7F4A_7C15) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 }
        for _ in 0..<(1 + random(3)) where !bytes.isEmpty { change() }
    }

    /// SplitMix64 (Steele, Lea and Flood 2014, "Fast Splittable Pseudorandom Number Generators").
    private mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    private mutating func random(_ count: Int) -> Int { Int(next() % UInt64(count)) }

    /// Anywhere, but more often where a file describes itself: near its beginning or its end.
    private mutating func place() -> Int {
        switch random(4) {
        case 0: random(bytes.count)
        case 1: random(min(bytes.count, 256))
        case 2: random(min(bytes.count, 4096))
        default: bytes.count - 1 - random(min(bytes.count, 2048))
        }
    }

    private mutating func change() {
        let start = place()
        switch random(6) {
        case 0: for _ in 0...random(8) { bytes[place()] ^= 1 << UInt8(random(8)) }
        case 1:
            let fill = [0, 0xFF, UInt8(random(256))][random(3)]
            for i in start..<min(bytes.count, start + 1 + random(64)) { bytes[i] = fill }
        case 2: for i in start..<min(bytes.count, start + 1 + random(16)) { bytes[i] = UInt8(random(256)) }
        case 3: setNumber(at: start)
        case 4: bytes.removeLast(random(8) == 0 ? random(bytes.count) : random(min(bytes.count, 64)))
        default: splice(at: start)
        }
    }

    /// A length, an offset or a count of 2, 4 or 8 bytes.
    private mutating func setNumber(at start: Int) {
        let numbers: [UInt64] = [
            0, 1, 2, 0x7F, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 40, 1 << 60, 1 << 63, .max, .max - 7,
            UInt64(bytes.count), UInt64(bytes.count + 1), UInt64(random(bytes.count)),
        ]
        let number = numbers[random(numbers.count)], size = [2, 4, 8][random(3)]
        for i in 0..<min(size, bytes.count - start) {
            bytes[start + i] = UInt8(truncatingIfNeeded: number >> (8 * UInt64(i)))
        }
    }

    /// A piece of the file over another place, put in, or taken out.
    private mutating func splice(at start: Int) {
        let from = place(), piece = Array(bytes[from..<min(bytes.count, from + 1 + random(128))])
        switch random(3) {
        case 0: bytes.replaceSubrange(start..<min(bytes.count, start + piece.count), with: piece)
        case 1: bytes.insert(contentsOf: piece, at: start)
        default: bytes.removeSubrange(start..<min(bytes.count, start + piece.count))
        }
    }
}
