import CBEiTKernels
import Foundation
import Testing

@testable import BEiTTensorCore

/// The kernels of `products.def` at every instruction set of this machine against plain loops.
@Suite struct ProductKernelTests {
    static let levels = (0...beitseg_kernel_level()).filter { beitseg_kernels_at($0) != nil }

    private func kernels(_ level: Int32) throws -> beitseg_kernel_table {
        try #require(beitseg_kernels_at(level)).pointee
    }

    /// A product of bytes whose rows have gaps, with bytes in them that must not matter.
    private struct Int8Product {
        let rows, k, columns, lda, ldw, ldc: Int
        var a: [UInt8]
        var w: [Int8]
        var aScales, wScales: [Float]
        var aZeros: [Int32]

        init(rows: Int, k: Int, columns: Int) {
            (self.rows, self.k, self.columns) = (rows, k, columns)
            (lda, ldw, ldc) = ((k + 3) / 4 * 4 + 3, k + 2, columns + 5)
            var random = Philox(seed: UInt64(rows * 1_000_000 + k * 1000 + columns))
            a = (0..<rows * lda).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            w = (0..<columns * ldw).map { _ in Int8(truncatingIfNeeded: random.next()) }
            aScales = (0..<rows).map { _ in abs(random.normal()) }
            wScales = (0..<columns).map { _ in abs(random.normal()) }
            aZeros = (0..<rows).map { _ in Int32(random.next() % 256) }
        }

        func plain() -> [Float] {
            var c = [Float](repeating: -1, count: rows * ldc)
            for i in 0..<rows {
                for j in 0..<columns {
                    let sum = (0..<k).reduce(0) { $0 + (Int(a[i * lda + $1]) - Int(aZeros[i])) * Int(w[j * ldw + $1]) }
                    c[i * ldc + j] = aScales[i] * wScales[j] * Float(sum)
                }
            }
            return c
        }

        func run(_ kernels: beitseg_kernel_table) -> [Float] {
            var packed = [Int8](repeating: 77, count: beitseg_packed_bytes(columns, k, 1))
            var sums = [Int32](repeating: -1, count: columns)
            kernels.pack_int8(w, ldw, columns, k, &packed, &sums)
            var c = [Float](repeating: -1, count: rows * ldc)
            kernels.int8_product(a, lda, aScales, aZeros, rows, k, packed, wScales, sums, columns, &c, ldc)
            return c
        }
    }

    @Test(arguments: levels) func bytesOfAllSizes(_ level: Int32) throws {
        let kernels = try kernels(level)
        var wrong: [String] = []
        for rows in 1...13 {
            for k in [1, 2, 3, 4, 5, 8, 31, 70] {
                for columns in [1, 7, 31, 32, 33, 64, 130] {
                    let product = Int8Product(rows: rows, k: k, columns: columns)
                    if product.run(kernels) != product.plain() { wrong.append("\(rows) x \(k) x \(columns)") }
                }
            }
        }
        #expect(wrong.isEmpty)
    }

    @Test(arguments: levels, [(197, 771, 97), (25, 3074, 40)])
    func largerProductsOfBytes(_ level: Int32, _ size: (rows: Int, k: Int, columns: Int)) throws {
        let product = Int8Product(rows: size.rows, k: size.k, columns: size.columns)
        #expect(product.run(try kernels(level)) == product.plain())
    }

    /// The largest sums of either sign: of 32 bits, all but one part in 250 is used, and the parts of the difference
    /// with the zeros wrap.
    @Test(arguments: levels, [(a: UInt8(255), zero: Int32(0)), (0, 255), (255, 255)])
    func longestSums(_ level: Int32, _ extreme: (a: UInt8, zero: Int32)) throws {
        for weight in [Int8(-128), 127] {
            var product = Int8Product(rows: 3, k: Int(beitseg_most_int8_terms), columns: 2)
            product.a = product.a.map { _ in extreme.a }
            product.w = product.w.map { _ in weight }
            product.aZeros = product.aZeros.map { _ in extreme.zero }
            #expect(product.run(try kernels(level)) == product.plain())
        }
    }

    /// A share of a product: the panels from the second on.
    @Test(arguments: levels) func laterPanels(_ level: Int32) throws {
        let product = Int8Product(rows: 5, k: 9, columns: 75), whole = product.run(try kernels(level))
        let panel = Int(beitseg_panel)
        var packed = [Int8](repeating: 0, count: beitseg_packed_bytes(75, 9, 1)),
            sums = [Int32](repeating: 0, count: 75)
        let kernels = try kernels(level)
        kernels.pack_int8(product.w, product.ldw, 75, 9, &packed, &sums)
        var c = [Float](repeating: 0, count: 5 * 43)
        kernels.int8_product(
            product.a, product.lda, product.aScales, product.aZeros, 5, 9,
            Array(packed[beitseg_packed_bytes(panel, 9, 1)...]), Array(product.wScales[panel...]),
            Array(sums[panel...]), 43,
            &c, 43)
        #expect(c.indices.allSatisfy { c[$0] == whole[$0 / 43 * product.ldc + panel + $0 % 43] })
    }

    private func bf16(_ x: Float) -> UInt16 { UInt16(truncatingIfNeeded: x.bitPattern >> 16) }
    private func float(_ x: UInt16) -> Float { Float(bitPattern: UInt32(x) << 16) }

    /// How a product's weights come to be packed.
    enum Packing: CaseIterable { case floats, bfloats, floatsAsBFloats }

    /// Whether rows that lie in one, two and three lines give the bits of rows that are whole.
    private func linesAgree<Element>(
        _ a: [Element], _ lda: Int, _ rows: Int, _ k: Int, _ whole: [Float], of group: Int,
        _ multiply: (UnsafePointer<UnsafeRawPointer?>, Int, Int, inout [Float]) -> Void
    ) -> Bool {
        (1...3).filter { k % ($0 * group) == 0 }.allSatisfy { count in
            a.withUnsafeBytes { bytes in
                let size = MemoryLayout<Element>.stride
                let lines = (0..<rows * count).map { line -> UnsafeRawPointer? in
                    bytes.baseAddress.map { $0 + (line / count * lda + line % count * (k / count)) * size }
                }
                var c = [Float](repeating: -1, count: whole.count)
                multiply(lines, count, k / count, &c)
                return c.map(\.bitPattern) == whole.map(\.bitPattern)
            }
        }
    }

    /// The worst error of a product, of the sum of the products' magnitudes. Rows have gaps of NaN.
    private func error(
        _ kernels: beitseg_kernel_table, _ packing: Packing, transposed: Bool, rows: Int, k: Int, columns: Int
    ) -> Double {
        let (lda, ldw, ldc) = (k + 3, (transposed ? columns : k) + 1, columns + 5)
        var random = Philox(seed: UInt64(rows * 1_000_000 + k * 1000 + columns))
        // Numbers that bfloat16 holds, so that rounding them is no error.
        func matrix(_ height: Int, _ width: Int, _ stride: Int) -> [Float] {
            (0..<height * stride).map { $0 % stride < width ? float(bf16(random.normal())) : .nan }
        }
        let a = matrix(rows, k, lda)
        let w = transposed ? matrix(k, columns, ldw) : matrix(columns, k, ldw)
        let (halves, flag): ([UInt16], Int32) = (w.map(bf16), transposed ? 1 : 0)
        var c = [Float](repeating: -1, count: rows * ldc)
        if packing == .floats {
            var packed = [Float](repeating: .nan, count: beitseg_packed_bytes(columns, k, 4) / 4)
            kernels.pack_f32(w, ldw, flag, columns, k, &packed)
            kernels.f32_product(a, lda, rows, k, packed, columns, &c, ldc)
            guard
                linesAgree(
                    a, lda, rows, k, c, of: 1, { kernels.f32_line_product($0, $1, $2, rows, packed, columns, &$3, ldc) }
                )
            else { return .infinity }
        } else {
            var packed = [UInt16](repeating: 0x7FC0, count: beitseg_packed_bytes(columns, k, 2) / 2)
            if packing == .bfloats {
                kernels.pack_bf16(halves, ldw, flag, columns, k, &packed)
            } else {
                kernels.pack_as_bf16(w, ldw, flag, columns, k, &packed)
            }
            kernels.bf16_product(a.map(bf16), lda, rows, k, packed, columns, &c, ldc)
            guard
                linesAgree(
                    a.map(bf16), lda, rows, k, c, of: 2,
                    { kernels.bf16_line_product($0, $1, $2, rows, packed, columns, &$3, ldc) })
            else { return .infinity }
        }
        var worst = 0.0
        for i in 0..<rows {
            for j in 0..<ldc {
                guard j < columns else {
                    if c[i * ldc + j] != -1 { return .infinity }
                    continue
                }
                let terms = (0..<k).map { term in
                    Double(a[i * lda + term]) * Double(w[transposed ? term * ldw + j : j * ldw + term])
                }
                let sum = terms.reduce(0, +), magnitude = terms.reduce(0) { $0 + abs($1) }
                let error = abs(Double(c[i * ldc + j]) - sum) / magnitude
                worst = error.isNaN ? .infinity : max(worst, error)
            }
        }
        return worst
    }

    @Test(arguments: levels, Packing.allCases) func floatsAndBFloats(_ level: Int32, _ packing: Packing) throws {
        let kernels = try kernels(level)
        var wrong: [String] = []
        for rows in 1...13 {
            for k in [1, 2, 3, 4, 5, 31, 70] {
                for columns in [1, 3, 7, 12, 31, 32, 33, 40, 48, 63, 64, 65, 96, 112, 130] {
                    let error = error(
                        kernels, packing, transposed: (rows + k) % 2 == 0, rows: rows, k: k, columns: columns)
                    if error >= 1e-6 { wrong.append("\(rows) x \(k) x \(columns)") }
                }
            }
        }
        #expect(wrong.isEmpty)
        for transposed in [false, true] {
            #expect(error(kernels, packing, transposed: transposed, rows: 25, k: 771, columns: 70) < 1e-6)
        }
    }

    /// The bits of an element do not depend on what is computed beside it.
    @Test(arguments: levels) func partsOfAProductOfFloats(_ level: Int32) throws {
        let kernels = try kernels(level)
        let (rows, k, columns, panel) = (9, 37, 75, Int(beitseg_panel))
        var random = Philox(seed: 1)
        let a = (0..<rows * k).map { _ in random.normal() }, w = (0..<columns * k).map { _ in random.normal() }
        var packed = [Float](repeating: 0, count: beitseg_packed_bytes(columns, k, 4) / 4)
        kernels.pack_f32(w, k, 0, columns, k, &packed)
        var whole = [Float](repeating: 0, count: rows * columns), part = [Float](repeating: 0, count: 2 * 43)
        kernels.f32_product(a, k, rows, k, packed, columns, &whole, columns)
        kernels.f32_product(Array(a[(3 * k)...]), k, 2, k, Array(packed[(panel * k)...]), 43, &part, 43)
        #expect(part.indices.allSatisfy { part[$0] == whole[(3 + $0 / 43) * columns + panel + $0 % 43] })
    }

    @Test(arguments: levels) func peakLoopsCountTheirOperations(_ level: Int32) throws {
        let kernels = try kernels(level), name = String(cString: beitseg_kernel_level_name(level))
        var sink: Float = .nan
        let bytes = kernels.int8_loop(3, &sink), bfloats = kernels.bf16_loop(3, &sink)
        #expect(
            (bytes > 0) == (name.contains("VNNI") || name.contains("NEON")) && bytes == 3 * kernels.int8_loop(1, &sink))
        #expect((bfloats > 0) == name.contains("BF16") && bfloats == 3 * kernels.bf16_loop(1, &sink))
        #expect(sink.isFinite)
    }
}
