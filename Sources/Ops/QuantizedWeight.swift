import BEiTTensorCore

/// A weight in a quarter of the space, as files keep it: weight = byte · scale, with a scale for each output.
package struct QuantizedWeight {
    /// Of the weight's shape, int8 from −127 to 127.
    package let bytes: Tensor
    /// As many as outputs, normal numbers above 0.
    package let scales: Tensor
    private let runs: OutputRuns

    /// - Parameter axis: of the outputs.
    package init(bytes: Tensor, scales: Tensor, axis: Int) {
        (self.bytes, self.scales, runs) = (bytes, scales, OutputRuns(bytes.shape, axis: axis))
        precondition(bytes.elementType == .int8 && scales.count == runs.outputs, "scales \(scales.shape)")
    }

    /// Quantises floats, symmetrically: the largest of each output becomes ±127.
    package init(_ weight: Tensor, axis: Int) {
        self.init(
            bytes: Tensor(uninitialized: weight.shape, .int8), scales: Tensor(uninitialized: [weight.shape[axis]]),
            axis: axis)
        let (from, to, scales, runs) = (weight.pointer, bytes.signedBytes, scales.pointer, runs)
        WorkerPool.current.run(runs.outputs, grain: 16) { outputs in
            for output in outputs {
                var most: Float = 0
                runs.forEach(of: output) { for index in $0 { most = max(most, abs(from[index])) } }
                let scale = min(most, .greatestFiniteMagnitude / 2) / 127
                scales[output] = scale < .leastNormalMagnitude ? 1 : scale
                runs.forEach(of: output) {
                    let at = $0.lowerBound
                    Self.quantize(from + at, $0.count, scale: scales[output], into: to + at)
                }
            }
        }
    }

    /// The shape of scales that a weight's bytes can be multiplied by as they are: 1 but for the outputs.
    package static func scaleShape(_ shape: [Int], axis: Int) -> [Int] {
        shape.indices.map { $0 == axis ? shape[$0] : 1 }
    }

    /// To nearest even, as the kernels do.
    static func quantize(
        _ from: UnsafePointer<Float>, _ count: Int, scale: Float, into to: UnsafeMutablePointer<Int8>
    ) {
        let inverse = 1 / scale
        for index in 0..<count {
            let scaled = min(max(from[index] * inverse, -127), 127)
            // Added to it a small number is rounded, and stands in the lowest bits.
            to[index] = Int8(truncatingIfNeeded: Int32(bitPattern: (scaled + 0x1.8p23).bitPattern))
        }
    }

    /// Writes the floats, of the same shape.
    package func expand(into weight: Tensor) {
        precondition(weight.shape == bytes.shape, "\(bytes.shape) into \(weight.shape)")
        let (from, to, scales, runs) = (bytes.signedBytes, weight.pointer, scales.pointer, runs)
        WorkerPool.current.run(runs.outputs, grain: 16) { outputs in
            for output in outputs {
                let scale = scales[output]
                runs.forEach(of: output) { for index in $0 { to[index] = Float(from[index]) * scale } }
            }
        }
    }
}

/// Where the elements of each output lie in a weight.
struct OutputRuns {
    let outputs: Int
    private let outer, inner: Int

    init(_ shape: [Int], axis: Int) {
        outputs = shape[axis]
        (outer, inner) = (shape[..<axis].reduce(1, *), shape[(axis + 1)...].reduce(1, *))
    }

    func forEach(of output: Int, _ body: (Range<Int>) -> Void) {
        for index in 0..<outer {
            let start = (index * outputs + output) * inner
            body(start..<start + inner)
        }
    }
}
