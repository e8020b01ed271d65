import BEiTTensorCore
import CBEiTKernels

/// A weight matrix of signed bytes with a scale for each output, packed for our own kernels (inference). Its left-hand
/// sides are bytes with a scale and a zero point for each row; sums are exact.
final class QuantizedMatrix: EngineMatrix, @unchecked Sendable {
    let inputs, outputs: Int
    var inputType: ElementType { .uint8 }
    private let panels, scales, sums: Storage

    /// Whether rows of so many inputs can be multiplied: whole groups of four, and sums that fit into 32 bits.
    static func takes(inputs: Int) -> Bool { inputs > 0 && inputs % 4 == 0 && inputs <= Int(beitseg_most_int8_terms) }

    /// A weight `[outputs, ...]` that is quantised already. Nil for rows that cannot be multiplied.
    convenience init?(_ weight: QuantizedWeight) {
        let outputs = weight.scales.count
        let inputs = weight.bytes.count / max(1, outputs)
        guard outputs > 0, weight.bytes.shape[0] == outputs, Self.takes(inputs: inputs) else { return nil }
        let scales = Storage(count: outputs, .float32)
        scales.floats.update(from: weight.scales.pointer, count: outputs)
        self.init(weight.bytes.signedBytes, scales: scales, outputs: outputs, inputs: inputs)
    }

    /// Quantises `weight`, `[outputs, ...]` of floats. Nil for rows that cannot be multiplied.
    /// - Parameter scales: those that it had as bytes, of which the same bytes come again; where there are more rows than
    ///   scales, they begin anew.
    convenience init?(weight: Tensor, scales known: Tensor? = nil) {
        let outputs = weight.shape.first ?? 0
        let inputs = weight.count / max(1, outputs)
        guard outputs > 0, Self.takes(inputs: inputs) else { return nil }
        let quantized = Storage(count: weight.count, .int8)
        let scales = Storage(count: outputs, .float32)
        let values = quantized.address.assumingMemoryBound(to: Int8.self)
        WorkerPool.current.run(outputs, grain: 64) {
            let at = $0.lowerBound * inputs
            guard let known else {
                return beitseg_quantize_weights(
                    weight.pointer + at, $0.count, inputs, values + at, scales.floats + $0.lowerBound)
            }
            for row in $0 {
                scales.floats[row] = known.pointer[row % known.count]
                QuantizedWeight.quantize(
                    weight.pointer + row * inputs, inputs, scale: scales.floats[row], into: values + row * inputs)
            }
        }
        self.init(values, scales: scales, outputs: outputs, inputs: inputs)
    }

    private init(_ weight: UnsafePointer<Int8>, scales: Storage, outputs: Int, inputs: Int) {
        (self.inputs, self.outputs, self.scales) = (inputs, outputs, scales)
        let panel = Int(beitseg_panel)
        let panelBytes = (inputs + 3) / 4 * 4 * panel
        let (panels, sums) = (
            Storage(byteCount: (outputs + panel - 1) / panel * panelBytes), Storage(count: outputs, .int32)
        )
        WorkerPool.current.run(outputs, grain: panel) {
            beitseg_pack_int8(
                weight + $0.lowerBound * inputs, inputs, $0.count, inputs,
                panels.address.assumingMemoryBound(to: Int8.self) + $0.lowerBound / panel * panelBytes,
                sums.address.assumingMemoryBound(to: Int32.self) + $0.lowerBound)
        }
        (self.panels, self.sums) = (panels, sums)
    }

    func tiling(rows: Int, height: Int?) -> Tiling {
        Tiling(
            rows: rows, columns: outputs, height: height ?? (rows > 768 ? 192 : 96), columnStep: Int(beitseg_panel))
    }

    func tiles(of tiling: Tiling) -> any TileProduct { Tiles(matrix: self, tiling: tiling) }

    private struct Tiles: TileProduct {
        let matrix: QuantizedMatrix
        let tiling: Tiling

        func run(chunk: Int, rows: Int, _ a: Operand, into c: UnsafeMutablePointer<Float>, stride: Int) {
            let columns = tiling.columnRange(chunk)
            let (first, inputs) = (columns.lowerBound, matrix.inputs)
            beitseg_int8_product(
                a.bytes, inputs, a.scales, a.zeros, rows, inputs,
                matrix.panels.address.assumingMemoryBound(to: Int8.self) + first * inputs,
                matrix.scales.floats + first, matrix.sums.address.assumingMemoryBound(to: Int32.self) + first,
                columns.count, c, stride)
        }
    }
}
