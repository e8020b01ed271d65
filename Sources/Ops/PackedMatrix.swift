import BEiTTensorCore
import CBEiTKernels

/// A weight matrix of floats or bfloat16, packed for many products (inference), or for one of a step of training: so a step
/// never holds all weights twice.
package final class PackedMatrix: EngineMatrix, @unchecked Sendable {
    package let inputs, outputs: Int
    package let inputType: ElementType
    private let panels: Panels
    private let values: Storage

    /// Packs `weight`, `[outputs, ...]` of floats; the axes behind the first are the inputs.
    package init(weight: Tensor, _ elementType: ElementType = .float32) {
        outputs = weight.shape[0]
        inputs = weight.count / max(1, outputs)
        inputType = elementType
        let panels = Panels(inputs: inputs, outputs: outputs, elementType: elementType)
        let values = Storage(byteCount: panels.byteCount)
        WorkerPool.current.run(outputs, grain: Panels.panel) { [inputs] in
            panels.pack(weight.pointer, .float32, stride: inputs, outputs: $0, into: values.address)
        }
        (self.panels, self.values) = (panels, values)
    }

    /// The transpose of `weight`, `[inputs, ...]` of floats, rounded to bfloat16: for products x·W.
    init(transposing weight: Tensor) {
        let inputs = weight.shape[0]
        let outputs = weight.count / max(1, inputs)
        let panels = Panels(inputs: inputs, outputs: outputs, elementType: .bfloat16)
        let values = Storage(byteCount: panels.byteCount)
        let to = values.address.assumingMemoryBound(to: UInt16.self)
        // A part of all panels, for whose rows the weight lies side by side.
        WorkerPool.current.run(inputs, grain: 64) {
            beitseg_pack_pairs(
                weight.pointer + $0.lowerBound * outputs, outputs, $0.count, outputs, Panels.panel,
                to + $0.lowerBound * Panels.panel, (inputs + 1) / 2 * 2 * Panels.panel)
        }
        (self.inputs, self.outputs, inputType, self.panels, self.values) = (inputs, outputs, .bfloat16, panels, values)
    }

    func takesLines(of length: Int) -> Bool { panels.takesLines(of: length) }

    func tiling(rows: Int, height: Int?) -> Tiling {
        // With many rows taller tiles still leave enough tasks, and the packed weights are read half as often.
        Tiling(rows: rows, columns: outputs, height: height ?? (rows > 768 ? 192 : 96), columnStep: 2 * Panels.panel)
    }

    func tiles(of tiling: Tiling) -> any TileProduct { Tiles(matrix: self, tiling: tiling) }

    /// Some outputs of some rows on the calling thread, `[rows, outputs]`.
    /// - Parameters:
    ///   - outputs: begins with a whole panel.
    ///   - stride: from one row of `c` to the next.
    func multiply(_ a: Operand, rows: Int, outputs: Range<Int>, into c: UnsafeMutablePointer<Float>, stride: Int) {
        precondition(a.elementType == inputType, "\(a.elementType) for a matrix of \(inputType)")
        panels.multiply(a, rows: rows, values.address, outputs: outputs, c, ldc: stride)
    }

    private struct Tiles: TileProduct {
        let matrix: PackedMatrix
        let tiling: Tiling

        func run(chunk: Int, rows: Int, _ a: Operand, into c: UnsafeMutablePointer<Float>, stride: Int) {
            matrix.multiply(a, rows: rows, outputs: tiling.columnRange(chunk), into: c, stride: stride)
        }
    }
}
