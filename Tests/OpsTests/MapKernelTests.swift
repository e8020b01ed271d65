import CBEiTKernels
import Foundation
import Testing

@testable import BEiTTensorCore

/// Every build of each kernel of `convolution.def` against plain Swift in double precision, at odd lengths.
@Suite struct MapKernelTests {
    static let levels = (0...beitseg_kernel_level()).filter { beitseg_kernels_at($0) != nil }
    static let rows = 3

    private func kernels(_ level: Int32) throws -> beitseg_kernel_table {
        try #require(beitseg_kernels_at(level)).pointee
    }

    private func close<Value: BinaryFloatingPoint>(_ values: [Value], _ want: [Double]) -> Bool {
        values.count == want.count && zip(values, want).allSatisfy { abs(Double($0) - $1) <= 4e-6 * (1 + abs($1)) }
    }

    /// A map of 3 pixels with a scale and a shift for each of n channels, in double precision too.
    private struct Sample {
        let n: Int
        let x, scale, shift, dy: [Float]

        init(_ n: Int) {
            self.n = n
            x = randomTensor([rows, n], seed: 1).values
            scale = randomTensor([n], seed: 2).values
            shift = randomTensor([n], seed: 3).values
            dy = randomTensor([rows, n], seed: 4).values
        }

        func map(_ body: (_ index: Int, _ z: Double) -> Double) -> [Double] {
            x.indices.map { body($0, Double(x[$0]) * Double(scale[$0 % n]) + Double(shift[$0 % n])) }
        }

        func columnSums(_ values: [Double]) -> [Double] {
            (0..<n).map { column in
                stride(from: column, to: values.count, by: n).reduce(0) { $0 + values[$1] }
            }
        }
    }

    @Test(arguments: levels, [1, 7, 16, 67, 130]) func weightedSum(_ level: Int32, _ n: Int) throws {
        let k = try kernels(level)
        for count in [0, 1, 6] {
            let terms = randomTensor([count, n], seed: 5), weights = randomTensor([count], seed: 6).values
            let before = randomTensor([n], seed: 7).values
            for add in [false, true] {
                let want = (0..<n).map { i in
                    (0..<count).reduce(add ? Double(before[i]) : 0) {
                        $0 + Double(weights[$1]) * Double(terms.values[$1 * n + i])
                    }
                }
                // What is written anew is not read.
                var y = (add ? before : [Float](repeating: .nan, count: n)) + [7]
                let pointers = (0..<count).map { UnsafePointer<Float>?(terms.pointer + $0 * n) }
                withExtendedLifetime(terms) { k.weighted_sum(pointers, weights, count, add ? 1 : 0, &y, n) }
                #expect(y.removeLast() == 7 && close(y, want))
            }
        }
    }

    @Test(arguments: levels, [(1, 1), (3, 17), (16, 16), (35, 33)])
    func transpose(_ level: Int32, _ size: (rows: Int, columns: Int)) throws {
        let x = randomTensor([size.rows, size.columns], seed: 4).values
        var y = [Float](repeating: .nan, count: x.count)
        try kernels(level).transpose(x, size.rows, size.columns, &y)
        let want = y.indices.map { x[$0 % size.rows * size.columns + $0 / size.rows] }
        #expect(y == want)
    }

    @Test(arguments: levels, [1, 3, 17, 67]) func relu(_ level: Int32, _ n: Int) throws {
        let (x, dy) = (randomTensor([n], seed: 1).values, randomTensor([n], seed: 2).values)
        var (y, dx) = ([Float](repeating: .nan, count: n), dy)
        try kernels(level).relu(x, &y, n)
        try kernels(level).relu_backward(y, &dx, n)
        #expect(y == x.map { max($0, 0) })
        #expect(dx == zip(x, dy).map { $0 > 0 ? $1 : 0 })
    }

    /// Two rows of a tile whose rows lie farther apart than those of the result.
    @Test(arguments: levels, [1, 3, 17, 67]) func backThroughARelu(_ level: Int32, _ n: Int) throws {
        let kernels = try kernels(level), rows = 2, (ldc, ldy) = (n + 5, n + 2)
        let tile = randomTensor([rows, ldc], seed: 1).values, rest = randomTensor([rows, ldy], seed: 2).values
        var result = randomTensor([rows, ldy], seed: 3).values
        result.replaceSubrange(0..<1, with: [-0.0])
        var halves = result.map(rounded)
        halves[1] = 0x7FC0
        func want(_ isPositive: (Int) -> Bool, _ add: Bool) -> [Float] {
            rest.indices.map { at in
                guard at % ldy < n else { return rest[at] }
                return (add ? rest[at] : 0) + (isPositive(at) ? tile[at / ldy * ldc + at % ldy] : 0)
            }
        }
        for add in [false, true] {
            var (y, rounding) = (rest, rest)
            kernels.masked_epilogue(tile, ldc, rows, n, result, add ? 1 : 0, &y, ldy)
            #expect(y == want({ result[$0] > 0 }, add))
            kernels.masked_epilogue_bf16(tile, ldc, rows, n, halves, add ? 1 : 0, &rounding, ldy)
            #expect(rounding == want({ halves[$0] > 0 && halves[$0] <= 0x7F80 }, add))
        }
        var y = rest.map(rounded)
        kernels.masked_epilogue_to_bf16(tile, ldc, rows, n, halves, &y, ldy)
        #expect(y == want({ halves[$0] > 0 && halves[$0] <= 0x7F80 }, false).map(rounded))
    }

    @Test(arguments: levels, [1, 3, 17, 67]) func columnMoments(_ level: Int32, _ n: Int) throws {
        let sample = Sample(n)
        var (sums, squares) = ([Double](repeating: 1, count: n), [Double](repeating: 2, count: n))
        try kernels(level).add_column_moments(sample.x, MapKernelTests.rows, n, &sums, &squares)
        #expect(close(sums, sample.columnSums(sample.x.map(Double.init)).map { 1 + $0 }))
        #expect(close(squares, sample.columnSums(sample.x.map { Double($0) * Double($0) }).map { 2 + $0 }))
    }

    @Test(arguments: levels, [1, 3, 17, 67]) func scaleShift(_ level: Int32, _ n: Int) throws {
        let sample = Sample(n)
        var y = [Float](repeating: .nan, count: sample.x.count)
        try kernels(level).scale_shift(sample.x, MapKernelTests.rows, n, sample.scale, sample.shift, 0, &y)
        #expect(close(y, sample.map { $1 }))
        try kernels(level).scale_shift(sample.x, MapKernelTests.rows, n, sample.scale, sample.shift, 1, &y)
        #expect(close(y, sample.map { $1 * (1 + erf($1 / 2.squareRoot())) / 2 }))
        try kernels(level).scale_shift(sample.x, MapKernelTests.rows, n, sample.scale, sample.shift, 2, &y)
        #expect(close(y, sample.map { max(0, $1) }))
    }

    @Test(arguments: levels, [1, 3, 17, 67]) func scaleShiftBackward(_ level: Int32, _ n: Int) throws {
        let sample = Sample(n)
        for activation: Int32 in 0...2 {
            var (dy, sums, dots) = (sample.dy, [Double](repeating: 1, count: n), [Double](repeating: 2, count: n))
            try kernels(level).scale_shift_backward(
                sample.x, MapKernelTests.rows, n, sample.scale, sample.shift, activation, &dy, &sums, &dots)
            let want = sample.map { index, z in
                let gelu = (1 + erf(z / 2.squareRoot())) / 2 + z * exp(-z * z / 2) / (2 * Double.pi).squareRoot()
                return Double(sample.dy[index]) * [1, gelu, z > 0 ? 1 : 0][Int(activation)]
            }
            #expect(close(dy, want))
            #expect(close(sums, sample.columnSums(want).map { 1 + $0 }))
            #expect(close(dots, sample.columnSums(zip(want, sample.x).map { $0 * Double($1) }).map { 2 + $0 }))
        }
    }

    @Test(arguments: levels, [1, 3, 17, 67]) func combineColumns(_ level: Int32, _ n: Int) throws {
        let sample = Sample(n)
        let offset = randomTensor([n], seed: 5).values
        var y = sample.dy
        try kernels(level).combine_columns(
            sample.x, MapKernelTests.rows, n, sample.scale, sample.shift, offset, &y)
        let want = sample.x.indices.map {
            Double(sample.scale[$0 % n]) * Double(sample.dy[$0]) + Double(sample.shift[$0 % n]) * Double(sample.x[$0])
                + Double(offset[$0 % n])
        }
        #expect(close(y, want))
    }

    @Test(arguments: levels, [1, 3, 17, 67]) func maxPool(_ level: Int32, _ n: Int) throws {
        // A window of 2 × 2 pixels in rows of 3, and of its gradient the channels but the last.
        let x = randomTensor([2, 3, n], seed: 1).values, dy = randomTensor([n], seed: 2).values
        let corners = [0, n, 3 * n, 4 * n]
        var (y, dx) = ([Float](repeating: .nan, count: n), [Float](repeating: 1, count: x.count))
        try kernels(level).max_pool(x, 2, 3 * n, n, &y)
        try kernels(level).max_pool_backward(x, 2, 3 * n, n, n - 1, dy, 1, &dx)
        var alone = [Float](repeating: 1, count: x.count)
        try kernels(level).max_pool_backward(x, 2, 3 * n, n, n - 1, dy, 0, &alone)
        let want = (0..<n).map { channel in corners.map { x[$0 + channel] }.reduce(-.infinity, max) }
        #expect(y == want)
        // Nil beside the window.
        let share = x.indices.map { index -> Float? in
            let channel = index % n
            guard corners.contains(index - channel), channel < n - 1 else { return nil }
            return x[index] == want[channel] ? dy[channel] : 0
        }
        #expect(dx == share.map { 1 + ($0 ?? 0) })
        #expect(alone == share.map { $0 ?? 1 })
    }

    @Test(arguments: levels, [1, 3, 17, 67]) func reluOfBFloats(_ level: Int32, _ n: Int) throws {
        let kernels = try kernels(level), rows = MapKernelTests.rows
        var x = randomTensor([rows, n], seed: 1).values
        x.replaceSubrange(0..<3, with: [.nan, -0.0, .leastNonzeroMagnitude])
        var dy = randomTensor([rows, n], seed: 2).values
        var y = [UInt16](repeating: 9, count: x.count)
        kernels.relu_bf16(x, &y, x.count)
        #expect(y == x.map { rounded($0 > 0 ? $0 : 0) })
        y[0] = 0x7FC0
        let through = dy.indices.map { y[$0] > 0 && y[$0] < 0x7F81 ? dy[$0] : 0 }
        kernels.relu_backward_bf16(y, &dy, x.count)
        #expect(dy == through)
    }

    /// As bfloat16, to nearest even.
    private func rounded(_ x: Float) -> UInt16 {
        UInt16(truncatingIfNeeded: (x.bitPattern + 0x7FFF + (x.bitPattern >> 16 & 1)) >> 16)
    }

    /// A window of 3 × 4 pixels, two steps at a time, over two maps of 5 × 6 with padding on all sides.
    @Test(arguments: levels, [1, 3, 8, 17, 150]) func gatherWindow(_ level: Int32, _ n: Int) throws {
        let map = randomTensor([2, 5, 6, n], seed: 1).values
        try gather(map, padding: 0) { window, matrix, positions in
            try kernels(level).gather_window(
                window, map, 4, 0, positions.lowerBound, positions.count, &matrix)
        }
    }

    /// What the lines hold is what is gathered.
    @Test(arguments: levels, [1, 3, 8, 150]) func windowLines(_ level: Int32, _ n: Int) throws {
        let map = randomTensor([2, 5, 6, n], seed: 1).values, kernels = try kernels(level)
        try gather(map, padding: 0) { window, matrix, positions in
            let line = window.pointee.kernel_width * n, height = 3
            var lines = [UnsafeRawPointer?](repeating: nil, count: positions.count * height)
            var spare = [Float](repeating: .nan, count: (lines.count + 1) * line)
            spare.withUnsafeMutableBytes { spare in
                map.withUnsafeBytes { map in
                    kernels.window_lines(
                        window, map.baseAddress, 4, positions.lowerBound, positions.count, &lines,
                        spare.baseAddress)
                    for place in matrix.indices {
                        let (position, rest) = place.quotientAndRemainder(dividingBy: height * line)
                        let from = lines[position * height + rest / line]
                        matrix[place] = from?.load(fromByteOffset: rest % line * 4, as: Float.self) ?? .nan
                    }
                }
            }
        }
    }

    @Test(arguments: levels, [1, 2, 3, 15, 47, 700]) func gatherWindowOfBytes(_ level: Int32, _ n: Int) throws {
        let bytes = (0..<60 * n).map { UInt8(truncatingIfNeeded: 7 * $0) }
        try gather(bytes, padding: 0x5A) { window, matrix, positions in
            try kernels(level).gather_window(
                window, bytes, 1, 0x5A, positions.lowerBound, positions.count, &matrix)
        }
        let pairs = (0..<60 * n).map { UInt16(truncatingIfNeeded: 777 * $0) }
        try gather(pairs, padding: 0x5A5A) { window, matrix, positions in
            try kernels(level).gather_window(
                window, pairs, 2, 0x5A, positions.lowerBound, positions.count, &matrix)
        }
    }

    private func gather<Element: Equatable>(
        _ map: [Element], padding: Element,
        _ run: (UnsafePointer<beitseg_window>, inout [Element], Range<Int>) throws -> Void
    ) throws {
        let n = map.count / 60
        // From an even and from an odd place left of the map.
        for left in [-2, -1] {
            var window = beitseg_window(
                height: 5, width: 6, channels: n, kernel_height: 3, kernel_width: 4, stride: 2, top: -1, left: left,
                grid_height: 3, grid_width: 4)
            let positions = 2..<23
            var matrix = [Element](repeating: map[1 % map.count], count: positions.count * 12 * n)
            try run(&window, &matrix, positions)
            let want = positions.flatMap { position in
                (0..<3).flatMap { row in
                    (0..<4).flatMap { column in
                        (0..<n).map { channel -> Element in
                            let y = position / 4 % 3 * 2 - 1 + row, x = position % 4 * 2 + left + column
                            guard (0..<5).contains(y), (0..<6).contains(x) else { return padding }
                            return map[((position / 12 * 5 + y) * 6 + x) * n + channel]
                        }
                    }
                }
            }
            #expect(matrix == want, "from \(left)")
        }
    }
}
