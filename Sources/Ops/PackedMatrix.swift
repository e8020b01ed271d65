import BEiTTensorCore
import Foundation

/// A weight matrix in oneDNN's own layout, packed once for many products (inference), of floats or bfloat16.
package final class PackedMatrix: EngineMatrix, @unchecked Sendable {
    /// The rows of the weight that one tile of a product takes, with the product of ``blockRows`` rows that they were
    /// packed by.
    private struct Chunk {
        let values: Storage
        let block: PackedProduct
    }

    package let inputs, outputs: Int
    package let inputType: ElementType
    private let chunks: [Chunk]

    /// A number of rows that oneDNN has a kernel for, with the layout that it chose.
    static let blockRows = 64

    /// Packs `weight`, `[outputs, ...]` of floats. Nil where the engine in use has no packed form of this type.
    package init?(weight: Tensor, _ elementType: ElementType = .float32) {
        let outputs = weight.shape.count < 2 ? 0 : weight.shape[0]
        let inputs = weight.count / max(1, outputs)
        guard MatrixEngine.current == .oneDNN, outputs > 0, inputs > 0 else { return nil }
        (self.inputs, self.outputs, inputType) = (inputs, outputs, elementType)
        let tiling = Tiling(rows: 1, columns: outputs)
        var chunks: [Chunk] = []
        for index in 0..<tiling.columnTiles {
            let columns = tiling.columnRange(index)
            guard let product = PackedProduct.of(m: Self.blockRows, n: columns.count, k: inputs, elementType) else {
                return nil
            }
            let values = Storage(byteCount: product.packedBytes)
            product.pack(
                weight.pointer + columns.lowerBound * inputs, rowStride: 1, columnStride: inputs, into: values.address)
            chunks.append(Chunk(values: values, block: product))
        }
        self.chunks = chunks
    }

    func tiling(rows: Int, height: Int?) -> Tiling {
        // With many rows taller tiles still leave enough tasks, and the packed weights are read half as often.
        Tiling(rows: rows, columns: outputs, height: height ?? (rows > 768 ? 192 : 96))
    }

    func tiles(of tiling: Tiling) -> any TileProduct {
        Tiles(matrix: self, tiling: tiling, products: TileProducts(tiling, inputs: inputs, elementType: inputType))
    }

    private struct Tiles: TileProduct {
        let matrix: PackedMatrix
        let tiling: Tiling
        let products: TileProducts

        func run(chunk: Int, rows: Int, _ a: Operand, _ body: (UnsafeMutablePointer<Float>) -> Void) {
            let columns = tiling.columnRange(chunk).count
            guard let product = products[rows: rows, columns: columns] else {
                return matrix.runBlocks(of: matrix.chunks[chunk], rows: rows, columns: columns, a, body)
            }
            let scratchCount = product.scratchCount
            withScratch(scratchCount + rows * columns) { scratch in
                product.run(
                    a.address, packed: matrix.chunks[chunk].values.address, scratch + scratchCount, scratch: scratch)
                body(scratch + scratchCount)
            }
        }
    }

    /// For numbers of rows that oneDNN has no kernel for: in blocks of a number that it has one for, the last filled up
    /// with zeros.
    private func runBlocks(
        of chunk: Chunk, rows: Int, columns: Int, _ a: Operand, _ body: (UnsafeMutablePointer<Float>) -> Void
    ) {
        let height = Self.blockRows
        let (blocks, scratchCount) = ((rows + height - 1) / height, chunk.block.scratchCount)
        let rowBytes = inputs * (inputType.byteCount ?? 4)
        let filled = Storage(byteCount: height * rowBytes)
        withScratch(scratchCount + blocks * height * columns) { scratch in
            let c = scratch + scratchCount
            for block in 0..<blocks {
                let (first, count) = (block * height, min(height, rows - block * height))
                var source = a.from(first).address
                if count < height {
                    filled.address.copyMemory(from: source, byteCount: count * rowBytes)
                    memset(filled.address + count * rowBytes, 0, (height - count) * rowBytes)
                    source = UnsafeRawPointer(filled.address)
                }
                chunk.block.run(
                    source, packed: chunk.values.address, c + first * columns, scratch: scratch)
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

    init(_ tiling: Tiling, inputs: Int, elementType: ElementType) {
        var heights: [Int] = [], widths: [Int] = []
        for index in 0..<tiling.rowTiles {
            let height = tiling.rowRange(index).count
            if !heights.contains(height) { heights.append(height) }
        }
        for index in 0..<tiling.columnTiles {
            let width = tiling.columnRange(index).count
            if !widths.contains(width) { widths.append(width) }
        }
        for rows in heights where rows > 0 {
            for columns in widths where columns > 0 {
                let product =
                    Self.lacking.contains(rows) ? nil : PackedProduct.of(m: rows, n: columns, k: inputs, elementType)
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
