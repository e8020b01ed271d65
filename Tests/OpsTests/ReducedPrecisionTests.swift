import CBEiTKernels
import Foundation
import Testing

@testable import BEiTTensorCore

/// The kernels of `quantized.def` that take part of a layer along, at every instruction set of this machine against the
/// float32 kernels or plain double precision, at odd lengths.
@Suite struct ReducedPrecisionTests {
    static let levels = (0...beitseg_kernel_level()).filter { beitseg_kernels_at($0) != nil }
    static let rows = 3

    private func kernels(_ level: Int32) throws -> beitseg_kernel_table {
        try #require(beitseg_kernels_at(level)).pointee
    }

    private func random(_ count: Int, _ seed: UInt64, scale: Float = 1) -> [Float] {
        randomTensor([count], seed: seed).values.map { scale * $0 }
    }

    private func bf16(_ x: Float) -> UInt16 {
        if x.isNaN { return UInt16(x.bitPattern >> 16) | 0x40 }
        let half = Float(bitPattern: x.bitPattern & 0xFFFF_0000)
        let rest = x.bitPattern & 0xFFFF, up = rest > 0x8000 || (rest == 0x8000 && half.bitPattern & 0x10000 != 0)
        return UInt16(half.bitPattern >> 16) + (up ? 1 : 0)
    }

    private func float(_ x: UInt16) -> Float { Float(bitPattern: UInt32(x) << 16) }

    private func gelu(_ x: Double) -> Double { x * 0.5 * erfc(-x / 2.0.squareRoot()) }

    private func activated(_ x: Double, _ activation: Int32) -> Double {
        activation == 1 ? gelu(x) : activation == 2 ? max(x, 0) : x
    }

    /// Half a unit in the last place of bfloat16, and the error of gelu.
    private func close(_ values: [UInt16], _ want: [Double], gamma: [Float]? = nil) -> Bool {
        values.count == want.count
            && values.indices.allSatisfy {
                let error = abs(Double(float(values[$0])) - want[$0])
                return error <= abs(want[$0]) / 256 + 1e-4 * Double(abs(gamma?[$0] ?? 1)) + 1e-6
            }
    }

    /// The same for bytes: what the scale cannot express is clamped.
    private func close(_ bytes: [UInt8], _ want: [Double], scale: Float, zero: Int32) -> Bool {
        bytes.count == want.count
            && zip(bytes, want).allSatisfy { byte, want in
                let (low, high) = (Double(scale) * Double(-zero), Double(scale) * Double(255 - zero))
                let value = Double(scale) * Double(Int32(byte) - zero)
                return abs(value - min(max(want, low), high)) <= Double(scale) * 0.5001 + 1.1e-4
            }
    }

    @Test(arguments: levels) func conversions(_ level: Int32) throws {
        let all = (UInt16.min...UInt16.max).map { $0 }
        var floats = [Float](repeating: 0, count: all.count)
        try kernels(level).bf16_to_float(all, &floats, all.count)
        #expect(zip(all, floats).allSatisfy { UInt32($0) << 16 == $1.bitPattern })
        for lower in [UInt32(0), 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF] {
            let x = all.dropLast(3).map { Float(bitPattern: UInt32($0) << 16 | lower) }
            var y = [UInt16](repeating: 77, count: x.count + 1)
            try kernels(level).float_to_bf16(x, &y, x.count)
            #expect(y == x.map(bf16) + [77])
        }
    }

    @Test(arguments: levels) func approximateGelu(_ level: Int32) throws {
        let x = (-12_000...12_000).map { Float($0) / 1000 } + [-1000, 1000, 1e30, .infinity]
        var y = x
        try kernels(level).approximate_gelu(y, &y, y.count)
        #expect(zip(x, y).dropLast(2).allSatisfy { abs(Double($1) - gelu(Double($0))) < 1e-4 })
        #expect(y.suffix(2) == [1e30, .infinity])
        var nan = [Float.nan]
        try kernels(level).approximate_gelu(nan, &nan, 1)
        #expect(nan[0].isNaN)
    }

    @Test(arguments: levels, [1, 3, 67, 130, 768]) func layerNorm(_ level: Int32, _ n: Int) throws {
        let kernels = try kernels(level), count = Self.rows * n
        let (x, w, b) = (random(count, 1, scale: 3).map { $0 + 1 }, random(n, 2), random(n, 3))
        var y = [Float](repeating: .nan, count: count)
        kernels.layer_norm(x, Self.rows, n, w, b, 1e-6, &y, nil, nil)
        var (q, wantQ) = (
            [UInt8](repeating: 77, count: Self.rows * (n + 4)), [UInt8](repeating: 77, count: Self.rows * (n + 4))
        )
        var (scales, wantScales) = ([Float](repeating: .nan, count: Self.rows), [Float](repeating: 0, count: Self.rows))
        var (zeros, wantZeros) = ([Int32](repeating: -1, count: Self.rows), [Int32](repeating: -2, count: Self.rows))
        kernels.layer_norm_quantized(x, Self.rows, n, w, b, 1e-6, &q, n + 4, &scales, &zeros)
        kernels.quantize_rows(y, n, Self.rows, n, &wantQ, n + 4, &wantScales, &wantZeros)
        #expect(q == wantQ && scales == wantScales && zeros == wantZeros)
        var halves = [UInt16](repeating: 77, count: count)
        kernels.layer_norm_bf16(x, Self.rows, n, w, b, 1e-6, &halves)
        #expect(halves == y.map(bf16))
    }

    @Test(arguments: levels, [1, 3, 16, 67, 130]) func linearEpilogue(_ level: Int32, _ n: Int) throws {
        let (ldc, ldy, ldr) = (n + 1, n + 2, n + 3)
        let c = random(Self.rows * ldc, 1, scale: 3), bias = random(n, 2), gamma = random(n, 3)
        let residual = random(Self.rows * ldr, 4, scale: 2)
        for choice in 0..<24 {
            let activation = Int32(choice / 8),
                has = (bias: choice & 1 != 0, gamma: choice & 2 != 0, residual: choice & 4 != 0)
            var y = [UInt16](repeating: 77, count: Self.rows * ldy)
            try kernels(level).linear_epilogue_bf16(
                c, ldc, &y, ldy, Self.rows, n, has.bias ? bias : nil, activation, has.gamma ? gamma : nil,
                has.residual ? residual : nil, ldr)
            for i in 0..<Self.rows {
                let want = (0..<n).map { j in
                    let x = activated(Double(c[i * ldc + j]) + (has.bias ? Double(bias[j]) : 0), activation)
                    return x * (has.gamma ? Double(gamma[j]) : 1) + (has.residual ? Double(residual[i * ldr + j]) : 0)
                }
                #expect(
                    close(Array(y[i * ldy..<i * ldy + n]), want, gamma: has.gamma ? gamma : nil), "choice \(choice)")
                #expect(Array(y[i * ldy + n..<(i + 1) * ldy]) == [77, 77])
            }
        }
    }

    @Test(arguments: levels, [1, 3, 16, 67, 130]) func scaleShift(_ level: Int32, _ n: Int) throws {
        let kernels = try kernels(level), count = Self.rows * n
        let halves = random(count, 1, scale: 2).map(bf16), x = halves.map(float)
        let (scale, shift) = (random(n, 2), random(n, 3))
        for activation in Int32(0)...2 {
            let want = x.indices.map {
                activated(Double(x[$0]) * Double(scale[$0 % n]) + Double(shift[$0 % n]), activation)
            }
            var (y, z) = ([UInt16](repeating: 77, count: count), halves)
            kernels.scale_shift_bf16(x, Self.rows, n, scale, shift, activation, &y)
            kernels.bf16_scale_shift_bf16(z, Self.rows, n, scale, shift, activation, &z)
            #expect(close(y, want) && y == z)
            var (q, r) = ([UInt8](repeating: 77, count: count), [UInt8](repeating: 78, count: count))
            kernels.scale_shift_quantized(x, Self.rows, n, scale, shift, activation, 0.02, 13, &q)
            kernels.bf16_scale_shift_quantized(halves, Self.rows, n, scale, shift, activation, 0.02, 13, &r)
            #expect(close(q, want, scale: 0.02, zero: 13) && q == r)
        }
    }
}
