import Testing

@testable import BEiTOps
@testable import BEiTTensorCore

/// Weights as files of int8 have them.
@Suite struct QuantizedWeightTests {
    static let shapes: [(shape: [Int], axis: Int)] = [
        ([5, 12], 0), ([3, 4, 2, 3], 0), ([4, 5, 3, 2], 1), ([8, 3, 4, 4], 1),
    ]

    private func bytes(_ tensor: Tensor) -> [Int8] {
        Array(UnsafeBufferPointer(start: tensor.signedBytes, count: tensor.count))
    }

    /// The largest of each output is ±127, and no weight is off by more than half a step.
    @Test(arguments: shapes) func stepsAreThoseOfTheOutput(_ c: (shape: [Int], axis: Int)) {
        let weight = randomTensor(c.shape, seed: 3), quantized = QuantizedWeight(weight, axis: c.axis)
        #expect(quantized.scales.count == c.shape[c.axis])
        let found = Tensor(uninitialized: c.shape)
        quantized.expand(into: found)
        let bytes = bytes(quantized.bytes)
        let inner = c.shape[(c.axis + 1)...].reduce(1, *)
        var largest = [Int8](repeating: 0, count: c.shape[c.axis])
        for index in 0..<weight.count {
            let output = index / inner % c.shape[c.axis], scale = quantized.scales.pointer[output]
            largest[output] = max(largest[output], abs(bytes[index]))
            #expect(found.pointer[index] == Float(bytes[index]) * scale)
            #expect(abs(found.pointer[index] - weight.pointer[index]) <= 0.50001 * scale)
        }
        #expect(largest.allSatisfy { $0 == 127 })
    }

    @Test(arguments: shapes) func aSecondTimeLosesNothing(_ c: (shape: [Int], axis: Int)) {
        let first = QuantizedWeight(randomTensor(c.shape, seed: 4), axis: c.axis)
        let expanded = Tensor(uninitialized: c.shape)
        first.expand(into: expanded)
        let second = QuantizedWeight(expanded, axis: c.axis)
        #expect(bytes(first.bytes) == bytes(second.bytes))
        #expect(zip(first.scales.values, second.scales.values).allSatisfy { abs($0 - $1) <= 1e-6 * $0 })
    }

    /// Zero outputs, subnormal and huge ones.
    @Test func extremes() {
        let weight = Tensor([0, 0, 0, 0, 1e-40, 0, 0, -1e-40, 3e38, -3e38, 1, 0], [3, 4])
        let quantized = QuantizedWeight(weight, axis: 0)
        #expect(quantized.scales.values.allSatisfy { $0.isNormal && $0 > 0 })
        #expect(bytes(quantized.bytes) == [0, 0, 0, 0, 0, 0, 0, 0, 127, -127, 0, 0])
    }

    /// A layer that takes bytes from a file computes what it does when it quantises the floats itself.
    @Test func bytesOfAFileMultiplyAsThey() {
        let weight = randomTensor([7, 24], seed: 5), x = Variable(randomTensor([3, 24], seed: 6))
        let (own, held) = (Parameter(weight.copy(), outputAxis: 0), Parameter(.zeros([7, 24]), outputAxis: 0))
        held.hold(QuantizedWeight(weight, axis: 0))
        let results = [own, held].map {
            $0.freezePacked(.int8)
            return Tape(.inference).linear(x, weight: $0).value.values
        }
        #expect(results[0] == results[1])
        #expect(held.isPacked && held.value.count == 0)
    }

    /// Kernels are cut into the phases of their stride, or the channels of each map, whose own largest is not that of the
    /// output: the bytes of the file come again all the same, also behind a norm that went into them.
    @Test(arguments: [false, true]) func phasesKeepTheScalesOfTheFile(scaled: Bool) {
        let shape = [8, 3, 4, 4], quantized = QuantizedWeight(randomTensor(shape, seed: 7), axis: 1)
        let x = randomTensor([1, 3, 5, 8], seed: 8)
        let (floats, kernel) = (Parameter(.zeros(shape), outputAxis: 1), Parameter(.zeros(shape), outputAxis: 1))
        quantized.expand(into: floats.value)
        kernel.hold(quantized)
        if scaled { for parameter in [floats, kernel] { parameter.scaleOutputs(by: [-0.3, 1.7, 0.01]) } }
        kernel.freezeTransposedConvolution(stride: 2, padding: 0, .int8)
        // The input of a product in bytes, as floats.
        let steps = x.convertedMap(to: .uint8)
        let (scale, zero) = (steps.quantization!.scales[0], steps.quantization!.zeros[0])
        let rounded = Tensor(
            (0..<x.count).map { scale * Float(Int32(steps.bytes[$0]) - zero) }, x.shape)
        let want = Tape(.inference).convTranspose2d(Variable(rounded), weight: floats, stride: 2, padding: 1).value
        let found = Tape(.inference).convTranspose2d(Variable(x), weight: kernel, stride: 2, padding: 1).value
        let largest = want.values.map(abs).max() ?? 0
        #expect(zip(found.values, want.values).allSatisfy { abs($0 - $1) < 1e-5 * largest })
    }

    /// Of 6 channels 4 taps and 2 can be multiplied in bytes, and 1 cannot.
    @Test func phasesOfDifferentTypes() {
        let weight = randomTensor([6, 3, 3, 3], seed: 7), x = Variable(randomTensor([2, 4, 5, 6], seed: 8))
        let (floats, bytes) = (Parameter(weight, outputAxis: 1), Parameter(weight, outputAxis: 1))
        bytes.freezeTransposedConvolution(stride: 2, padding: 0, .int8)
        #expect(Set(bytes.packedMatrices.map(\.inputType)) == [.uint8, .float32])
        let want = Tape(.inference).convTranspose2d(x, weight: floats, stride: 2, padding: 1).value
        let found = Tape(.inference).convTranspose2d(x, weight: bytes, stride: 2, padding: 1).value
        let largest = want.values.map(abs).max() ?? 0
        #expect(zip(found.values, want.values).allSatisfy { abs($0 - $1) < 0.03 * largest })
    }

    @Test func otherUsesGetFloats() {
        let shape = [5, 6], quantized = QuantizedWeight(randomTensor(shape, seed: 9), axis: 0)
        let want = Tensor(uninitialized: shape)
        quantized.expand(into: want)
        let parameter = Parameter(.zeros(shape), outputAxis: 0)
        parameter.hold(quantized)
        parameter.freeze()
        #expect(parameter.value.values == want.values)
    }
}
