import Foundation
import Testing

@testable import BEiTOps
@testable import BEiTTensorCore

/// An operation under a name, with the shapes of its inputs.
struct LossCase: CustomTestStringConvertible, @unchecked Sendable {
    let testDescription: String
    let shapes: [[Int]]
    let operation: Operation

    init(_ name: String, _ shapes: [Int]..., operation: @escaping Operation) {
        (testDescription, self.shapes, self.operation) = (name, shapes, operation)
    }

    var inputs: [Tensor] { shapes.enumerated().map { randomTensor($1, seed: UInt64($0) + 7) } }

    private static let mapLabels = someLabels(2 * 7 * 11, classes: 5)
    private static let weights: [Float] = [0.5, 2, 1, 0.25, 3]
    private static let groups = [ClassGroup([0, 3], named: 0), ClassGroup([4, 1, 2], named: 4)]

    static let all = [
        LossCase("gelu", [3, 17]) { $0.gelu($1[0]) },
        LossCase("add", [3, 5], [3, 5]) { $0.add($1[0], $1[1]) },
        LossCase("add to itself", [3, 5]) { $0.add($1[0], $1[0]) },
        LossCase("addBroadcast", [2, 3, 5], [5]) { $0.addBroadcast($1[0], $1[1]) },
        LossCase("multiply", [3, 5], [3, 5]) { $0.multiply($1[0], $1[1]) },
        LossCase("square", [3, 5]) { $0.multiply($1[0], $1[0]) },
        LossCase("scale", [3, 5]) { $0.scale($1[0], -1.5) },
        LossCase("sum", [3, 5]) { $0.sum($1[0]) },
        LossCase("mean", [3, 5]) { $0.mean($1[0]) },
        LossCase("concat", [2, 3, 5], [2, 1, 5], [2, 4, 5]) { $0.concat($1, axis: 1) },
        LossCase("concat of one", [2, 3], [2, 3]) { $0.concat([$1[0], $1[1], $1[0]], axis: 0) },
        LossCase("slice", [2, 5, 3]) { $0.slice($1[0], axis: 1, 1..<4) },
        LossCase("transpose", [2, 3, 4, 5]) { $0.transpose($1[0], [0, 3, 1, 2]) },
        LossCase("transpose, last axis fixed", [2, 3, 5]) { $0.transpose($1[0], [1, 0, 2]) },
        LossCase("gatherRows", [4, 67]) { $0.gatherRows($1[0], [2, 0, 2, 3, 2]) },
        LossCase("scaleSamples", [3, 2, 5]) { $0.scaleSamples($1[0], Tensor([0, 1.25, 2], [3])) },
        LossCase("softmax", [3, 2, 13]) { $0.softmax($1[0]) },
        LossCase("gumbelSoftmax", [3, 7]) { $0.gumbelSoftmax($1[0], temperature: 0.7) },
        LossCase("uniformKL", [3, 2, 7]) { $0.uniformKL($1[0]) },
        LossCase("logitLaplace", [3, 7], [3, 7]) {
            $0.logitLaplace(mu: $1[0], logScale: $1[1], target: uniformTensor([3, 7], 0.1..<0.9))
        },
        LossCase("meanSquaredError", [4, 5]) {
            $0.meanSquaredError($1[0], target: .zeros([4, 5]), mask: [true, false, true, true])
        },
        LossCase("meanAbsoluteError", [4, 5]) { $0.meanAbsoluteError($1[0], target: uniformTensor([4, 5], -9..<9)) },
        LossCase("softmaxCrossEntropy", [7, 5]) {
            $0.softmaxCrossEntropy($1[0], labels: someLabels(7, classes: 5), labelSmoothing: 0.1, classWeights: weights)
        },
        LossCase("softmaxCrossEntropy of groups", [13, 5]) {
            $0.softmaxCrossEntropy(
                $1[0], labels: someLabels(13, classes: 7), labelSmoothing: 0.1, classWeights: weights, groups: groups)
        },
        LossCase("resizedCrossEntropy of groups", [2, 3, 4, 5]) {
            $0.resizedCrossEntropy(
                $1[0], labels: someLabels(2 * 7 * 11, classes: 7), height: 7, width: 11, classWeights: weights,
                groups: groups)
        },
        LossCase("projectedCrossEntropy of groups", [2, 4, 3, 3], [5, 3], [5]) {
            $0.projectedCrossEntropy(
                $1[0], weight: $1[1], bias: $1[2], labels: someLabels(24, classes: 7), groups: groups)
        },
        LossCase("soft targets", [7, 5]) {
            $0.softmaxCrossEntropy($1[0], targets: uniformTensor([7, 5], 0..<1))
        },
        LossCase("resizedCrossEntropy, up", [2, 3, 4, 5]) {
            $0.resizedCrossEntropy(
                $1[0], labels: mapLabels, height: 7, width: 11, labelSmoothing: 0.1, classWeights: weights)
        },
        LossCase("resizedCrossEntropy, down", [2, 9, 14, 5]) {
            $0.resizedCrossEntropy($1[0], labels: mapLabels, height: 7, width: 11)
        },
        LossCase("projectedCrossEntropy", [2, 4, 3, 3], [5, 3], [5]) {
            $0.projectedCrossEntropy(
                $1[0], weight: $1[1], bias: $1[2], labels: someLabels(24, classes: 5), classWeights: weights)
        },
    ]
}

/// Labels of which every sixth is 255.
private func someLabels(_ count: Int, classes: Int) -> [Int32] {
    (0..<count).map { $0 % 6 == 4 ? 255 : Int32(($0 * 7 + $0 / 3) % classes) }
}

private func uniformTensor(_ shape: [Int], _ range: Range<Float>) -> Tensor {
    var generator = Philox(seed: 5)
    return Tensor((0..<shape.elementCount).map { _ in generator.uniform(range) }, shape)
}

@Suite struct LossTests {
    @Test(arguments: LossCase.all) func gradientMatchesFiniteDifferences(_ loss: LossCase) throws {
        let error = try gradientError(loss.inputs, loss.operation)
        #expect(error < 2e-3)
    }

    @Test func gradientsAddUpWhereAValueIsUsedTwice() throws {
        let error = try gradientError([randomTensor([3, 4, 5], seed: 3)]) { tape, x in
            let parts = [tape.slice(x[0], axis: 1, 0..<3), tape.slice(x[0], axis: 1, 2..<4), tape.softmax(x[0])]
            return tape.concat(parts, axis: 1)
        }
        #expect(error < 2e-3)
    }

    /// Sizes of many tasks.
    @Test func sameBytesForAnyNumberOfThreads() throws {
        let z = randomTensor([4, 37, 29, 11], seed: 1)
        let labels = someLabels(4 * 37 * 29, classes: 11)
        let large = someLabels(4 * 90 * 80, classes: 11)
        let operations: [Operation] = [
            { $0.softmaxCrossEntropy($1[0], labels: labels) },
            { tape, z in
                let groups = [ClassGroup([0, 3, 8], named: 0), ClassGroup([9, 10], named: 9)]
                return tape.resizedCrossEntropy(
                    z[0], labels: someLabels(4 * 90 * 80, classes: 13), height: 90, width: 80, groups: groups)
            }, { $0.uniformKL($1[0]) }, { $0.sum($0.gelu($1[0])) },
            { $0.resizedCrossEntropy($1[0], labels: large, height: 90, width: 80) },
            { $0.gumbelSoftmax($1[0], temperature: 0.5) }, { $0.transpose($1[0], [3, 0, 2, 1]) },
            { $0.logitLaplace(mu: $1[0], logScale: $1[0], target: uniformTensor(z.shape, 0.1..<0.9)) },
            { $0.meanSquaredError($1[0], target: .zeros(z.shape)) },
            { tape, x in tape.gatherRows(tape.reshape(x[0], [4 * 37, 29 * 11]), (0..<300).map { $0 * $0 % 148 }) },
            { tape, x in tape.addBroadcast(x[0], tape.slice(tape.reshape(x[0], [4 * 37 * 29 * 11]), axis: 0, 0..<11)) },
        ]
        for operation in operations { #expect(try isSameForAnyThreads([z], operation)) }
    }

    @Test(arguments: [(height: 7, width: 11), (height: 2, width: 3), (height: 3, width: 4), (height: 24, width: 32)])
    func resizedCrossEntropyIsResizingThenCrossEntropy(_ size: (height: Int, width: Int)) throws {
        let (z, labels) = (randomTensor([2, 3, 4, 5], seed: 4), someLabels(2 * size.height * size.width, classes: 5))
        let resized = Tensor(uninitialized: [2, size.height, size.width, 5])
        func weights(_ i: Int, _ from: Int, _ to: Int) -> [(Int, Float)] {
            let at = max(0, (Float(i) + 0.5) * Float(from) / Float(to) - 0.5)
            let low = min(Int(at), from - 1)
            return [(low, 1 - at + Float(low)), (min(low + 1, from - 1), at - Float(low))]
        }
        for place in 0..<resized.count {
            let (k, x, y) = (place % 5, place / 5 % size.width, place / 5 / size.width % size.height)
            let image = place / 5 / size.width / size.height
            resized.pointer[place] = 0
            for (row, a) in weights(y, 3, size.height) {
                for (column, b) in weights(x, 4, size.width) {
                    resized.pointer[place] += a * b * z.pointer[((image * 3 + row) * 4 + column) * 5 + k]
                }
            }
        }
        let tape = Tape(.inference)
        let plain = tape.softmaxCrossEntropy(Variable(resized), labels: labels).value.scalar
        let fused = tape.resizedCrossEntropy(Variable(z), labels: labels, height: size.height, width: size.width)
        #expect(abs(fused.value.scalar - plain) < 1e-5)
    }

    /// Sizes of many shares, the last tile of each a short one.
    @Test(arguments: MatrixEngine.available)
    func projectedCrossEntropyIsAConvolutionThenCrossEntropy(_ engine: MatrixEngine) throws {
        let labels = someLabels(4 * 37 * 29, classes: 11)
        let inputs = [randomTensor([4, 37, 29, 7], seed: 1), randomTensor([11, 7, 1, 1], seed: 2)]
        let bias = randomTensor([11], seed: 3)
        let weights = (0..<11).map { 0.5 + Float($0) }
        let fused: Operation = {
            $0.projectedCrossEntropy($1[0], weight: $1[1], bias: $1[2], labels: labels, classWeights: weights)
        }
        let plain: Operation = {
            $0.softmaxCrossEntropy(
                $0.conv2d($1[0], weight: $1[1], bias: $1[2]), labels: labels, classWeights: weights)
        }
        try MatrixEngine.$current.withValue(engine) {
            let results = try resultAndGradients(inputs + [bias], fused)
            for (result, wanted) in zip(results, try resultAndGradients(inputs + [bias], plain)) {
                let most = wanted.values.map(abs).max() ?? 0
                #expect(zip(result.values, wanted.values).allSatisfy { abs($0 - $1) <= 2e-6 * most })
                #expect(result.shape == wanted.shape)
            }
            #expect(try isSameForAnyThreads(inputs + [bias], fused))
            let constants = (inputs + [bias]).map { Parameter($0) }
            constants.forEach { $0.freeze() }
            let loss = fused(Tape(.training), constants).value.scalar
            #expect(abs(loss - results[0].scalar) < 1e-6 * abs(loss))
        }
    }

    @Test func withoutALabelledRowLossAndGradientAreZero() {
        for resized in [false, true] {
            let (tape, z) = (Tape(.training), Parameter(randomTensor([1, 2, 3, 5], seed: 2)))
            let labels = [Int32](repeating: 255, count: 6)
            let loss =
                resized
                ? tape.resizedCrossEntropy(z, labels: labels, height: 2, width: 3)
                : tape.softmaxCrossEntropy(z, labels: labels)
            tape.backward(from: loss)
            #expect(loss.value.values == [0])
            #expect(z.gradient?.values == [Float](repeating: 0, count: 30))
        }
    }

    @Test(arguments: [Float.nan, .infinity]) func aBrokenLogitShowsInTheLoss(_ value: Float) {
        let z = randomTensor([3, 5], seed: 2)
        z.pointer[7] = value
        let loss = Tape(.inference).softmaxCrossEntropy(Variable(z), labels: [1, 2, 3])
        #expect(!loss.value.scalar.isFinite)
    }

    @Test func largeLogitsDoNotOverflow() {
        let z = Variable(Tensor([5000, -5000, 4000, 0, 0, 0], [2, 3]))
        #expect(Tape(.inference).softmaxCrossEntropy(z, labels: [2, 0]).value.scalar == (1000 + logf(3)) / 2)
    }

    @Test func argmaxTakesTheFirstOfEquals() {
        let x = Tensor([1, 3, 3, 2, -1, -2, -1, -3, 0, 0, 0, 0, -9, -8, -7, .infinity], [2, 2, 4])
        #expect(x.argmax() == [1, 0, 0, 3])
        let wide = randomTensor([301, 257], seed: 9)
        let expected = (0..<301).map { row in
            Int32((0..<257).max { wide.pointer[row * 257 + $0] < wide.pointer[row * 257 + $1] } ?? -1)
        }
        #expect(wide.argmax() == expected)
    }

    @Test func gumbelNoiseFollowsTheGeneratorWordByWord() {
        let tape = Tape(.inference, generator: Philox(seed: 11, stream: 3, position: 5))
        var generator = tape.generator
        let y = tape.gumbelSoftmax(Variable(.zeros([2, 41])), temperature: 1).value
        let g = (0..<82).map { _ in -log(-log((Double(generator.next() >> 9) + 0.5) * 0x1p-23)) }
        #expect(tape.generator == generator)
        for row in 0..<2 {
            let sum = (0..<41).reduce(0) { $0 + exp(g[row * 41 + $1]) }
            for column in 0..<41 {
                let want = exp(g[row * 41 + column]) / sum
                #expect(abs(Double(y.pointer[row * 41 + column]) - want) < 1e-5 * want)
            }
        }
    }

    @Test func dropPathDropsSamplesAtItsRate() throws {
        let tape = Tape(.training, generator: Philox(seed: 1))
        let factors = try #require(tape.dropPathFactors(batch: 10_000, rate: 0.3)).values
        #expect(Set(factors) == [0, 1 / (1 - 0.3)])
        #expect(abs(Double(factors.filter { $0 == 0 }.count) / 10_000 - 0.3) < 0.02)
        #expect(tape.dropPathFactors(batch: 3, rate: 0) == nil)
        #expect(Tape(.inference).dropPathFactors(batch: 3, rate: 0.3) == nil)
        let x = Variable(randomTensor([2, 3], seed: 1))
        #expect(Tape(.inference).dropPath(x, rate: 0.5) === x)
    }
}
