import CBEiTKernels
import Testing

@testable import BEiTTensorCore

/// The kernels of `training.def` and the product that they pack for, at every instruction set of this machine, against
/// plain loops or the kernels of float32, at odd lengths.
@Suite struct BFloatKernelTests {
    static let levels = (0...beitseg_kernel_level()).filter { beitseg_kernels_at($0) != nil }

    private func kernels(_ level: Int32) throws -> beitseg_kernel_table {
        try #require(beitseg_kernels_at(level)).pointee
    }

    private func half(_ x: Float) -> UInt16 {
        UInt16(truncatingIfNeeded: (x.bitPattern + 0x7FFF + (x.bitPattern >> 16 & 1)) >> 16)
    }

    private func float(_ x: UInt16) -> Float { Float(bitPattern: UInt32(x) << 16) }

    private func random(_ count: Int, _ seed: UInt64) -> [Float] { randomTensor([count], seed: seed).values }

    /// Numbers that bfloat16 has, and floats that they are.
    private func halves(_ count: Int, _ seed: UInt64) -> (halves: [UInt16], floats: [Float]) {
        let halves = random(count, seed).map(half)
        return (halves, halves.map(float))
    }

    private func close(_ x: [Float], _ y: [Float], _ tolerance: Float) -> Bool {
        x.count == y.count && zip(x, y).allSatisfy { abs($0 - $1) <= tolerance * (1 + abs($1)) }
    }

    // MARK: Products

    /// Panels of pairs of rows, by their definition.
    private func pairs(_ x: [UInt16], _ ldx: Int, _ k: Int, _ columns: Int, _ width: Int) -> [UInt16] {
        let panel = (k + 1) / 2 * 2 * width
        var packed = [UInt16](repeating: 0, count: (columns + width - 1) / width * panel)
        for t in 0..<k {
            for j in 0..<columns {
                packed[j / width * panel + t / 2 * 2 * width + j % width * 2 + t % 2] = x[t * ldx + j]
            }
        }
        return packed
    }

    @Test(arguments: levels) func rowsInPairs(_ level: Int32) throws {
        let kernels = try kernels(level)
        for width in [Int(beitseg_panel), Int(beitseg_outer_panel)] {
            for (k, columns) in [(1, 1), (2, 12), (5, 31), (16, 32), (17, 33), (39, 70), (40, 13)] {
                let ldx = columns + 3, panel = (k + 1) / 2 * 2 * width
                let x = random(k * ldx, UInt64(k)), rounded = x.map(half)
                let wanted = pairs(rounded, ldx, k, columns, width)
                var packed = [UInt16](repeating: 77, count: wanted.count)
                kernels.pack_pairs(x, ldx, k, columns, width, &packed, panel)
                #expect(packed == wanted, "floats \(k) x \(columns)")
                packed = packed.map { _ in 78 }
                kernels.pack_pairs_bf16(rounded, ldx, k, columns, width, &packed, panel)
                #expect(packed == wanted, "bfloat16 \(k) x \(columns)")
            }
        }
    }

    /// Rows in lines that lie anywhere are packed as those that follow one another.
    @Test(arguments: levels) func rowsOfLinesInPairs(_ level: Int32) throws {
        let kernels = try kernels(level)
        for (k, count, length) in [(1, 1, 1), (2, 3, 48), (5, 3, 9), (16, 1, 32), (17, 2, 21), (39, 7, 23)] {
            let columns = count * length, panel = (k + 1) / 2 * 2 * Int(beitseg_panel)
            let x = random(k * columns, UInt64(k)).map(half)
            let wanted = pairs(x, columns, k, columns, Int(beitseg_panel))
            var packed = [UInt16](repeating: 77, count: wanted.count)
            // The last line comes first in memory.
            let lines = (0..<k * count).map { Array(x[$0 * length..<($0 + 1) * length]) }
            lines.reversed().flatMap { $0 }.withUnsafeBytes { memory in
                let addresses = lines.indices.reversed().map { memory.baseAddress?.advanced(by: 2 * length * $0) }
                kernels.pack_pair_lines(addresses, count, length, k, &packed, panel)
            }
            #expect(packed == wanted, "\(k) rows of \(count) x \(length)")
        }
    }

    /// Of small whole numbers, so that sums are exact.
    @Test(arguments: levels) func sumsOverRows(_ level: Int32) throws {
        let kernels = try kernels(level)
        var random = Philox(seed: 1), wrong: [String] = []
        for rows in Array(1...14) + [24, 37] {
            for k in [1, 2, 3, 8, 31, 70] {
                for columns in [1, 8, 16, 17, 31, 32, 33, 70] {
                    let a = (0..<k * rows).map { _ in Float(random.integer(below: 17) - 8) }
                    let b = (0..<k * columns).map { _ in Float(random.integer(below: 17) - 8) }
                    let left = pairs(a.map(half), rows, k, rows, Int(beitseg_outer_panel))
                    let right = pairs(b.map(half), columns, k, columns, Int(beitseg_panel))
                    let ldc = columns + 2
                    for add in [Int32(0), 1] {
                        var c = (0..<rows * ldc).map(Float.init), wanted = c
                        for i in 0..<rows {
                            for j in 0..<columns {
                                let sum = (0..<k).reduce(0) { $0 + a[$1 * rows + i] * b[$1 * columns + j] }
                                wanted[i * ldc + j] = sum + Float(add) * wanted[i * ldc + j]
                            }
                        }
                        kernels.bf16_outer_product(left, rows, k, right, columns, add, &c, ldc)
                        if c != wanted { wrong.append("\(rows) x \(k) x \(columns), \(add)") }
                    }
                }
            }
        }
        #expect(wrong.isEmpty)
    }

    // MARK: Beside the products

    static let rows = 3

    @Test(arguments: levels, [1, 16, 67]) func epilogues(_ level: Int32, _ n: Int) throws {
        let kernels = try kernels(level), (ldc, ldy) = (n + 1, n + 2)
        let c = random(Self.rows * ldc, 1), bias = random(n, 2), gamma = random(n, 3), keep: [Float] = [2, 0, 1.5]
        let residual = random(Self.rows * ldy, 4)
        var (y, saved) = ([Float](repeating: 7, count: Self.rows * ldy), [Float](repeating: 7, count: Self.rows * ldy))
        var (halves, product) = (y.map(half), y.map(half))
        kernels.linear_epilogue(
            c, ldc, &y, ldy, Self.rows, n, bias, &saved, ldy, 1, nil, nil, nil, 0)
        kernels.gelu_epilogue(c, ldc, Self.rows, n, bias, &product, &halves, ldy)
        #expect(close(halves.map(float), y, 0.004) && product == saved.map(half))

        for choice in 0..<32 {
            func given(_ bit: Int, _ x: [Float]) -> [Float]? { choice >> bit & 1 == 1 ? x : nil }
            let keeps = choice >> 4 & 1 == 1
            var (found, wanted) = (y.map { _ in Float(5) }, y.map { _ in Float(5) })
            (saved, product) = (y.map { _ in 7 }, y.map { _ in half(7) })
            kernels.linear_epilogue(
                c, ldc, &wanted, ldy, Self.rows, n, given(0, bias), &saved, ldy, 0, given(1, gamma), given(2, keep),
                given(3, residual), ldy)
            if keeps {
                kernels.residual_epilogue(
                    c, ldc, Self.rows, n, given(0, bias), &product, given(1, gamma), given(2, keep), given(3, residual),
                    &found, ldy)
            } else {
                kernels.residual_epilogue(
                    c, ldc, Self.rows, n, given(0, bias), nil, given(1, gamma), given(2, keep), given(3, residual),
                    &found, ldy)
            }
            #expect(close(found, wanted, 1e-6), "choice \(choice)")
            #expect(!keeps || product == saved.map(half), "choice \(choice)")
        }
    }

    /// The sums of one row are its gradients, not rounded.
    @Test(arguments: levels) func slopeOfGelu(_ level: Int32) throws {
        let kernels = try kernels(level), x = (0..<1201).map { half(Float($0 - 600) / 100) }, count = x.count
        var (d, slopes, wanted) = (x, [Float](repeating: 0, count: count), [Float](repeating: 0, count: count))
        kernels.gelu_gradient(x, [UInt16](repeating: half(1), count: count), 1, count, &d, &slopes)
        kernels.gelu_backward(x.map(float), [Float](repeating: 1, count: count), &wanted, count)
        #expect(zip(slopes, wanted).allSatisfy { abs($0 - $1) < 2.7e-4 })
    }

    @Test(arguments: levels, [1, 16, 67]) func gradientsOfEpilogues(_ level: Int32, _ n: Int) throws {
        let kernels = try kernels(level), count = Self.rows * n
        let (dy, x) = (halves(count, 1), halves(count, 2)), gamma = random(n, 3), keep: [Float] = [2, 0, 1.5]
        var (d, sums, dots) = ([UInt16](repeating: 0, count: count), random(n, 4), random(n, 5))
        let before = (sums: sums, dots: dots)
        var slopes = [Float](repeating: 0, count: count)
        kernels.gelu_backward(x.floats, dy.floats, &slopes, count)
        kernels.gelu_gradient(x.halves, dy.halves, Self.rows, n, &d, &sums)
        #expect(close(d.map(float), slopes, 0.004))
        func columns(_ values: [Float], _ start: [Float]) -> [Float] {
            (0..<n).map { j in (0..<Self.rows).reduce(start[j]) { $0 + values[$1 * n + j] } }
        }
        #expect(close(sums, columns(slopes, before.sums), 1e-3))

        for choice in 0..<4 {
            let (scales, keeps) = (choice & 1 == 1, choice & 2 == 2)
            let kept = (0..<count).map { dy.floats[$0] * (keeps ? keep[$0 / n] : 1) }
            let wanted = (0..<count).map { kept[$0] * (scales ? gamma[$0 % n] : 1) }
            (sums, dots) = before
            kernels.scaled_gradient(
                dy.floats, Self.rows, n, scales ? gamma : nil, keeps ? keep : nil, scales ? x.halves : nil, &d, &sums,
                &dots)
            #expect(d == wanted.map(half) && close(sums, columns(wanted, before.sums), 1e-5))
            let products = zip(kept, x.floats).map(*)
            #expect(close(dots, scales ? columns(products, before.dots) : before.dots, 1e-5))
        }
        #expect(abs(kernels.dot_bf16(x.halves, dy.halves, count) - zip(x.floats, dy.floats).map(*).reduce(0, +)) < 1e-4)
    }

    /// Few columns, of which several rows are taken at a time, and some rows are left over; many; none.
    @Test(arguments: levels, [1, 8, 12, 16, 64, 67, 0]) func columnSums(_ level: Int32, _ n: Int) throws {
        let rows = 75, x = halves(rows * n, 1), start = random(n, 2)
        var sums = start
        try kernels(level).add_column_sums_bf16(x.halves, rows, n, &sums)
        let wanted = (0..<n).map { j in (0..<rows).reduce(Double(start[j])) { $0 + Double(x.floats[$1 * n + j]) } }
        #expect(close(sums, wanted.map(Float.init), 1e-5))
    }

    @Test(arguments: levels, [1, 16, 67]) func layerNormBackward(_ level: Int32, _ n: Int) throws {
        let kernels = try kernels(level), count = Self.rows * n
        let x = random(count, 1), dy = halves(count, 2), w = random(n, 3), b = random(n, 4)
        var (y, means, rstds) = (x, [Float](repeating: 0, count: Self.rows), [Float](repeating: 0, count: Self.rows))
        kernels.layer_norm(x, Self.rows, n, w, b, 1e-3, &y, &means, &rstds)
        for add in [Int32(0), 1] {
            let start = random(count, 5)
            var (wanted, dw, db) = (start, random(n, 6), random(n, 7))
            var (found, foundW, foundB) = (start, dw, db)
            kernels.layer_norm_backward(x, dy.floats, Self.rows, n, w, means, rstds, add, &wanted, &dw, &db)
            kernels.layer_norm_backward_bf16(x, dy.halves, Self.rows, n, w, 1e-3, add, &found, &foundW, &foundB)
            #expect(close(found, wanted, 1e-5) && close(foundW, dw, 1e-5) && close(foundB, db, 1e-5))
            let (keptW, keptB) = (foundW, foundB)
            (foundW, foundB) = (random(n, 6), random(n, 7))
            kernels.layer_norm_backward_bf16(x, dy.halves, Self.rows, n, w, 1e-3, add, nil, &foundW, &foundB)
            #expect(foundW == keptW && foundB == keptB)
        }
    }
}
