import Foundation
import Testing

@testable import BEiTOps
@testable import BEiTTensorCore

/// As many channels as a weight has.
private func someStatistics(_ weight: Parameter) -> RunningStatistics {
    RunningStatistics(mean: Tensor(repeating: 0.25, weight.shape), variance: Tensor(repeating: 2, weight.shape))
}

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
        [Activation.none, .gelu].map { activation in
            Case(
                testDescription: "batch norm, activation \(activation)",
                operation: {
                    // An inference tape would use the running statistics: these are the batch's own.
                    let tape = $0.isTraining ? $0 : Tape(.training)
                    return tape.batchNorm(
                        $1[0], weight: $1[1], bias: $1[2], running: someStatistics($1[1]), eps: 1e-5,
                        activation: activation)
                }, hasWeights: true)
        }
        + [1, 2, 3, 6].flatMap { groups in
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
                testDescription: "batch norm by running statistics",
                operation: {
                    $0.usesRunningStatistics = true
                    return $0.batchNorm($1[0], weight: $1[1], bias: $1[2], running: someStatistics($1[1]), eps: 1e-5)
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

    /// Its slope jumps, so that differences say nothing: against the two passes that it stands for.
    @Test func batchNormWithReluIsBoth() throws {
        let inputs = MapTests.cases[0].inputs([2, 5, 7, 6])
        func results(_ both: (Tape, [Parameter]) -> Variable) throws -> [Tensor] {
            try resultAndGradients(inputs, both)
        }
        let fused = try results {
            $0.batchNorm(
                $1[0], weight: $1[1], bias: $1[2], running: someStatistics($1[1]), eps: 1e-5, activation: .relu)
        }
        let apart = try results {
            $0.plainRelu($0.batchNorm($1[0], weight: $1[1], bias: $1[2], running: someStatistics($1[1]), eps: 1e-5))
        }
        for (x, y) in zip(fused, apart) { #expect(difference(x, y) < 1e-6) }
        #expect(fused[0].values.contains(0))
    }

    /// The running statistics move when they are told to, and not before; where a channel has one value, never.
    @Test func runningStatisticsWaitForTheUpdate() {
        let (weight, bias) = (Parameter(Tensor(repeating: 1, [2])), Parameter(.zeros([2])))
        let running = RunningStatistics(mean: Tensor([1, 2], [2]), variance: Tensor([3, 4], [2]))
        let tape = Tape(.training)
        _ = tape.batchNorm(
            Variable(Tensor([0, 10, 4, 12], [1, 1, 2, 2])), weight: weight, bias: bias, running: running, eps: 1e-5)
        #expect(running.mean.values == [1, 2] && running.variance.values == [3, 4])
        tape.statistics.forEach { $0.apply() }
        #expect(difference(running.mean, Tensor([1.1, 2.9], [2])) < 1e-6)
        #expect(difference(running.variance, Tensor([3.5, 3.8], [2])) < 1e-6)
        let single = tape.batchNorm(
            Variable(Tensor([1.1, 2.9], [1, 1, 1, 2])), weight: weight, bias: bias, running: running, eps: 1e-5)
        #expect(tape.statistics.count == 1)
        #expect(difference(single.value, .zeros([1, 1, 1, 2])) < 1e-6)
    }

    /// Of a segment that is computed twice they are noted once.
    @Test func aRepeatedSegmentNotesItsStatisticsOnce() {
        let (weight, bias) = (Parameter(Tensor(repeating: 1, [3])), Parameter(.zeros([3])))
        let running = someStatistics(weight)
        let tape = Tape(.training)
        let y = tape.checkpoint(Parameter(randomTensor([2, 4, 5, 3], seed: 1))) {
            $1.batchNorm($0, weight: weight, bias: bias, running: running, eps: 1e-5)
        }
        tape.backward(from: y)
        #expect(tape.statistics.count == 1)
        #expect(running.mean.values == someStatistics(weight).mean.values)
    }

    /// Whole channels go, about as many as asked for, others are scaled; the gradient takes the same way; the generator
    /// decides.
    @Test func channelDropout() throws {
        let x = Tensor(repeating: 3, [4, 2, 3, 500])
        let found = try resultAndGradients([x]) { $0.channelDropout($1[0], rate: 0.25) }
        let upstream = randomTensor([4, 2, 3, 500], seed: 99)
        var (kept, wrong) = (0, 0)
        for image in 0..<4 {
            for channel in 0..<500 {
                let places = (0..<6).map { (image * 6 + $0) * 500 + channel }
                let isKept = found[0].pointer[places[0]] != 0
                kept += isKept ? 1 : 0
                let slope: Float = isKept ? 4 / 3 : 0
                wrong += places.count {
                    !(abs(found[0].pointer[$0] - 3 * slope) < 1e-5
                        && abs(found[1].pointer[$0] - slope * upstream.pointer[$0]) < 1e-5)
                }
            }
        }
        #expect(wrong == 0)
        #expect(abs(Double(kept) / 2000 - 0.75) < 0.04)
        #expect(Tape(.inference).channelDropout(Variable(x), rate: 0.25).value.values == x.values)
        let other = Tape(.training, generator: Philox(seed: 1)).channelDropout(Variable(x), rate: 0.25)
        #expect(other.value.values != found[0].values)
    }

    @Test func reluAndItsGradient() throws {
        let x = Tensor([-2, 0, 3, -0.0, .infinity, 0.5, -1], [1, 1, 7, 1]), one = Tensor(repeating: 1, [1, 1, 1, 1])
        let found = try resultAndGradients([x, one]) { $0.conv2d($1[0], weight: $1[1], rectifies: true) }
        #expect(found[0].values == [0, 0, 3, 0, .infinity, 0.5, 0])
        let dy = randomTensor(x.shape, seed: 99).values
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
