import CBEiTKernels
import Foundation
import Testing

@testable import BEiTOps
@testable import BEiTTensorCore

/// Every build of the kernels of `winograd.def`: one tile, whose channels are convolved each with its own kernel.
@Suite struct WinogradKernelTests {
    static let levels = (0...beitseg_kernel_level()).filter { beitseg_kernels_at($0) != nil }

    @Test(arguments: levels, [1, 3, 17, 64, 67, 130]) func aTile(_ level: Int32, _ channels: Int) throws {
        let kernels = try #require(beitseg_kernels_at(level)).pointee
        let (height, width, stride) = (7, 5, channels + 3)
        let map = randomTensor([height, width, channels], seed: 1).values
        let kernel = randomTensor([channels, 3, 3], seed: 2).values
        for (top, left) in [(-1, -1), (-1, 3), (3, -1), (3, 3), (0, 0), (9, 9)] {
            var tile = [Float](repeating: .nan, count: 36 * stride), weight = tile
            var result = [Float](repeating: .nan, count: 16 * channels + 1)
            kernels.winograd_input(map, height, width, channels, top, left, &tile, stride)
            kernels.winograd_weight(kernel, channels, &weight, stride)
            var halves = [UInt16](repeating: .max, count: 36 * stride), rounded = halves
            kernels.winograd_input_bf16(map, height, width, channels, top, left, &halves, stride)
            for element in 0..<36 {
                let at = element * stride
                tile.withUnsafeBufferPointer { tile in
                    rounded.withUnsafeMutableBufferPointer { rounded in
                        guard let from = tile.baseAddress, let to = rounded.baseAddress else { return }
                        kernels.float_to_bf16(from + at, to + at, channels)
                    }
                }
            }
            #expect(halves == rounded)
            // Nothing is written between the elements.
            for index in 0..<36 * stride {
                #expect(tile[index].isNaN == (index % stride >= channels))
                #expect(weight[index].isNaN == (index % stride >= channels))
            }
            kernels.winograd_output(zip(tile, weight).map { $0 * $1 }, stride, channels, &result)
            #expect(result.removeLast().isNaN)
            let errors = result.enumerated().map { index, value in
                let (pixel, channel) = index.quotientAndRemainder(dividingBy: channels)
                let want = (0..<9).reduce(0.0) { sum, tap in
                    let (y, x) = (top + pixel / 4 + tap / 3, left + pixel % 4 + tap % 3)
                    guard 0..<height ~= y, 0..<width ~= x else { return sum }
                    return sum + Double(map[(y * width + x) * channels + channel]) * Double(kernel[channel * 9 + tap])
                }
                return abs(Double(value) - want)
            }
            #expect(errors.allSatisfy { $0 < 2e-5 }, "\(errors.max() ?? 0)")
        }
    }

    /// The results of a tile of the transposed convolution: each sees two by two pixels.
    @Test(arguments: levels, [1, 3, 17, 64, 67, 130]) func aFineTile(_ level: Int32, _ channels: Int) throws {
        let kernels = try #require(beitseg_kernels_at(level)).pointee
        let (height, width) = (7, 5)
        // The phases lie side by side, with room behind them.
        let stride = 4 * channels + 3
        let map = randomTensor([height, width, channels], seed: 1).values
        let kernel = randomTensor([channels, 4, 4], seed: 2).values
        for (top, left) in [(-1, -1), (-1, 2), (5, -1), (5, 2), (0, 0), (9, 9)] {
            var tile = [Float](repeating: .nan, count: 16 * stride), weight = tile
            var result = [Float](repeating: .nan, count: 36 * channels + 1)
            kernels.winograd_fine_input(map, height, width, channels, top, left, &tile, stride)
            kernels.winograd_fine_weight(kernel, channels, &weight, stride, channels)
            for index in 0..<16 * stride {
                #expect(tile[index].isNaN == (index % stride >= channels))
                #expect(weight[index].isNaN == (index % stride >= 4 * channels))
            }
            let products = weight.enumerated().map { index, value in
                let (element, column) = index.quotientAndRemainder(dividingBy: stride)
                return value * tile[element * stride + column % channels]
            }
            kernels.winograd_fine_output(products, stride, channels, &result)
            #expect(result.removeLast().isNaN)
            let errors = result.enumerated().map { index, value in
                let (pixel, channel) = index.quotientAndRemainder(dividingBy: channels)
                // Where the result is on the fine map; tap k of pixel y goes to 2y + k − 1.
                let (fineY, fineX) = (2 * top + 1 + pixel / 6, 2 * left + 1 + pixel % 6)
                let want = (0..<16).reduce(0.0) { sum, tap in
                    let (y, x) = (fineY + 1 - tap / 4, fineX + 1 - tap % 4)
                    guard y >= 0, x >= 0, y % 2 == 0, x % 2 == 0, y / 2 < height, x / 2 < width else { return sum }
                    let value = map[(y / 2 * width + x / 2) * channels + channel]
                    return sum + Double(value) * Double(kernel[channel * 16 + tap])
                }
                return abs(Double(value) - want)
            }
            #expect(errors.allSatisfy { $0 < 2e-5 }, "\(errors.max() ?? 0)")
        }
    }
}

/// The transposed convolution 4×4 of stride 2.
@Suite struct TransposedWinogradTests {
    static let cases = [
        (2, 7, 5, 3, 4), (1, 1, 1, 1, 1), (1, 3, 6, 70, 1), (3, 14, 27, 17, 33), (2, 73, 61, 2, 3), (1, 9, 8, 65, 401),
    ]
    .map { ConvolutionCase(images: $0, height: $1, width: $2, inputs: $3, outputs: $4, kernel: 4, stride: 2) }

    @Test(arguments: MatrixEngine.available, cases)
    func valuesAreThoseOfTheDefinition(_ engine: MatrixEngine, _ size: ConvolutionCase) {
        let found = MatrixEngine.$current.withValue(engine) {
            WinogradConvolution(transposed: size.transposedWeight).convolve(size.input, Epilogue(bias: size.bias))
        }
        #expect(difference(found, size.plain(transposed: true)) < 3e-6)
    }

    @Test(arguments: cases) func threadsDoNotMatter(_ size: ConvolutionCase) {
        let bits = [1, 2, 5].map { threads in
            WorkerPool.$scoped.withValue(WorkerPool(threads: threads)) {
                let convolution = WinogradConvolution(transposed: size.transposedWeight)
                return convolution.convolve(size.input, Epilogue(bias: size.bias)).values.map(\.bitPattern)
            }
        }
        #expect(bits[0] == bits[1] && bits[0] == bits[2])
    }

    /// Frozen in float32, where there are channels enough and not too many.
    @Test func whereItIsUsed() {
        let size = ConvolutionCase(height: 9, width: 14, inputs: 48, outputs: 32, kernel: 4, stride: 2)
        let inputs = [size.input, size.transposedWeight, size.bias].map { Parameter($0) }
        let direct = size.convTranspose2d(Tape(.inference), inputs).value
        for (activation, precision) in [
            (Activation.relu, Precision.fp32), (.gelu, .fp32), (.none, .fp32), (.none, .bf16),
        ] {
            let weight = Parameter(size.transposedWeight)
            weight.freezeTransposedConvolution(stride: 2, padding: 1, precision)
            #expect((weight.winograd != nil) == (precision == .fp32) && weight.isPacked && weight.value.count == 0)
            guard precision == .fp32 else { continue }
            let found = Tape(.inference).convTranspose2d(
                inputs[0], weight: weight, bias: inputs[2], stride: 2, padding: 1, activation: activation)
            let expected = Tape(.inference).convTranspose2d(
                inputs[0], weight: inputs[1], bias: inputs[2], stride: 2, padding: 1, activation: activation)
            #expect(difference(found.value, expected.value) < 3e-6)
            #expect(activation != .none || found.value.values != direct.values, "it is not in use")
        }
        let serves = { WinogradConvolution.serves(transposed: $0, stride: $1, padding: $2, .fp32) }
        #expect(serves([128, 64, 4, 4], 2, 1))
        #expect(!serves([256, 128, 4, 4], 2, 1) && !serves([48, 31, 4, 4], 2, 1) && !serves([64, 32, 2, 2], 2, 0))
        #expect(!serves([64, 32, 4, 4], 4, 0) && !serves([64, 32, 4, 4], 2, 0) && !serves([64, 32, 4, 4], 1, 1))
    }
}

@Suite struct WinogradTests {
    static let everywhere = WinogradConvolution.Bounds(channels: 1, tiles: 1)
    static let nowhere = WinogradConvolution.Bounds(channels: .max, tiles: .max)

    /// Maps that are smaller than a tile, or no whole number of tiles; several blocks of tiles; several tasks' outputs.
    static let cases = [
        ConvolutionCase(), ConvolutionCase(images: 1, height: 1, width: 1, inputs: 1, outputs: 1),
        ConvolutionCase(height: 4, width: 8, inputs: 1, outputs: 70),
        ConvolutionCase(height: 9, width: 6, inputs: 70, outputs: 1),
        ConvolutionCase(images: 3, height: 14, width: 27, inputs: 17, outputs: 33),
        ConvolutionCase(images: 2, height: 93, width: 79, inputs: 2, outputs: 3),
        ConvolutionCase(images: 1, height: 18, width: 35, inputs: 65, outputs: 401),
    ]

    @Test(arguments: cases) func aResidualIsAddedInItsPlace(_ size: ConvolutionCase) {
        let inputs = [size.input, size.weight, size.bias].map { Parameter($0) }
        let residual = Variable(randomTensor(size.plain(transposed: false).shape, seed: 4))
        let tape = Tape(.inference)
        WinogradConvolution.$bounds.withValue(Self.everywhere) {
            let found = tape.conv2d(
                inputs[0], weight: inputs[1], bias: inputs[2], padding: 1, residual: residual, gain: 0.3)
            let expected = tape.add(residual, tape.scale(size.conv2d(tape, inputs), 0.3))
            #expect(difference(found.value, expected.value) < 1e-6)
        }
    }

    @Test(arguments: MatrixEngine.available, cases)
    func valuesAreThoseOfTheDefinition(_ engine: MatrixEngine, _ size: ConvolutionCase) {
        let inputs = [size.input, size.weight, size.bias].map { Parameter($0) }
        let expected = size.plain(transposed: false)
        func convolve(_ bounds: WinogradConvolution.Bounds) -> Tensor {
            MatrixEngine.$current.withValue(engine) {
                WinogradConvolution.$bounds.withValue(bounds) { size.conv2d(Tape(.inference), inputs).value }
            }
        }
        let (found, direct) = (convolve(Self.everywhere), convolve(Self.nowhere))
        #expect(difference(found, expected) < 1e-5)
        #expect(difference(found, direct) < 1e-5)
        #expect(found.count < 100 || found.values != direct.values, "it is not in use")
    }

    /// Of transformed tiles and kernels rounded to bfloat16, as good as sums of bytes.
    @Test(arguments: cases) func inBFloat16(_ size: ConvolutionCase) {
        let convolution = WinogradConvolution(size.weight, .bfloat16)
        let found = convolution.convolve(size.input, Epilogue(bias: size.bias))
        let expected = size.plain(transposed: false)
        let error = zip(found.values, expected.values).reduce(0) { $0 + pow(Double($1.0 - $1.1), 2) }
        let deviation = (error / Double(found.count)).squareRoot()
        #expect(deviation < 0.015)
        #expect(found.count < 100 || deviation > 1e-4, "it multiplies floats")
    }

    @Test(arguments: MatrixEngine.available, cases)
    func biasAndActivation(_ engine: MatrixEngine, _ size: ConvolutionCase) {
        let (x, weight, bias) = (Variable(size.input), Parameter(size.weight), Parameter(size.bias))
        for bias in [bias, nil] {
            for activation in [Activation.none, .relu, .gelu] {
                let (found, direct) = MatrixEngine.$current.withValue(engine) {
                    let results = [Self.everywhere, Self.nowhere].map { bounds in
                        WinogradConvolution.$bounds.withValue(bounds) {
                            Tape(.inference).conv2d(x, weight: weight, bias: bias, padding: 1, activation: activation)
                        }
                    }
                    return (results[0].value, results[1].value)
                }
                #expect(difference(found, direct) < 1e-5)
            }
        }
    }

    @Test(arguments: MatrixEngine.available, cases)
    func threadsDoNotMatter(_ engine: MatrixEngine, _ size: ConvolutionCase) {
        let inputs = [size.input, size.weight, size.bias].map { Parameter($0) }
        let bits = [1, 2, 5].map { threads in
            WorkerPool.$scoped.withValue(WorkerPool(threads: threads)) {
                MatrixEngine.$current.withValue(engine) {
                    WinogradConvolution.$bounds.withValue(Self.everywhere) {
                        size.conv2d(Tape(.inference), inputs).value.values.map(\.bitPattern)
                    }
                }
            }
        }
        #expect(bits[0] == bits[1] && bits[0] == bits[2])
    }

    /// Only in inference, of kernels of 3×3 with stride 1 and padding 1, of many channels on many tiles.
    @Test func whereItIsUsed() {
        #expect(WinogradConvolution.pays([768, 768, 3, 3], [1, 128, 128, 768]))
        #expect(!WinogradConvolution.pays([768, 768, 3, 3], [1, 16, 16, 768]))
        #expect(WinogradConvolution.pays([768, 768, 3, 3], [2, 16, 16, 768]))
        #expect(!WinogradConvolution.pays([768, 63, 3, 3], [1, 128, 128, 63]))
        #expect(!WinogradConvolution.pays([768, 768, 1, 1], [1, 128, 128, 768]))
        let other = [
            ConvolutionCase(stride: 2), ConvolutionCase(padding: 0), ConvolutionCase(padding: 2),
            ConvolutionCase(kernel: 5),
        ]
        for (size, mode) in [(ConvolutionCase(), Tape.Mode.training)] + other.map({ ($0, .inference) }) {
            let inputs = [size.input, size.weight, size.bias].map { Parameter($0) }
            let results = [Self.everywhere, Self.nowhere].map { bounds in
                WinogradConvolution.$bounds.withValue(bounds) { size.conv2d(Tape(mode), inputs).value.values }
            }
            #expect(results[0] == results[1])
        }
    }
}
