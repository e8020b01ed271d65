import BEiTTensorCore

/// A weight matrix in the matrix engine's own layout, packed once for many products (inference).
///
/// The element type of the packed form is its own affair: the code that multiplies does not see it.
package final class PackedMatrix: @unchecked Sendable {
    /// The rows of the weight that one tile of a product takes, with the product of ``blockRows`` rows that they were
    /// packed by.
    private struct Chunk {
        let values: Storage
        let block: PackedProduct
    }

    package let inputs, outputs: Int
    private let chunks: [Chunk]

    /// A number of rows that oneDNN has a kernel for, with the layout that it chose.
    static let blockRows = 64

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
        var chunks: [Chunk] = []
        for index in 0..<tiling.columnTiles {
            let rows = tiling.columnRange(index)
            guard let product = PackedProduct.of(m: Self.blockRows, n: rows.count, k: inputs) else { return nil }
            let values = Storage(byteCount: product.packedCount * MemoryLayout<Float>.stride)
            product.pack(
                weight + rows.lowerBound * inputs, rowStride: 1, columnStride: inputs, into: values.address)
            chunks.append(Chunk(values: values, block: product))
        }
        self.chunks = chunks
    }

    /// A·Wᵀ, A `[rows, inputs]`, shared among the workers; `finish` takes each tile of the product, while it is in the
    /// cache, to its place.
    func multiply(rows: Int, _ a: UnsafePointer<Float>, finish: FinishTile) {
        // With many rows taller tiles still leave enough tasks, and the packed weights are read half as often.
        let tiling = Tiling(rows: rows, columns: outputs, height: rows > 768 ? 192 : 96)
        let products = TileProducts(tiling, inputs: inputs)
        WorkerPool.current.run(tiling.count) { index in
            let (rows, columns) = tiling.tile(index)
            withProduct(products, chunk: index / tiling.rowTiles, rows: rows.count, a + rows.lowerBound * inputs) {
                finish(rows, columns, $0, columns.count)
            }
        }
    }

    /// Calls `body` with A·Wᵀ for the outputs of one chunk, `Tiling(rows: 1, columns: outputs).columnRange(index)`, dense,
    /// on the calling thread.
    func withProduct(
        _ products: TileProducts, chunk index: Int, rows: Int, _ a: UnsafePointer<Float>,
        _ body: (UnsafeMutablePointer<Float>) -> Void
    ) {
        let columns = Tiling(rows: 1, columns: outputs).columnRange(index).count
        guard let product = products[rows: rows, columns: columns] else {
            return withProductOfBlocks(chunk: index, rows: rows, columns: columns, a, body)
        }
        let scratchCount = product.scratchCount
        withScratch(scratchCount + rows * columns) { scratch in
            product.run(a, packed: chunks[index].values.address, scratch + scratchCount, scratch: scratch)
            body(scratch + scratchCount)
        }
    }

    /// The same where oneDNN has no kernel for so many rows: in blocks of those it has one for, the last filled up with
    /// zeros.
    private func withProductOfBlocks(
        chunk index: Int, rows: Int, columns: Int, _ a: UnsafePointer<Float>,
        _ body: (UnsafeMutablePointer<Float>) -> Void
    ) {
        let (chunk, height) = (chunks[index], Self.blockRows)
        let (blocks, scratchCount) = ((rows + height - 1) / height, chunk.block.scratchCount)
        withScratch(scratchCount + height * inputs + blocks * height * columns) { scratch in
            let (filled, c) = (scratch + scratchCount, scratch + scratchCount + height * inputs)
            for block in 0..<blocks {
                let (first, count) = (block * height, min(height, rows - block * height))
                if count < height {
                    filled.update(from: a + first * inputs, count: count * inputs)
                    (filled + count * inputs).update(repeating: 0, count: (height - count) * inputs)
                }
                chunk.block.run(
                    count < height ? UnsafePointer(filled) : a + first * inputs, packed: chunk.values.address,
                    c + first * columns, scratch: scratch)
            }
            body(c)
        }
    }
}

/// The products of a tiling's tiles, looked up once before the tasks share them: tiles have two heights and two widths at
/// most.
struct TileProducts {
    private struct Entry {
        let rows, columns: Int
        let product: PackedProduct?
    }
    private var entries: [Entry] = []

    /// For tests: numbers of rows that oneDNN shall have no kernel for.
    @TaskLocal static var lacking: Set<Int> = []

    init(_ tiling: Tiling, inputs: Int) {
        var heights: [Int] = [], widths: [Int] = []
        for index in 0..<tiling.rowTiles {
            let height = tiling.tile(index).rows.count
            if !heights.contains(height) { heights.append(height) }
        }
        for index in 0..<tiling.columnTiles {
            let width = tiling.columnRange(index).count
            if !widths.contains(width) { widths.append(width) }
        }
        for rows in heights where rows > 0 {
            for columns in widths where columns > 0 {
                let product = Self.lacking.contains(rows) ? nil : PackedProduct.of(m: rows, n: columns, k: inputs)
                entries.append(Entry(rows: rows, columns: columns, product: product))
            }
        }
    }

    /// Nil where oneDNN has no fast way.
    subscript(rows rows: Int, columns columns: Int) -> PackedProduct? {
        for entry in entries where entry.rows == rows && entry.columns == columns { return entry.product }
        return nil
    }
}
