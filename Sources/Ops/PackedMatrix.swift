import COneDNNShim
import Synchronization
import TensorCore

/// A weight matrix in the matrix engine's own layout, packed once for many products (inference).
///
/// The element type of the packed form is its own affair: the code that multiplies does not see it.
public final class PackedMatrix: @unchecked Sendable {
    public let inputs, outputs: Int
    private let chunks: [Storage]
    private let products = Mutex<[Key: Product]>([:])

    /// oneDNN's fast products take dense matrices only; with strides it falls back on a plain loop.
    private struct Key: Hashable {
        let m, n: Int
    }

    /// One primitive of oneDNN for one size; immutable, so any thread may run it.
    private final class Product: @unchecked Sendable {
        let handle: OpaquePointer
        init?(_ key: Key, k: Int) {
            guard let handle = beitseg_product_create(key.m, key.n, k) else { return nil }
            self.handle = handle
        }
        deinit { beitseg_product_destroy(handle) }
    }

    /// Packs `weight`, `[outputs, inputs]`. Nil where the engine in use has no packed form (OpenBLAS).
    public convenience init?(weight: Tensor) {
        guard weight.shape.count >= 2 else { return nil }
        let outputs = weight.shape[0]
        self.init(weight.pointer, outputs: outputs, inputs: weight.count / max(1, outputs))
    }

    public init?(_ weight: UnsafePointer<Float>, outputs: Int, inputs: Int) {
        guard MatrixEngine.current == .oneDNN, outputs > 0, inputs > 0 else { return nil }
        (self.inputs, self.outputs) = (inputs, outputs)
        let tiling = Tiling(rows: 1, columns: outputs)
        var chunks: [Storage] = []
        for index in 0..<tiling.columnTiles {
            let rows = tiling.columnRange(index)
            guard let product = Product(Key(m: 64, n: rows.count), k: inputs) else {
                return nil
            }
            let chunk = Storage(byteCount: beitseg_product_packed_bytes(product.handle))
            let status = beitseg_product_pack(product.handle, weight + rows.lowerBound * inputs, inputs, chunk.address)
            guard status == 0 else { return nil }
            chunks.append(chunk)
        }
        self.chunks = chunks
    }

    /// C = A·Wᵀ, A `[rows, inputs]`, C `[rows, outputs]`, shared among the workers; `epilogue` runs on each finished
    /// tile while it is in the cache.
    public func multiply(
        rows: Int, _ a: UnsafePointer<Float>, _ c: UnsafeMutablePointer<Float>,
        epilogue: (_ rows: Range<Int>, _ columns: Range<Int>) -> Void
    ) {
        let tiling = Tiling(rows: rows, columns: outputs)
        WorkerPool.current.run(tiling.count) { index in
            let (rows, columns) = tiling.tile(index)
            multiplyChunk(
                index / tiling.rowTiles, rows: rows.count, a + rows.lowerBound * inputs,
                c + rows.lowerBound * outputs + columns.lowerBound, ldc: outputs)
            epilogue(rows, columns)
        }
    }

    /// As `multiply` for the outputs of one chunk, `Tiling(rows: 1, columns: outputs).columnRange(index)`, on the calling
    /// thread; C is the first of these outputs, with row stride `ldc`.
    func multiplyChunk(
        _ index: Int, rows: Int, _ a: UnsafePointer<Float>, _ c: UnsafeMutablePointer<Float>, ldc: Int
    ) {
        let columns = Tiling(rows: 1, columns: outputs).columnRange(index).count
        let product = product(Key(m: rows, n: columns))
        let dense = ldc == columns
        let scratchCount = (beitseg_product_scratch_bytes(product.handle) + 63) / 64 * 16
        withScratch(scratchCount + (dense ? 0 : rows * columns)) { scratch in
            let tile = scratch + scratchCount
            let status = beitseg_product_run(product.handle, a, chunks[index].address, dense ? c : tile, scratch)
            precondition(status == 0, "oneDNN matmul \(rows)×\(columns)×\(inputs): status \(status)")
            guard !dense else { return }
            for row in 0..<rows { (c + row * ldc).update(from: tile + row * columns, count: columns) }
        }
    }

    private func product(_ key: Key) -> Product {
        products.withLock { products in
            if let product = products[key] { return product }
            guard let product = Product(key, k: inputs) else {
                preconditionFailure("oneDNN packed \(inputs)×\(outputs) but cannot multiply \(key.m) rows")
            }
            products[key] = product
            return product
        }
    }
}
