import CBEiTKernels
import Foundation
import Testing

@testable import BEiTTensorCore

func exponential(_ x: Double) -> Double { exp(x) }

/// The kernels of kernels.def at every instruction set of this machine against plain double precision, at odd lengths.
@Suite struct TransformerKernelTests {
    typealias Kernels = UnsafePointer<beitseg_kernel_table>
    static let levels = (0...beitseg_kernel_level()).filter { beitseg_kernels_at($0) != nil }

    private func kernels(_ level: Int32) throws -> Kernels { try #require(beitseg_kernels_at(level)) }

    private func random(_ count: Int, _ seed: UInt64, scale: Float = 1) -> [Float] {
        var generator = Philox(seed: seed)
        return (0..<count).map { _ in scale * generator.normal() }
    }

    private func error(_ x: [Float], _ want: [Double]) -> Double {
        guard x.count == want.count else { return .infinity }
        return zip(x, want).reduce(0) { worst, pair in
            let error = abs(Double(pair.0) - pair.1) / (1 + abs(pair.1))
            return error.isNaN ? .infinity : max(worst, error)
        }
    }

    private func phi(_ x: Double) -> Double { 0.5 * erfc(-x / 2.0.squareRoot()) }

    @Test(arguments: levels, [1, 7, 16, 67]) func pointwise(_ level: Int32, _ n: Int) throws {
        let k = try kernels(level).pointee
        let x = random(n, 1, scale: 3), d = random(n, 2)
        var y = [Float](repeating: .nan, count: n)
        k.gelu(x, &y, n)
        #expect(error(y, x.map { Double($0) * phi(Double($0)) }) < 1e-6)
        k.gelu_backward(x, d, &y, n)
        let slopes = x.map { phi(Double($0)) + Double($0) * exp(-Double($0) * Double($0) / 2) / (2 * .pi).squareRoot() }
        #expect(error(y, zip(d, slopes).map { Double($0) * $1 }) < 1e-6)
        k.exponential(x, &y, n)
        #expect(error(y, x.map { exp(Double($0)) }) < 1e-6)
        k.axpby(0.5, x, 0, &y, n)
        #expect(error(y, x.map { 0.5 * Double($0) }) < 1e-7)
        k.axpby(2, d, 3, &y, n)
        #expect(error(y, zip(x, d).map { 1.5 * Double($0) + 2 * Double($1) }) < 1e-6)
        k.add_into(x, &y, n)
        #expect(error(y, zip(x, d).map { 2.5 * Double($0) + 2 * Double($1) }) < 1e-6)
        k.multiply(x, d, &y, n)
        #expect(error(y, zip(x, d).map { Double($0) * Double($1) }) < 1e-6)
        let dot = zip(x, d).reduce(0) { $0 + Double($1.0) * Double($1.1) }
        #expect(abs(Double(k.dot(x, d, n)) - dot) < 1e-5 * (1 + abs(dot)))
        #expect(abs(k.sum_of_squares(x, n) / x.reduce(0) { $0 + Double($1) * Double($1) } - 1) < 1e-12)
    }

    /// The tails: no NaN, no infinity, and values that have died out.
    @Test(arguments: levels) func extremes(_ level: Int32) throws {
        let k = try kernels(level).pointee
        let x: [Float] = [-1e30, -200, -20, -0.0, 0, 20, 200, 1e18]
        var y = [Float](repeating: .nan, count: x.count)
        k.gelu(x, &y, x.count)
        #expect(y[..<5].allSatisfy { abs($0) < 1e-37 } && y[5...] == [20, 200, 1e18])
        k.exponential([-1000, -87, 0, 88, 1000], &y, 5)
        #expect(y[0] < 1.3e-38 && abs(y[2] - 1) < 1e-6 && y[4].isFinite)
    }

    @Test(arguments: levels, [1, 5, 67]) func columnSums(_ level: Int32, _ n: Int) throws {
        let k = try kernels(level).pointee
        let x = random(3 * (n + 2), 3), z = random(3 * (n + 1), 4)
        var sums = [Float](repeating: 1, count: n), dots = sums
        k.add_column_sums(x, n + 2, 3, n, &sums)
        k.add_column_dots(x, n + 2, z, n + 1, 3, n, &dots)
        let rows = 0..<3
        #expect(error(sums, (0..<n).map { j in 1 + rows.reduce(0) { $0 + Double(x[$1 * (n + 2) + j]) } }) < 1e-6)
        let want = (0..<n).map { j in
            1 + rows.reduce(0) { $0 + Double(x[$1 * (n + 2) + j]) * Double(z[$1 * (n + 1) + j]) }
        }
        #expect(error(dots, want) < 1e-6)
    }

    @Test(arguments: levels, [0, 1, 2] as [Int32]) func linearEpilogue(_ level: Int32, _ activation: Int32) throws {
        let k = try kernels(level).pointee
        let (rows, n, ld) = (3, 21, 25)
        var c = random(rows * ld, 5), saved = [Float](repeating: 0, count: rows * n)
        let before = c, bias = random(n, 6), gamma = random(n, 7), keep = random(rows, 8),
            residual = random(rows * n, 9)
        k.linear_epilogue(before, ld, &c, ld, rows, n, bias, &saved, n, activation, gamma, keep, residual, n)
        for i in 0..<rows {
            for j in 0..<ld {
                guard j < n else {
                    #expect(c[i * ld + j] == before[i * ld + j])
                    continue
                }
                let product = Double(before[i * ld + j]) + Double(bias[j])
                let active = [product, product * phi(product), max(0, product)][Int(activation)]
                let want = active * Double(gamma[j]) * Double(keep[i]) + Double(residual[i * n + j])
                #expect(abs(Double(c[i * ld + j]) - want) < 1e-5)
                #expect(abs(Double(saved[i * n + j]) - product) < 1e-6)
            }
        }
    }

    @Test(arguments: levels, [1, 7, 67]) func layerNormForwardAndBackward(_ level: Int32, _ n: Int) throws {
        let k = try kernels(level).pointee
        let rows = 3, x = random(rows * n, 10), w = random(n, 11), b = random(n, 12), dy = random(rows * n, 13)
        var y = [Float](repeating: .nan, count: rows * n), mean = [Float](repeating: 0, count: rows), rstd = mean
        k.layer_norm(x, rows, n, w, b, 1e-3, &y, &mean, &rstd)
        var dx = [Float](repeating: 1, count: rows * n), dw = [Float](repeating: 0, count: n), db = dw
        k.layer_norm_backward(x, dy, rows, n, w, mean, rstd, 1, &dx, &dw, &db)
        var (wantY, wantDx) = ([Double](), [Double]()), wantDw = [Double](repeating: 0, count: n)
        for i in 0..<rows {
            let row = x[i * n..<(i + 1) * n].map(Double.init)
            let m = row.reduce(0, +) / Double(n)
            let r = 1 / (row.reduce(0) { $0 + ($1 - m) * ($1 - m) } / Double(n) + 1e-3).squareRoot()
            let hats = row.map { ($0 - m) * r }
            let g = (0..<n).map { Double(dy[i * n + $0]) * Double(w[$0]) }
            let (a, c) = (g.reduce(0, +) / Double(n), zip(g, hats).reduce(0) { $0 + $1.0 * $1.1 } / Double(n))
            wantY += (0..<n).map { hats[$0] * Double(w[$0]) + Double(b[$0]) }
            wantDx += (0..<n).map { 1 + r * (g[$0] - a - hats[$0] * c) }
            for j in 0..<n { wantDw[j] += Double(dy[i * n + j]) * hats[j] }
        }
        #expect(error(y, wantY) < 2e-5)
        #expect(error(dx, wantDx) < 1e-4)
        #expect(error(dw, wantDw) < 2e-5)
        #expect(error(db, (0..<n).map { j in (0..<rows).reduce(0) { $0 + Double(dy[$1 * n + j]) } }) < 1e-5)
    }

    @Test(arguments: levels, [1, 5, 33]) func softmaxForwardAndBackward(_ level: Int32, _ n: Int) throws {
        let k = try kernels(level).pointee
        let rows = 3, x = random(rows * n, 14, scale: 20), dy = random(rows * n, 15)
        var y = [Float](repeating: .nan, count: rows * n), dx = y
        k.softmax(x, rows, n, &y)
        k.softmax_backward(y, dy, rows, n, &dx)
        for i in 0..<rows {
            let row = x[i * n..<(i + 1) * n].map(Double.init), most = row.max() ?? 0
            let powers = row.map { exp($0 - most) }, sum = powers.reduce(0, +)
            let p = powers.map { $0 / sum }
            let dot = (0..<n).reduce(0) { $0 + p[$1] * Double(dy[i * n + $1]) }
            for j in 0..<n {
                #expect(abs(Double(y[i * n + j]) - p[j]) < 1e-5)
                #expect(abs(Double(dx[i * n + j]) - p[j] * (Double(dy[i * n + j]) - dot)) < 1e-5)
            }
        }
    }

    /// The attention kernels of every level against the best one's, which the attention tests hold against plain loops.
    @Test(arguments: levels, [0, 1, 2] as [Int32]) func attentionKernelsAgree(_ level: Int32, _ kind: Int32) throws {
        let (gh, gw) = (3, 5), n = gh * gw + 1, ld = n + 3
        let bias = random(kind == 1 ? n * n : (2 * gh - 1) * (2 * gw - 1) + 3, 16)
        let scores = random(4 * ld, 17, scale: 3), dp = random(4 * ld, 18), delta = random(4, 19)
        func run(_ level: Int32, first: Int) throws -> [Float] {
            let k = try kernels(level).pointee
            var (s, d, inverses) = (scores, dp, [Float](repeating: 0, count: 4))
            var dbias = [Float](repeating: 0.5, count: bias.count)
            k.attention_softmax(&s, ld, 4, first, n, 0.25, kind, bias, gh, gw, 1, &inverses)
            k.attention_softmax_backward(s, &d, ld, 4, first, n, delta, 0.25, kind, &dbias, gh, gw)
            for row in 0..<4 { #expect(abs(s[row * ld..<row * ld + n].reduce(0, +) - 1) < 1e-5) }
            return s + d + dbias + inverses
        }
        for first in [0, 3, 12] {
            #expect(
                error(try run(level, first: first), try run(beitseg_kernel_level(), first: first).map(Double.init))
                    < 1e-5)
        }
    }
}
