import CBEiTKernels
import Foundation
import Testing

@testable import BEiTTensorCore

/// Every build of each kernel of `losses.def` against plain Swift in double precision, at odd lengths.
@Suite struct LossKernelTests {
    static let levels = (0...beitseg_kernel_level()).filter { beitseg_kernels_at($0) != nil }
    static let rows = 3

    private func kernels(_ level: Int32) throws -> beitseg_kernel_table {
        try #require(beitseg_kernels_at(level)).pointee
    }

    private func close(_ values: [Float], _ want: [Double]) -> Bool {
        values.count == want.count && zip(values, want).allSatisfy { abs(Double($0) - $1) <= 2e-6 * (1 + abs($1)) }
    }

    private func close(_ value: Double, _ want: Double) -> Bool { abs(value - want) <= 1e-5 * (1 + abs(want)) }

    private func softmax(_ z: ArraySlice<Float>) -> [Double] {
        let e = z.map { exp(Double($0)) }
        return e.map { $0 / e.reduce(0, +) }
    }

    @Test(arguments: levels, [1, 3, 17, 67]) func crossEntropies(_ level: Int32, _ n: Int) throws {
        let (k, rows) = (try kernels(level), LossKernelTests.rows)
        let z = randomTensor([rows, n], seed: 1).values
        let weights = randomTensor([n], seed: 2).values.map(abs)
        let labels: [Int32] = [Int32(n - 1), 255, 0]
        let (smoothing, scale) = (0.125, 0.75)
        var (hard, soft) = (0.0, 0.0)
        var (dHard, dSoft): ([Double], [Double]) = ([], [])
        let targets = randomTensor([rows, n], seed: 3).values.map(abs)
        for row in 0..<rows {
            let p = softmax(z[row * n..<row * n + n])
            let t = (0..<n).map {
                labels[row] == 255
                    ? 0 : Double(weights[$0]) * ((Int(labels[row]) == $0 ? 1 - smoothing : 0) + smoothing / Double(n))
            }
            let u = targets[row * n..<row * n + n].map(Double.init)
            hard -= zip(t, p).reduce(0) { $0 + $1.0 * log($1.1) }
            soft -= zip(u, p).reduce(0) { $0 + $1.0 * log($1.1) }
            dHard += zip(t, p).map { scale * (t.reduce(0, +) * $1 - $0) }
            dSoft += zip(u, p).map { scale * (u.reduce(0, +) * $1 - $0) }
        }
        var dz = [Float](repeating: .nan, count: rows * n)
        #expect(
            close(k.cross_entropy(z, rows, n, labels, 255, nil, Float(smoothing), weights, Float(scale), &dz, n), hard))
        #expect(close(dz, dHard))
        var scratch = [Float](repeating: .nan, count: n)
        #expect(close(k.soft_cross_entropy(z, rows, n, targets, Float(scale), &scratch, 0), soft))
        #expect(close(k.soft_cross_entropy(z, rows, n, targets, Float(scale), &dz, n), soft))
        #expect(close(dz, dSoft))
    }

    /// Rows of groups: near the largest logit, and far below it, where the probability is no float any more.
    @Test(arguments: levels, [2, 3, 17, 67]) func crossEntropyOfGroups(_ level: Int32, _ n: Int) throws {
        let (k, rows) = (try kernels(level), LossKernelTests.rows)
        let groups = (0..<2 * n).map { Float($0 >= n || $0 % 3 == 0 ? 1 : 0) }
        var z = randomTensor([rows, n], seed: 1).values
        for j in 0..<n where groups[j] > 0 { z[2 * n + j] -= 150 }
        let weights = randomTensor([n + 2], seed: 2).values.map(abs)
        let labels = [0, 1, 0].map { n + $0 }
        let (smoothing, scale) = (0.125, 0.75)
        func lnSum(_ values: [Double]) -> Double {
            let most = values.max() ?? 0
            return most + log(values.reduce(0) { $0 + exp($1 - most) })
        }
        var (want, dWant) = (0.0, [Double]())
        for (place, label) in labels.enumerated() {
            let row = z[place * n..<place * n + n].map(Double.init)
            let group = Array(groups[(label - n) * n..<(label - n) * n + n])
            let (all, part) = (lnSum(row), lnSum(zip(row, group).filter { $1 > 0 }.map(\.0)))
            let hit = (1 - smoothing) * Double(weights[label])
            let even = weights.prefix(n).map { smoothing / Double(n) * Double($0) }
            want += hit * (all - part) + zip(even, row).reduce(0) { $0 + $1.0 * (all - $1.1) }
            let mass = hit + even.reduce(0, +)
            for j in 0..<n {
                let pull = group[j] > 0 ? hit * exp(row[j] - part) : 0
                dWant.append(scale * (mass * exp(row[j] - all) - pull - even[j]))
            }
        }
        var dz = [Float](repeating: .nan, count: rows * n)
        let loss = k.cross_entropy(
            z, rows, n, labels.map { Int32($0) }, 255, groups, Float(smoothing), weights, Float(scale), &dz, n)
        #expect(close(loss, want))
        #expect(close(dz, dWant))
    }

    @Test(arguments: levels, [1, 3, 17, 67]) func divergenceAndRegression(_ level: Int32, _ n: Int) throws {
        let (k, rows) = (try kernels(level), LossKernelTests.rows)
        let (z, t) = (randomTensor([rows, n], seed: 1).values, randomTensor([rows, n], seed: 2).values)
        let mask: [UInt8] = [1, 0, 1]
        var (kl, squares, distances) = (0.0, 0.0, 0.0)
        var (dKL, dSquares, dDistances): ([Double], [Double], [Double]) = ([], [], [])
        for row in 0..<rows {
            let q = softmax(z[row * n..<row * n + n])
            let entropy = -q.reduce(0) { $0 + $1 * log($1) }
            kl += log(Double(n)) - entropy
            dKL += q.map { 2 * $0 * (log($0) + entropy) }
            for at in row * n..<row * n + n {
                let error = mask[row] == 0 ? 0 : Double(z[at] - t[at])
                squares += error * error
                distances += abs(error)
                dSquares.append(4 * error)
                dDistances.append(error == 0 ? 0 : error > 0 ? 2 : -2)
            }
        }
        var dz = [Float](repeating: .nan, count: rows * n)
        #expect(close(k.uniform_kl(z, rows, n, 2, &dz, n), kl))
        #expect(close(dz, dKL))
        #expect(close(k.regression(z, rows, n, t, mask, 0, 2, &dz, n), squares))
        #expect(close(dz, dSquares))
        #expect(close(k.regression(z, rows, n, t, mask, 1, 2, &dz, n), distances))
        #expect(close(dz, dDistances))
    }

    @Test(arguments: levels, [1, 3, 17, 67]) func logitLaplace(_ level: Int32, _ n: Int) throws {
        let k = try kernels(level)
        let (mu, lnB) = (randomTensor([n], seed: 1).values, randomTensor([n], seed: 2).values)
        let x = randomTensor([n], seed: 3).values.map { 0.1 + 0.8 / (1 + exp(-$0)) }
        var want = 0.0
        var (wantMu, wantLnB): ([Double], [Double]) = ([], [])
        for i in 0..<n {
            let (pixel, b) = (Double(x[i]), exp(Double(lnB[i])))
            let difference = log(pixel / (1 - pixel)) - Double(mu[i])
            want += -log(2 * b) - log(pixel * (1 - pixel)) - abs(difference) / b
            wantMu.append(0.5 * (difference > 0 ? 1 : -1) / b)
            wantLnB.append(0.5 * (abs(difference) / b - 1))
        }
        var (dMu, dLnB) = ([Float](repeating: .nan, count: n), [Float](repeating: .nan, count: n))
        #expect(close(k.logit_laplace(mu, lnB, x, n), want))
        k.logit_laplace_backward(mu, lnB, x, n, 0.5, &dMu, &dLnB)
        #expect(close(dMu, wantMu))
        #expect(close(dLnB, wantLnB))
    }

    @Test(arguments: levels, [1, 3, 17, 67]) func resizedCrossEntropyOfARow(_ level: Int32, _ classes: Int) throws {
        let (k, w, width, fraction) = (try kernels(level), 3, 5, 0.25)
        let (z0, z1) = (randomTensor([w, classes], seed: 1).values, randomTensor([w, classes], seed: 2).values)
        let labels: [Int32] = [0, 255, Int32(classes - 1), 0, Int32(classes / 2)]
        var want = 0.0
        var d = [Double](repeating: 0, count: w * classes)
        for x in 0..<width where labels[x] != 255 {
            let at = max(0, (Double(x) + 0.5) * 0.6 - 0.5)
            let (left, right) = (Int(at), min(Int(at) + 1, w - 1))
            let b = at - Double(left)
            let pixel = (0..<classes).map { c -> Float in
                func value(_ column: Int) -> Double {
                    0.75 * Double(z0[column * classes + c]) + 0.25 * Double(z1[column * classes + c])
                }
                return Float((1 - b) * value(left) + b * value(right))
            }
            let p = softmax(pixel[...])
            want -= log(p[Int(labels[x])])
            for c in 0..<classes {
                let gradient = 2 * (p[c] - (c == Int(labels[x]) ? 1 : 0))
                d[left * classes + c] += (1 - b) * gradient
                d[right * classes + c] += b * gradient
            }
        }
        var scratch = [Float](repeating: .nan, count: (2 * w + 2) * classes)
        var (d0, d1) = ([Float](repeating: 1, count: d.count), [Float](repeating: 0, count: d.count))
        let loss = k.resized_cross_entropy(
            z0, z1, Float(fraction), w, classes, labels, width, 255, nil, 0, nil, 2, &scratch, &d0, &d1)
        #expect(close(loss, want))
        #expect(close(d0, d.map { 1 + 0.75 * $0 }))
        #expect(close(d1, d.map { 0.25 * $0 }))
    }

    @Test(arguments: levels, [1, 3, 17, 67, 1001]) func sumArgmaxAndNoise(_ level: Int32, _ n: Int) throws {
        let k = try kernels(level)
        let x = randomTensor([LossKernelTests.rows, n], seed: 1).values
        #expect(close(k.sum(x, x.count), x.reduce(0) { $0 + Double($1) }))
        var places = [Int32](repeating: -1, count: LossKernelTests.rows)
        k.argmax(x, LossKernelTests.rows, n, &places)
        #expect(
            places
                == (0..<LossKernelTests.rows).map { row in
                    Int32((0..<n).max { x[row * n + $0] < x[row * n + $1] } ?? -1)
                })
        var generator = Philox(seed: 1 << 40 | 3, stream: 1 << 33, position: (1 << 34) - 5)
        var noise = [Float](repeating: .nan, count: n)
        k.gumbel_noise(generator.seed, generator.stream, generator.position, &noise, n)
        #expect(close(noise, (0..<n).map { _ in -log(-log((Double(generator.next() >> 9) + 0.5) * 0x1p-23)) }))
    }

    /// Moments and tails of the normal distribution; the share below each bound is that of Φ.
    @Test(arguments: levels) func normalNoise(_ level: Int32) throws {
        let k = try kernels(level)
        var values = [Float](repeating: 0, count: 200_000)
        k.normal_noise(7, 1, 2, 0.5, .infinity, &values, values.count)
        for bound in [-1.5, -0.5, 0, 0.25, 1, 1.25] {
            let share = Double(values.count { Double($0) < bound }) / Double(values.count)
            #expect(abs(share - 0.5 * (1 + erf(2 * bound / 2.squareRoot()))) < 0.004, "\(bound)")
        }
        var half = [Float](repeating: 0, count: 100)
        k.normal_noise(7, 1, 2 + 1000, 0.5, .infinity, &half, half.count)
        #expect(half == Array(values[1000..<1100]))
        k.normal_noise(7, 1, 2, 0.5, 0.5, &values, values.count)
        #expect(values.allSatisfy { abs($0) <= 0.5 } && (values.min() ?? 0) < -0.499)
        // The variance of a normal distribution cut at one deviation is 0.2911 of the whole one's.
        let variance = values.reduce(0) { $0 + Double($1) * Double($1) } / Double(values.count)
        #expect(abs(variance / 0.25 - 0.2911) < 0.005)
    }

    @Test(arguments: levels, [1, 3, 17, 67]) func adamW(_ level: Int32, _ n: Int) throws {
        var p = randomTensor([n], seed: 1).values
        let g = randomTensor([n], seed: 2).values
        var m = randomTensor([n], seed: 3).values
        var v = randomTensor([n], seed: 4).values.map(abs)
        let before = (0..<n).map { (p: Double(p[$0]), m: Double(m[$0]), v: Double(v[$0]), g: 0.5 * Double(g[$0])) }
        try kernels(level).adamw_step(&p, g, &m, &v, n, 0.125, 0.875, 0.75, 1e-3, 0.25, 0.5, 0.375, 0.5)
        let first = before.map { 0.875 * $0.m + 0.125 * $0.g }
        let second = before.map { 0.75 * $0.v + 0.25 * $0.g * $0.g }
        #expect(close(m, first))
        #expect(close(v, second))
        let moved = (0..<n).map { i -> Double in
            let root = sqrt(second[i] / 0.375) + 1e-3
            return before[i].p * (1 - 0.125 * 0.25) - 0.125 * (first[i] / 0.5) / root
        }
        #expect(close(p, moved))
    }
}
