import Testing

@testable import BEiTOps
@testable import BEiTTensorCore

/// A geometry with uneven sizes.
struct ConvolutionCase: Sendable, CustomTestStringConvertible {
    var images = 2, height = 7, width = 5, inputs = 3, outputs = 4, kernel = 3, stride = 1, padding = 1
    var testDescription: String {
        "\(images)×\(height)×\(width)×\(inputs)→\(outputs) kernel \(kernel) stride \(stride) padding \(padding)"
    }

    static let small = [
        ConvolutionCase(), ConvolutionCase(kernel: 1, padding: 0), ConvolutionCase(kernel: 1, stride: 2, padding: 0),
        ConvolutionCase(images: 1, kernel: 3, stride: 2), ConvolutionCase(kernel: 4, stride: 2, padding: 1),
        ConvolutionCase(kernel: 2, stride: 2, padding: 0), ConvolutionCase(kernel: 5, stride: 3, padding: 2),
        ConvolutionCase(kernel: 4, stride: 4, padding: 0), ConvolutionCase(kernel: 7, padding: 3),
        ConvolutionCase(kernel: 2, stride: 3, padding: 1), ConvolutionCase(height: 2, width: 3, kernel: 3, padding: 1),
        ConvolutionCase(height: 5, width: 3, kernel: 3, padding: 2),
    ]
    /// Several tiles of positions, channels and shares.
    static let large = [
        ConvolutionCase(height: 29, width: 31, inputs: 37, outputs: 41),
        ConvolutionCase(images: 1, height: 15, width: 13, inputs: 35, outputs: 401, kernel: 4, stride: 2),
        ConvolutionCase(images: 3, height: 13, width: 19, inputs: 67, outputs: 33, kernel: 1, padding: 0),
        ConvolutionCase(images: 1, height: 40, width: 44, inputs: 5, outputs: 9, kernel: 7, stride: 2, padding: 3),
    ]

    var input: Tensor { randomTensor([images, height, width, inputs], seed: 1) }
    var weight: Tensor { weight([outputs, inputs, kernel, kernel]) }
    var transposedWeight: Tensor { weight([inputs, outputs, kernel, kernel]) }
    var bias: Tensor { randomTensor([outputs], seed: 3) }

    /// Such that results are about as large as inputs.
    private func weight(_ shape: [Int]) -> Tensor {
        let deviation = 1 / Float(inputs * kernel * kernel).squareRoot()
        return Tensor(randomTensor(shape, seed: 2).values.map { deviation * $0 }, shape)
    }

    func conv2d(_ tape: Tape, _ x: [Parameter]) -> Variable {
        tape.conv2d(x[0], weight: x[1], bias: x[2], stride: stride, padding: padding)
    }

    func convTranspose2d(_ tape: Tape, _ x: [Parameter]) -> Variable {
        tape.convTranspose2d(x[0], weight: x[1], bias: x[2], stride: stride, padding: padding)
    }

    /// By the definition: every input pixel and every tap meet at one output pixel.
    func plain(transposed: Bool) -> Tensor {
        let (x, w) = (input.values, (transposed ? transposedWeight : weight).values)
        func side(_ n: Int) -> Int {
            transposed ? (n - 1) * stride - 2 * padding + kernel : (n + 2 * padding - kernel) / stride + 1
        }
        let (h, v) = (side(height), side(width))
        var y = [Double](repeating: 0, count: images * h * v * outputs)
        for (image, row, column) in pixels(images, transposed ? height : h, transposed ? width : v) {
            for (tap, far, near) in pixels(kernel * kernel, 1, 1) {
                // `row`, `column` count in steps of the stride; (r, c) is the pixel of the other map below the tap.
                let r = row * stride + tap / kernel - padding + far
                let c = column * stride + tap % kernel - padding + near
                guard r >= 0, c >= 0, r < (transposed ? h : height), c < (transposed ? v : width) else { continue }
                let strided = (image * (transposed ? height : h) + row) * (transposed ? width : v) + column
                let other = (image * (transposed ? h : height) + r) * (transposed ? v : width) + c
                for i in 0..<inputs {
                    for o in 0..<outputs {
                        let matrix = transposed ? i * outputs + o : o * inputs + i
                        y[(transposed ? other : strided) * outputs + o] +=
                            Double(x[(transposed ? strided : other) * inputs + i])
                            * Double(w[matrix * kernel * kernel + tap])
                    }
                }
            }
        }
        let bias = bias.values
        return Tensor(y.enumerated().map { Float($1 + Double(bias[$0 % outputs])) }, [images, h, v, outputs])
    }
}

private func pixels(_ images: Int, _ height: Int, _ width: Int) -> [(Int, Int, Int)] {
    (0..<images).flatMap { i in (0..<height).flatMap { y in (0..<width).map { x in (i, y, x) } } }
}

@Suite struct ConvolutionTests {
    @Test(arguments: MatrixEngine.available, ConvolutionCase.small + ConvolutionCase.large)
    func valuesAreThoseOfTheDefinition(_ engine: MatrixEngine, _ size: ConvolutionCase) {
        MatrixEngine.$current.withValue(engine) {
            let inputs = [size.input, size.weight, size.bias].map { Parameter($0) }
            let expected = size.plain(transposed: false)
            #expect(difference(size.conv2d(Tape(.inference), inputs).value, expected) < 1e-5)
            inputs[1].freezeConvolution(.fp32)
            #expect(difference(size.conv2d(Tape(.inference), inputs).value, expected) < 1e-5)
        }
    }

    @Test(arguments: MatrixEngine.available, ConvolutionCase.small + ConvolutionCase.large)
    func transposedValuesAreThoseOfTheDefinition(_ engine: MatrixEngine, _ size: ConvolutionCase) {
        MatrixEngine.$current.withValue(engine) {
            let inputs = [size.input, size.transposedWeight, size.bias].map { Parameter($0) }
            let expected = size.plain(transposed: true)
            #expect(difference(size.convTranspose2d(Tape(.inference), inputs).value, expected) < 1e-5)
            inputs[1].freezeTransposedConvolution(stride: size.stride, padding: size.padding, .fp32)
            #expect(difference(size.convTranspose2d(Tape(.inference), inputs).value, expected) < 1e-5)
        }
    }

    // Both are linear in each input: a large step is exact.
    @Test(arguments: MatrixEngine.available, ConvolutionCase.small)
    func gradientsAreTheDifferences(_ engine: MatrixEngine, _ size: ConvolutionCase) throws {
        try MatrixEngine.$current.withValue(engine) {
            let error = try gradientError([size.input, size.weight, size.bias], epsilon: 0.5, size.conv2d)
            #expect(error < 1e-4)
            let inputs = [size.input, size.transposedWeight, size.bias]
            let transposedError = try gradientError(inputs, epsilon: 0.5, size.convTranspose2d)
            #expect(transposedError < 1e-4)
        }
    }

    /// ⟨A x, y⟩ = ⟨x, Aᵀ y⟩ and its like for the weights, where differences would take too long.
    @Test(arguments: MatrixEngine.available, ConvolutionCase.large)
    func gradientsAreAdjoint(_ engine: MatrixEngine, _ size: ConvolutionCase) throws {
        try MatrixEngine.$current.withValue(engine) {
            let zero = Tensor.zeros([size.outputs])
            for (weight, operation) in [(size.weight, size.conv2d), (size.transposedWeight, size.convTranspose2d)] {
                let found = try resultAndGradients([size.input, weight, zero], operation)
                let product = dot(found[0], randomTensor(found[0].shape, seed: 99))
                let scale = dot(found[0], found[0])
                #expect(abs(dot(found[1], size.input) - product) < 1e-6 * scale)
                #expect(abs(dot(found[2], weight) - product) < 1e-6 * scale)
            }
        }
    }

    @Test(arguments: ConvolutionCase.large)
    func threadsDoNotMatter(_ size: ConvolutionCase) throws {
        #expect(try isSameForAnyThreads([size.input, size.weight, size.bias], size.conv2d))
        #expect(try isSameForAnyThreads([size.input, size.transposedWeight, size.bias], size.convTranspose2d))
    }

    /// ReLU before and after, residual and gain in the convolution's own pass, against operations of their own.
    @Test(arguments: ConvolutionCase.large) func endsInTheSamePass(_ size: ConvolutionCase) throws {
        func check(_ inputs: [Tensor], _ fused: Operation, _ plain: Operation) throws {
            for (result, wanted) in zip(try resultAndGradients(inputs, fused), try resultAndGradients(inputs, plain)) {
                #expect(difference(result, wanted) < 1e-6)
            }
        }
        let inputs = [size.input, size.weight, size.bias]
        try check(inputs) {
            $0.conv2d(
                $1[0], weight: $1[1], bias: $1[2], stride: size.stride, padding: size.padding, activation: .relu)
        } _: {
            $0.plainRelu(size.conv2d($0, $1))
        }
        if size.stride == 1 {
            // What is added to the gradient that is there, and what is not.
            for isRead in [false, true] {
                try check(inputs) {
                    let y = $0.conv2d(
                        $1[0], weight: $1[1], bias: $1[2], padding: size.padding, rectifies: true)
                    return isRead ? $0.add(y, size.conv2d($0, $1)) : y
                } _: {
                    let y = $0.conv2d($0.plainRelu($1[0]), weight: $1[1], bias: $1[2], padding: size.padding)
                    return isRead ? $0.add(y, size.conv2d($0, $1)) : y
                }
            }
        }
        let residual = randomTensor(size.plain(transposed: false).shape, seed: 4)
        try check(inputs + [residual]) {
            $0.conv2d(
                $1[0], weight: $1[1], bias: $1[2], stride: size.stride, padding: size.padding, residual: $1[3],
                gain: 0.25)
        } _: {
            $0.add($1[3], $0.scale(size.conv2d($0, $1), 0.25))
        }
    }

    @Test func onlyWhatIsAskedForGetsAGradient() throws {
        let size = ConvolutionCase()
        let (weight, bias) = (Parameter(size.weight), Parameter(size.bias))
        bias.freeze()
        let tape = Tape(.training)
        let y = tape.conv2d(Variable(size.input), weight: weight, bias: bias, padding: 1)
        tape.backward(from: y)
        #expect(weight.gradient != nil && bias.gradient == nil)
    }
}

private func dot(_ x: Tensor, _ y: Tensor) -> Double {
    zip(x.values, y.values).reduce(0) { $0 + Double($1.0) * Double($1.1) }
}
