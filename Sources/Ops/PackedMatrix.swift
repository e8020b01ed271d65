import BEiTTensorCore

/// A weight matrix in the matrix engine's own layout, packed once for many products (inference).
///
/// The element type of the packed form is its own affair: the code that multiplies does not see it.
package final class PackedMatrix: @unchecked Sendable {
    package let inputs, outputs: Int
    private let chunks: [Storage]

    /// Packs `weight`, `[outputs, inputs]`. Nil where the engine in use has no packed form (OpenBLAS).
    package convenience init?(weight: Tensor) {
        guard weight.shape.count >= 2 else { return nil }
        let outputs = weight.shape[0]
        self.init(weight.pointer, outputs: outputs, inputs: weight.count / max(1, outputs))
    }

    package init?(_ weight: UnsafePointer<Float>, outputs: Int, inputs: Int) {
        guard MatrixEngine.current == .oneDNN, outputs > 0, inputs > 0 else { return nil }
        (self.inputs, self.outputs) = (inputs, outputs)
        let tiling = Tiling(rows: 1, columns: outputs)
        var chunks: [Storage] = []
        for index in 0..<tiling.columnTiles {
            let rows = tiling.columnRange(index)
            guard let product = PackedProduct.of(m: 64, n: rows.count, k: inputs) else { return nil }
            let chunk = Storage(byteCount: product.packedCount * MemoryLayout<Float>.stride)
            product.pack(
                weight + rows.lowerBound * inputs, rowStride: 1, columnStride: inputs, into: chunk.address)
            chunks.append(chunk)
        }
        self.chunks = chunks
    }

    /// A·Wᵀ, A `[rows, inputs]`, shared among the workers; `finish` takes each tile of the product, while it is in the
    /// cache, to its place.
    func multiply(rows: Int, _ a: UnsafePointer<Float>, finish: FinishTile) {
        // With many rows taller tiles still leave enough tasks, and the packed weights are read half as often.
        let tiling = Tiling(rows: rows, columns: outputs, height: rows > 768 ? 192 : 96)
        WorkerPool.current.run(tiling.count) { index in
            let (rows, columns) = tiling.tile(index)
            withProduct(chunk: index / tiling.rowTiles, rows: rows.count, a + rows.lowerBound * inputs) {
                finish(rows, columns, $0, columns.count)
            }
        }
    }

    /// Calls `body` with A·Wᵀ for the outputs of one chunk, `Tiling(rows: 1, columns: outputs).columnRange(index)`, dense,
    /// on the calling thread.
    func withProduct(
        chunk index: Int, rows: Int, _ a: UnsafePointer<Float>, _ body: (UnsafeMutablePointer<Float>) -> Void
    ) {
        let columns = Tiling(rows: 1, columns: outputs).columnRange(index).count
        guard let product = PackedProduct.of(m: rows, n: columns, k: inputs) else {
            preconditionFailure("oneDNN packed \(inputs)×\(outputs) but cannot multiply \(rows) rows")
        }
        let scratchCount = product.scratchCount
        withScratch(scratchCount + rows * columns) { scratch in
            product.run(a, packed: chunks[index].address, scratch + scratchCount, scratch: scratch)
            body(scratch + scratchCount)
        }
    }
}
