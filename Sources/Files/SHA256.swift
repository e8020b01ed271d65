import Foundation

/// SHA-256 (FIPS 180-4), to name a file by its content.
package enum SHA256 {
    /// The digest of a file in hexadecimal. Throws ``FileError``.
    package static func hexDigest(ofFile path: String) throws -> String {
        guard let file = FileHandle(forReadingAtPath: path) else { throw FileError.system(path, doing: "open") }
        var state = State()
        do {
            while let data = try file.read(upToCount: 1 << 20), !data.isEmpty { state.update([UInt8](data)) }
        } catch {
            throw FileError(.inputOutput, path: path, reason: "cannot read: \(error.localizedDescription)")
        }
        return state.finish()
    }

    /// A digest of a file's size and of 256 blocks of 4 KiB spread evenly over it: it tells two models apart in
    /// milliseconds, where the digest of gigabytes takes seconds. Changes between the blocks go unseen. Throws
    /// ``FileError``.
    package static func fingerprint(ofFile path: String) throws -> String {
        let (blocks, width) = (256, 4096)
        guard let file = FileHandle(forReadingAtPath: path) else { throw FileError.system(path, doing: "open") }
        var state = State()
        do {
            let size = try file.seekToEnd()
            state.update(withUnsafeBytes(of: size.littleEndian) { [UInt8]($0) })
            let last = max(0, Int(size) - width)
            for block in 0..<blocks {
                try file.seek(toOffset: UInt64(last * block / (blocks - 1)))
                state.update([UInt8](try file.read(upToCount: width) ?? Data()))
            }
        } catch {
            throw FileError(.inputOutput, path: path, reason: "cannot read: \(error.localizedDescription)")
        }
        return state.finish()
    }

    package static func hexDigest(_ bytes: [UInt8]) -> String {
        var state = State()
        state.update(bytes)
        return state.finish()
    }

    private struct State {
        private var hash = fractions(of: primes.prefix(8).map { Double($0).squareRoot() })
        private var pending: [UInt8] = []
        private var length: UInt64 = 0
        private var schedule = [UInt32](repeating: 0, count: 64)

        mutating func update(_ bytes: [UInt8]) {
            length += UInt64(bytes.count)
            pending += bytes
            let whole = pending.count / 64 * 64
            for start in stride(from: 0, to: whole, by: 64) { compress(at: start) }
            pending.removeFirst(whole)
        }

        mutating func finish() -> String {
            let bits = length * 8
            let padding = (119 - Int(length % 64)) % 64 + 1
            update([0x80] + [UInt8](repeating: 0, count: padding - 1))
            update((0..<8).map { UInt8(truncatingIfNeeded: bits >> (56 - 8 * $0)) })
            return hash.map { String(format: "%08x", $0) }.joined()
        }

        private mutating func compress(at start: Int) {
            for t in 0..<16 {
                schedule[t] = (0..<4).reduce(0) { $0 << 8 | UInt32(pending[start + 4 * t + $1]) }
            }
            for t in 16..<64 {
                let (a, b) = (schedule[t - 15], schedule[t - 2])
                let s0 = rotate(a, 7) ^ rotate(a, 18) ^ a >> 3
                let s1 = rotate(b, 17) ^ rotate(b, 19) ^ b >> 10
                schedule[t] = schedule[t - 16] &+ s0 &+ schedule[t - 7] &+ s1
            }
            var (a, b, c, d) = (hash[0], hash[1], hash[2], hash[3])
            var (e, f, g, h) = (hash[4], hash[5], hash[6], hash[7])
            for t in 0..<64 {
                let s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)
                let first = h &+ s1 &+ (e & f ^ ~e & g) &+ constants[t] &+ schedule[t]
                let s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)
                let second = s0 &+ (a & b ^ a & c ^ b & c)
                (h, g, f, e, d, c, b, a) = (g, f, e, d &+ first, c, b, a, first &+ second)
            }
            for (index, word) in [a, b, c, d, e, f, g, h].enumerated() { hash[index] &+= word }
        }
    }

    private static let primes = (2...311).filter { n in !(2..<n).contains { n % $0 == 0 } }
    /// Of the cube roots of the first 64 primes.
    private static let constants = fractions(of: primes.map { cbrt(Double($0)) })

    /// The first 32 bits behind the point.
    private static func fractions(of roots: [Double]) -> [UInt32] {
        roots.map { UInt32(($0 - $0.rounded(.down)) * 0x1p32) }
    }

    private static func rotate(_ word: UInt32, _ count: UInt32) -> UInt32 { word >> count | word << (32 - count) }
}
