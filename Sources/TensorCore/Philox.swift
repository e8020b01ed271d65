import Foundation

/// The counter-based generator Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
///
/// The state is two numbers and a position, so that it can stand in a checkpoint; a draw depends on nothing else, so
/// that a seed means the same on every machine and for every number of threads.
package struct Philox: Codable, Equatable, Sendable {
    package let seed: UInt64
    /// Independent sequences of one seed: one per image, epoch or purpose.
    package let stream: UInt64
    /// 32-bit words drawn so far.
    package private(set) var position: UInt64

    package init(seed: UInt64, stream: UInt64 = 0, position: UInt64 = 0) {
        (self.seed, self.stream, self.position) = (seed, stream, position)
    }

    /// The four words of one counter value.
    package static func block(seed: UInt64, stream: UInt64, counter: UInt64) -> SIMD4<UInt32> {
        var x = SIMD4<UInt32>(
            UInt32(truncatingIfNeeded: counter), UInt32(truncatingIfNeeded: counter >> 32),
            UInt32(truncatingIfNeeded: stream), UInt32(truncatingIfNeeded: stream >> 32))
        var key0 = UInt32(truncatingIfNeeded: seed)
        var key1 = UInt32(truncatingIfNeeded: seed >> 32)
        for _ in 0..<10 {
            let a = UInt64(x[0]) * 0xD251_1F53
            let b = UInt64(x[2]) * 0xCD9E_8D57
            x = SIMD4(
                UInt32(truncatingIfNeeded: b >> 32) ^ x[1] ^ key0, UInt32(truncatingIfNeeded: b),
                UInt32(truncatingIfNeeded: a >> 32) ^ x[3] ^ key1, UInt32(truncatingIfNeeded: a))
            key0 &+= 0x9E37_79B9
            key1 &+= 0xBB67_AE85
        }
        return x
    }

    package mutating func next() -> UInt32 {
        let words = Philox.block(seed: seed, stream: stream, counter: position / 4)
        defer { position += 1 }
        return words[Int(position % 4)]
    }

    /// Uniform in [0, 1), a multiple of 2⁻²⁴.
    package mutating func uniform() -> Float { Float(next() >> 8) * 0x1p-24 }

    package mutating func uniform(_ range: Range<Float>) -> Float {
        range.lowerBound + (range.upperBound - range.lowerBound) * uniform()
    }

    /// Uniform in 0 ..< bound, without bias (Lemire's method).
    package mutating func integer(below bound: Int) -> Int {
        precondition(bound > 0 && bound <= Int(UInt32.max), "bound \(bound)")
        let n = UInt32(bound)
        let threshold = (0 &- n) % n
        while true {
            let product = UInt64(next()) * UInt64(n)
            if UInt32(truncatingIfNeeded: product) >= threshold { return Int(product >> 32) }
        }
    }

    package mutating func bernoulli(_ probability: Float) -> Bool { uniform() < probability }

    /// Standard normal, by Box and Muller's method in double precision.
    package mutating func normal() -> Float {
        let u = (Double(next()) + 0.5) * 0x1p-32
        let v = Double(next()) * 0x1p-32
        return Float((-2 * log(u)).squareRoot() * cos(2 * .pi * v))
    }

    /// 0 ..< count in random order (Fisher and Yates).
    package mutating func permutation(_ count: Int) -> [Int] {
        var order = Array(0..<count)
        for i in stride(from: count - 1, to: 0, by: -1) { order.swapAt(i, integer(below: i + 1)) }
        return order
    }
}
