import CBEiTKernels
import Foundation
import Testing

@testable import BEiTTensorCore

/// The kernels of `quantized.def` at every instruction set of this machine against plain loops, at odd lengths. What is
/// said to have the same bits everywhere is compared bit by bit.
@Suite struct QuantizedKernelTests {
    static let levels = (0...beitseg_kernel_level()).filter { beitseg_kernels_at($0) != nil }
    static let largest = Float.greatestFiniteMagnitude / 2

    private func kernels(_ level: Int32) throws -> beitseg_kernel_table {
        try #require(beitseg_kernels_at(level)).pointee
    }

    /// Rows of n numbers, from the usual to the worst.
    static func rows(_ n: Int) -> [[Float]] {
        let usual = randomTensor([n], seed: 3).values
        let finite = [
            usual, usual.map { 0.01 * $0 + 3 }, usual.map { -abs($0) }, usual.map { 1e-30 * $0 },
            usual.map { 1e37 * $0 },
            usual.map { $0.rounded() / 2 }, usual.map { .leastNonzeroMagnitude * $0.rounded() }, usual.map { _ in 0 },
            usual.map { _ in -0.0 },
            usual.map { $0 < 0 ? -.greatestFiniteMagnitude : .greatestFiniteMagnitude },
        ]
        return finite
            + [Float.nan, .infinity, -.infinity].map { value in usual.indices.map { $0 % 3 == 1 ? value : usual[$0] } }
    }

    private func byte(_ x: Float, inverse: Float, zero: Int32) -> UInt8 {
        let scaled = x * inverse, low = Float(-zero), high = Float(255 - zero)
        guard scaled > low else { return 0 }  // so for NaN
        return UInt8(min(scaled, high).rounded(.toNearestOrEven) + Float(zero))
    }

    private func quantized(_ x: [Float]) -> (q: [UInt8], scale: Float, zero: Int32) {
        var (low, high) = (Float(0), Float(0))
        for value in x { (low, high) = (value < low ? value : low, value > high ? value : high) }
        (low, high) = (max(low, -Self.largest), min(high, Self.largest))
        var scale = (high - low) / 255
        if scale < .leastNormalMagnitude { scale = 1 }
        let zero = Int32((-low * (1 / scale)).rounded(.toNearestOrEven))
        return (x.map { byte($0, inverse: 1 / scale, zero: zero) }, scale, zero)
    }

    @Test(arguments: levels, [1, 2, 3, 16, 67, 130, 771]) func rowsOfFloats(_ level: Int32, _ n: Int) throws {
        let rows = Self.rows(n)
        let x = rows.flatMap { $0 + [Float](repeating: 1e9, count: 3) }
        var q = [UInt8](repeating: 77, count: rows.count * (n + 2))
        var (scales, zeros) = ([Float](repeating: .nan, count: rows.count), [Int32](repeating: -1, count: rows.count))
        try kernels(level).quantize_rows(x, n + 3, rows.count, n, &q, n + 2, &scales, &zeros)
        for (i, row) in rows.enumerated() {
            let want = quantized(row)
            #expect(Array(q[i * (n + 2)..<(i + 1) * (n + 2)]) == want.q + [77, 77], "row \(i)")
            #expect(scales[i] == want.scale && zeros[i] == want.zero, "row \(i)")
        }
    }

    @Test(arguments: levels, [1, 3, 67, 130]) func rowsOfBfloats(_ level: Int32, _ n: Int) throws {
        let rows = Self.rows(n).map { $0.map { UInt16($0.bitPattern >> 16) } }
        let x: [UInt16] = rows.flatMap { $0 + [UInt16(0x7F00)] }
        var q = [UInt8](repeating: 77, count: rows.count * n)
        var (scales, zeros) = ([Float](repeating: .nan, count: rows.count), [Int32](repeating: -1, count: rows.count))
        try kernels(level).quantize_rows_bf16(x, n + 1, rows.count, n, &q, n, &scales, &zeros)
        for (i, row) in rows.enumerated() {
            let want = quantized(row.map { Float(bitPattern: UInt32($0) << 16) })
            #expect(Array(q[i * n..<(i + 1) * n]) == want.q, "row \(i)")
            #expect(scales[i] == want.scale && zeros[i] == want.zero, "row \(i)")
        }
    }

    @Test(arguments: levels, [1, 3, 67, 771]) func givenScale(_ level: Int32, _ n: Int) throws {
        for (scale, zero) in [(Float(0.25), Int32(0)), (0.037, 255), (0.5, 13)] {
            for x in Self.rows(n) {
                var q = [UInt8](repeating: 77, count: n + 1)
                try kernels(level).quantize(x, n, scale, zero, &q)
                #expect(q == x.map { byte($0, inverse: 1 / scale, zero: zero) } + [77])
            }
        }
    }

    @Test func halvesGoToTheEvenNeighbour() throws {
        let x: [Float] = [0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 254, 300, -9]
        for level in Self.levels {
            var q = [UInt8](repeating: 77, count: 9)
            try kernels(level).quantize(x, 9, 1, 3, &q)
            #expect(q == [3, 5, 5, 3, 1, 1, 255, 255, 0])
        }
    }

    @Test(arguments: levels, [1, 3, 67, 771]) func weights(_ level: Int32, _ n: Int) throws {
        let rows = Self.rows(n)
        var (q, scales) = ([Int8](repeating: 77, count: rows.count * n), [Float](repeating: .nan, count: rows.count))
        try kernels(level).quantize_weights(rows.flatMap { $0 }, rows.count, n, &q, &scales)
        for (i, row) in rows.enumerated() {
            let most = row.reduce(0) { abs($1) > $0 ? abs($1) : $0 }
            var scale = min(most, Self.largest) / 127
            if scale < .leastNormalMagnitude { scale = 1 }
            let want = row.map { x in
                let scaled = x * (1 / scale)
                return scaled > -127 ? Int8(min(scaled, 127).rounded(.toNearestOrEven)) : -127
            }
            #expect(Array(q[i * n..<(i + 1) * n]) == want && scales[i] == scale, "row \(i)")
        }
    }
}
