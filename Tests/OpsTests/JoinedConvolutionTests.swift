import Testing

@testable import BEiTOps
@testable import BEiTTensorCore

/// The convolution of maps that are resized and joined, against doing so.
@Suite struct JoinedConvolutionTests {
    /// Sizes of maps, height × width × channels.
    struct Case: Sendable, CustomTestStringConvertible {
        var maps: [[Int]]
        var outputs = 5, kernel = 3
        var testDescription: String { "\(maps) kernel \(kernel)" }

        var inputs: [Tensor] {
            let channels = maps.reduce(0) { $0 + $1[2] }
            let deviation = 1 / Float(channels * kernel * kernel).squareRoot()
            let weight = randomTensor([outputs, channels, kernel, kernel], seed: 20).values.map { deviation * $0 }
            return maps.enumerated().map { randomTensor([2] + $1, seed: UInt64($0)) }
                + [Tensor(weight, [outputs, channels, kernel, kernel]), randomTensor([outputs], seed: 21)]
        }

        func joined(_ tape: Tape, _ x: [Parameter]) -> Variable {
            tape.conv2d(joining: Array(x.prefix(maps.count)), weight: x[maps.count], bias: x[maps.count + 1])
        }

        func plain(_ tape: Tape, _ x: [Parameter]) -> Variable {
            let size = maps[0]
            let resized = x.prefix(maps.count).map {
                tape.resize($0, height: size[0], width: size[1], method: .bilinear)
            }
            return tape.conv2d(
                tape.concat(resized, axis: 3), weight: x[maps.count], bias: x[maps.count + 1], padding: kernel / 2)
        }
    }

    static let cases = [
        Case(maps: [[7, 5, 3]]), Case(maps: [[8, 6, 3], [4, 3, 2], [2, 1, 4]]),
        Case(maps: [[7, 5, 2], [7, 5, 3]]), Case(maps: [[9, 4, 1], [5, 2, 3], [1, 1, 2]], kernel: 1),
        Case(maps: [[2, 3, 2], [6, 6, 3]]), Case(maps: [[1, 1, 2], [3, 2, 2]]),
        Case(maps: [[11, 13, 3], [5, 7, 2]], outputs: 4, kernel: 5),
        Case(maps: [[33, 29, 37], [16, 15, 41], [6, 6, 40]], outputs: 401),
        // So many inputs that bytes are multiplied.
        Case(maps: [[9, 10, 8], [5, 5, 4]], outputs: 6),
    ]

    @Test(arguments: cases, MatrixEngine.available) func equalsTheConvolutionOfTheJoinedMap(
        _ map: Case, _ engine: MatrixEngine
    ) throws {
        try MatrixEngine.$current.withValue(engine) {
            let found = try resultAndGradients(map.inputs, map.joined)
            let want = try resultAndGradients(map.inputs, map.plain)
            for (x, y) in zip(found, want) { #expect(difference(x, y) < 1e-4) }
        }
    }

    struct Packed: Sendable, CustomTestStringConvertible {
        var precision: Precision
        /// Whether Winograd's way serves these few channels and pixels too.
        var winograd: Bool
        var testDescription: String { "\(precision)\(winograd ? " by Winograd" : "")" }

        static let all = Precision.allCases.filter { $0.problem == nil }.flatMap { precision in
            [false, true].map { Packed(precision: precision, winograd: $0) }
        }

        func weight(_ map: Case, _ weight: Tensor, _ prepare: (Parameter) -> Void = { _ in }) -> Parameter {
            let parameter = Parameter(weight, outputAxis: 0)
            prepare(parameter)
            WinogradConvolution.$bounds.withValue(winograd ? WinogradTests.everywhere : WinogradTests.nowhere) {
                // Twice, as a module within others is.
                for _ in 0..<2 { parameter.freezeJoinedConvolution(channels: map.maps.map { $0[2] }, precision) }
            }
            return parameter
        }

        func convolve(_ map: Case, _ weight: Parameter) -> Tensor {
            WinogradConvolution.$bounds.withValue(winograd ? WinogradTests.everywhere : WinogradTests.nowhere) {
                let inputs = map.inputs.map { Parameter($0) }
                return Tape(.inference).conv2d(
                    joining: Array(inputs.prefix(map.maps.count)), weight: weight, bias: inputs[map.maps.count + 1],
                    activation: .relu
                ).value
            }
        }
    }

    @Test(arguments: cases, Packed.all) func packedWeightsAndActivation(_ map: Case, _ packed: Packed) {
        for engine in MatrixEngine.available {
            MatrixEngine.$current.withValue(engine) {
                let values = map.inputs
                let want = map.plain(Tape(.inference), values.map { Parameter($0) }).value
                let weight = packed.weight(map, values[map.maps.count])
                let isWinograd = packed.winograd && map.kernel == 3
                #expect(
                    (weight.winograd != nil)
                        == (isWinograd && packed.precision != .fp32 && Precision.bf16.problem == nil))
                let isPlain = isWinograd && (packed.precision == .fp32 || weight.winograd != nil)
                #expect(weight.packedMatrices.count == map.maps.count - (isPlain ? 1 : 0))
                let rectified = Tensor(want.values.map { max(0, $0) }, want.shape)
                let bound: Float =
                    packed.precision == .fp32 ? 1e-4 : packed.precision == .bf16 && !isWinograd ? 0.01 : 0.05
                #expect(difference(packed.convolve(map, weight), rectified) < bound)
            }
        }
    }

    /// A kernel of bytes and scales, as a file of int8 holds it, is that of its floats.
    @Test(arguments: cases, Packed.all) func heldAsBytes(_ map: Case, _ packed: Packed) {
        let values = map.inputs[map.maps.count]
        let bytes = QuantizedWeight(values, axis: 0), floats = Tensor(uninitialized: values.shape)
        bytes.expand(into: floats)
        let expanded = packed.convolve(map, packed.weight(map, floats))
        let held = packed.convolve(map, packed.weight(map, values) { $0.hold(bytes) })
        // The bytes of rounded floats may be others by one.
        #expect(difference(held, expanded) < (packed.precision == .int8 ? 0.02 : 1e-6))
    }

    @Test(arguments: cases, Packed.all) func threadsDoNotMatterOncePacked(_ map: Case, _ packed: Packed) {
        let bits = [1, 2, 5].map { threads in
            WorkerPool.$scoped.withValue(WorkerPool(threads: threads)) {
                packed.convolve(map, packed.weight(map, map.inputs[map.maps.count])).values.map(\.bitPattern)
            }
        }
        #expect(bits[0] == bits[1] && bits[0] == bits[2])
    }

    @Test(arguments: cases) func threadsDoNotMatter(_ map: Case) throws {
        #expect(try isSameForAnyThreads(map.inputs, map.joined))
    }
}
