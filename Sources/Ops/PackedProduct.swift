import BEiTTensorCore
import CBEiTOneDNNShim
import Synchronization

/// Products `[m, k]`·`[k, n]` of one size and type whose right-hand side is packed: one primitive of oneDNN. Immutable, so
/// any thread may run it. Both sides are of floats or of bfloat16, the result is of floats. All matrices are dense; with
/// strides oneDNN falls back on a plain loop.
final class PackedProduct: @unchecked Sendable {
    private struct Key: Hashable {
        let m, n, k: Int
        let elementType: ElementType
    }

    private static let made = Mutex(Made())

    private let handle: OpaquePointer
    private let m, n, k: Int

    private init?(_ key: Key) {
        let isBFloat16: Int32 = key.elementType == .bfloat16 ? 1 : 0
        guard let handle = beitseg_product_create(key.m, key.n, key.k, isBFloat16) else { return nil }
        self.handle = handle
        (m, n, k) = (key.m, key.n, key.k)
    }

    deinit { beitseg_product_destroy(handle) }

    /// Nil where oneDNN has no fast way.
    static func of(m: Int, n: Int, k: Int, _ elementType: ElementType = .float32) -> PackedProduct? {
        let key = Key(m: m, n: n, k: k, elementType: elementType)
        if let answer = made.withLock({ $0.answer(to: key) }) { return answer.product }
        let product = PackedProduct(key)
        made.withLock { $0.keep(Answer(product: product), for: key) }
        return product
    }

    private struct Answer {
        let product: PackedProduct?
    }

    /// What has been made, and what cannot be. Photos of many sizes need many products: those that were not asked for
    /// while as many others were are forgotten.
    private struct Made {
        private static let limit = 512
        private var recent: [Key: Answer] = [:], older: [Key: Answer] = [:]

        mutating func answer(to key: Key) -> Answer? {
            if let answer = recent[key] { return answer }
            guard let answer = older[key] else { return nil }
            keep(answer, for: key)
            return answer
        }

        mutating func keep(_ answer: Answer, for key: Key) {
            if recent.count >= Self.limit { (older, recent) = (recent, [:]) }
            recent[key] = answer
        }
    }

    /// Bytes that hold a packed right-hand side; they depend on `n` and `k` alone.
    var packedBytes: Int { (beitseg_product_packed_bytes(handle) + 63) / 64 * 64 }
    /// Floats that one run needs besides.
    var scratchCount: Int { (beitseg_product_scratch_bytes(handle) + 63) / 64 * 16 }

    /// Packs a right-hand side of floats; element (row, column) of it lies at `row·rowStride + column·columnStride`.
    func pack(
        _ b: UnsafePointer<Float>, rowStride: Int, columnStride: Int, into packed: UnsafeMutableRawPointer
    ) {
        pack(UnsafeRawPointer(b), .float32, rowStride: rowStride, columnStride: columnStride, into: packed)
    }

    /// The same from elements of another type.
    func pack(
        _ b: UnsafeRawPointer, _ elementType: ElementType, rowStride: Int, columnStride: Int,
        into packed: UnsafeMutableRawPointer
    ) {
        let status = beitseg_product_pack(handle, b, elementType == .bfloat16 ? 1 : 0, rowStride, columnStride, packed)
        checkOneDNN(status, "reorder \(k)×\(n)")
    }

    /// C = A·B on the calling thread, A of the product's type.
    func run(
        _ a: UnsafeRawPointer, packed: UnsafeRawPointer, _ c: UnsafeMutablePointer<Float>,
        scratch: UnsafeMutablePointer<Float>
    ) {
        let status = beitseg_product_run(handle, a, packed, c, scratch)
        checkOneDNN(status, "matmul \(m)×\(n)×\(k)")
    }
}
