/// A dense float32 array, row-major, contiguous, aligned to 64 bytes.
///
/// A tensor is a handle: copies share their storage. An operation writes into tensors that it has made; nobody
/// writes into a tensor that was handed out, but for the gradients that a ``GradientSlot`` owns.
package struct Tensor: @unchecked Sendable {
    package let shape: [Int]
    package let storage: Storage
    /// Offset of the first element in the storage, in elements.
    private let offset: Int

    /// Elements are not initialised.
    package init(uninitialized shape: [Int]) {
        precondition(shape.allSatisfy { $0 >= 0 }, "shape \(shape)")
        self.shape = shape
        storage = Storage(byteCount: shape.elementCount * MemoryLayout<Float>.stride)
        offset = 0
    }

    private init(storage: Storage, offset: Int, shape: [Int]) {
        (self.storage, self.offset, self.shape) = (storage, offset, shape)
    }

    package init(repeating value: Float, _ shape: [Int]) {
        self.init(uninitialized: shape)
        pointer.update(repeating: value, count: count)
    }

    package static func zeros(_ shape: [Int]) -> Tensor { Tensor(repeating: 0, shape) }

    package init(_ values: [Float], _ shape: [Int]) {
        precondition(values.count == shape.elementCount, "\(values.count) values for shape \(shape)")
        self.init(uninitialized: shape)
        values.withUnsafeBufferPointer { if let base = $0.baseAddress { pointer.update(from: base, count: count) } }
    }

    package var count: Int { shape.elementCount }

    /// The first element. Valid while some handle of the tensor lives.
    package var pointer: UnsafeMutablePointer<Float> {
        storage.address.assumingMemoryBound(to: Float.self) + offset
    }

    package var buffer: UnsafeMutableBufferPointer<Float> { .init(start: pointer, count: count) }

    package var values: [Float] { Array(buffer) }

    /// The same elements under another shape of the same count.
    package func reshaped(_ shape: [Int]) -> Tensor {
        precondition(shape.elementCount == count, "\(self.shape) cannot be seen as \(shape)")
        return Tensor(storage: storage, offset: offset, shape: shape)
    }

    /// Rows `range` of the first axis; shares the storage.
    package func rows(_ range: Range<Int>) -> Tensor {
        precondition(range.lowerBound >= 0 && range.upperBound <= shape[0], "rows \(range) of \(shape)")
        let stride = shape.dropFirst().reduce(1, *)
        return Tensor(
            storage: storage, offset: offset + range.lowerBound * stride, shape: [range.count] + shape.dropFirst())
    }

    /// A copy with storage of its own.
    package func copy() -> Tensor {
        let result = Tensor(uninitialized: shape)
        result.pointer.update(from: pointer, count: count)
        return result
    }

    /// The value of a tensor of one element.
    package var scalar: Float {
        precondition(count == 1, "\(shape) is no scalar")
        return pointer[0]
    }
}

extension [Int] {
    /// The number of elements of a tensor of this shape.
    package var elementCount: Int { reduce(1, *) }
}
