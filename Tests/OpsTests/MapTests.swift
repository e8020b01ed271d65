import Foundation
import Testing

@testable import BEiTOps
@testable import BEiTTensorCore

/// Norms, pooling, resampling and relu: gradients, threads, and results by their definitions.
@Suite struct MapTests {
    /// An operation of a map `[2, 5, 7, 6]`, a weight and a bias of 6 channels.
    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let operation: @Sendable (Tape, [Parameter]) -> Variable
        var hasWeights = false

        func inputs(_ shape: [Int]) -> [Tensor] {
            let x = randomTensor(shape, seed: 1), channels = [shape[3]]
            return hasWeights ? [x, randomTensor(channels, seed: 2), randomTensor(channels, seed: 3)] : [x]
        }
    }

    static let cases =
        [1, 2, 3, 6].flatMap { groups in
            [false, true].map { gelu in
                Case(
                    testDescription: "group norm, \(groups) groups\(gelu ? ", gelu" : "")",
                    operation: {
                        $0.groupNorm($1[0], groups: groups, weight: $1[1], bias: $1[2], eps: 1e-5, gelu: gelu)
                    }, hasWeights: true)
            }
        }
        + [
            Case(
                testDescription: "batch norm",
                operation: {
                    // An inference tape would use the running statistics: these are the batch's own.
                    let tape = $0.isTraining ? $0 : Tape(.training)
                    let channels = $1[1].shape
                    return tape.batchNorm(
                        $1[0], weight: $1[1], bias: $1[2], runningMean: .zeros(channels),
                        runningVariance: .zeros(channels), eps: 1e-5)
                }, hasWeights: true),
            Case(
                testDescription: "frozen batch norm",
                operation: {
                    $0.batchNorm(
                        $1[0], weight: $1[1], bias: $1[2], runningMean: Tensor(repeating: 0.25, $1[1].shape),
                        runningVariance: Tensor(repeating: 2, $1[1].shape), eps: 1e-5, frozen: true)
                }, hasWeights: true),
            Case(testDescription: "max pool", operation: { $0.maxPool2d($1[0], kernel: 2, stride: 2) }),
            Case(testDescription: "overlapping max pool", operation: { $0.maxPool2d($1[0], kernel: 3, stride: 1) }),
            Case(testDescription: "average pool", operation: { $0.averagePool($1[0], height: 3, width: 8) }),
            Case(testDescription: "nearest", operation: { $0.upsampleNearest($1[0], by: 3) }),
            Case(
                testDescription: "bilinear", operation: { $0.resize($1[0], height: 8, width: 3, method: .bilinear) }),
            Case(
                testDescription: "bicubic",
                operation: { $0.resize($1[0], height: 3, width: 9, method: .bicubic, antialias: true) }),
        ]

    @Test(arguments: cases) func gradientsAreTheDifferences(_ map: Case) throws {
        // Values half a unit apart keep their order under the step, so that the maximum stays where it is.
        var inputs = map.inputs([2, 5, 7, 6])
        if !map.hasWeights {
            var generator = Philox(seed: 5)
            inputs[0] = Tensor(generator.permutation(420).map { 0.5 * Float($0) }, [2, 5, 7, 6])
        }
        let error = try gradientError(inputs, map.operation)
        #expect(error < 5e-3)
    }

    @Test(arguments: cases) func threadsDoNotMatter(_ map: Case) throws {
        #expect(try isSameForAnyThreads(map.inputs([3, 37, 29, 42]), map.operation))
    }

    /// Mean and variance by definition, far from zero and over several slices of pixels.
    @Test func groupNormIsExactFarFromZero() {
        let (height, width, channels, groups) = (61, 53, 42, 6)
        let x = Tensor(randomTensor([2, height, width, channels], seed: 1).values.map { 100 + $0 }, [2, 61, 53, 42])
        let (weight, bias) = (randomTensor([channels], seed: 2), randomTensor([channels], seed: 3))
        let y = Tape(.inference).groupNorm(
            Variable(x), groups: groups, weight: Parameter(weight), bias: Parameter(bias), eps: 1e-5, gelu: true)
        let pixels = height * width
        for image in 0..<2 {
            for group in 0..<groups {
                let places = (0..<pixels).flatMap { pixel in
                    (0..<7).map { (image * pixels + pixel) * channels + group * 7 + $0 }
                }
                let values = places.map { Double(x.pointer[$0]) }
                let mean = values.reduce(0, +) / Double(values.count)
                let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)
                let wrong = zip(places, values).filter { place, value in
                    let channel = place % channels
                    let z =
                        (value - mean) / (variance + 1e-5).squareRoot() * Double(weight.pointer[channel])
                        + Double(bias.pointer[channel])
                    return !(abs(z * (1 + erf(z / 2.squareRoot())) / 2 - Double(y.value.pointer[place])) < 5e-5)
                }
                #expect(wrong.isEmpty)
            }
        }
    }

    @Test func reluAndItsGradient() throws {
        let x = Tensor([-2, 0, 3, -0.0, .infinity, 0.5, -1], [7])
        let found = try resultAndGradients([x]) { $0.relu($1[0]) }
        #expect(found[0].values == [0, 0, 3, 0, .infinity, 0.5, 0])
        let dy = randomTensor([7], seed: 99).values
        #expect(found[1].values == [0, 0, dy[2], 0, dy[4], dy[5], 0])
    }

    @Test func theFirstOfEqualsTakesTheGradient() throws {
        let found = try resultAndGradients([Tensor([1, 4, 4, 4], [1, 2, 2, 1])]) {
            $0.maxPool2d($1[0], kernel: 2, stride: 2)
        }
        #expect(found[0].values == [4])
        #expect(found[1].values == [0, randomTensor([1], seed: 99).values[0], 0, 0])
    }

    @Test func nearestRepeatsPixels() {
        let x = Variable(Tensor([1, 2, 3, 4, 5, 6], [1, 1, 3, 2]))
        let y = Tape(.inference).upsampleNearest(x, by: 2)
        #expect(y.shape == [1, 2, 6, 2])
        let row: [Float] = [1, 2, 1, 2, 3, 4, 3, 4, 5, 6, 5, 6]
        #expect(y.value.values == row + row)
    }

    @Test func tablesAddUpToOne() {
        for table in [
            ResamplingTable.averages(of: 7, bins: 3),
            .interpolation(from: 9, to: 4, .bicubic, antialias: true),
            .interpolation(from: 4, to: 9, .bicubic, antialias: false),
        ] {
            for taps in table.taps { #expect(abs(taps.reduce(0) { $0 + $1.weight } - 1) < 1e-6) }
            #expect(table.transposed.transposed == table)
        }
    }
}
