/// A dense array, row-major, contiguous, aligned to 64 bytes: of float32 or of a smaller type.
///
/// A tensor is a handle: copies share their storage. An operation writes into tensors that it has made; nobody
/// writes into a tensor that was handed out, but for the gradients that a ``GradientSlot`` owns.
package struct Tensor: @unchecked Sendable {
    package let shape: [Int]
    package let storage: Storage
    /// Offset of the first element in the storage, in elements.
    private let offset: Int
    /// What the bytes of a quantised tensor stand for.
    package let quantization: Quantization?

    /// Elements are not initialised.
    package init(uninitialized shape: [Int], _ elementType: ElementType = .float32) {
        precondition(shape.allSatisfy { $0 >= 0 }, "shape \(shape)")
        self.init(storage: Storage(count: shape.elementCount, elementType), offset: 0, shape: shape)
    }

    private init(storage: Storage, offset: Int, shape: [Int], quantization: Quantization? = nil) {
        (self.storage, self.offset, self.shape, self.quantization) = (storage, offset, shape, quantization)
    }

    /// Bytes, not initialised, in `rows` equal parts with a scale and a zero point each, not initialised either; by
    /// default a part is a row of the last axis.
    package init(quantized shape: [Int], rows: Int? = nil) {
        let rows = rows ?? shape.elementCount / max(1, shape.last ?? 1)
        self.init(
            storage: Storage(count: shape.elementCount, .uint8), offset: 0, shape: shape,
            quantization: Quantization(rows: rows))
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
    package var elementType: ElementType { storage.elementType }

    /// The first element. Valid while some handle of the tensor lives.
    /// - Precondition: the elements are floats.
    package var pointer: UnsafeMutablePointer<Float> { storage.floats + offset }

    /// The first element, whatever its type, as ``pointer``.
    package var address: UnsafeMutableRawPointer { storage.address + offset * (elementType.byteCount ?? 1) }

    /// The first element of a tensor of bfloat16, as ``pointer``.
    package var bfloats: UnsafeMutablePointer<UInt16> { storage.bfloats + offset }

    /// The first element of a tensor of bytes, as ``pointer``.
    package var bytes: UnsafeMutablePointer<UInt8> { storage.bytes + offset }

    /// The first element of a tensor of int8, as ``pointer``.
    package var signedBytes: UnsafeMutablePointer<Int8> {
        precondition(elementType == .int8, "int8 of a tensor of \(elementType)")
        return address.assumingMemoryBound(to: Int8.self)
    }

    package var buffer: UnsafeMutableBufferPointer<Float> { .init(start: pointer, count: count) }

    package var values: [Float] { Array(buffer) }

    /// The same elements under another shape of the same count.
    package func reshaped(_ shape: [Int]) -> Tensor {
        precondition(shape.elementCount == count, "\(self.shape) cannot be seen as \(shape)")
        precondition(quantization == nil || shape.last == self.shape.last, "quantised rows \(self.shape) as \(shape)")
        return Tensor(storage: storage, offset: offset, shape: shape, quantization: quantization)
    }

    /// Rows `range` of the first axis; shares the storage.
    package func rows(_ range: Range<Int>) -> Tensor {
        precondition(range.lowerBound >= 0 && range.upperBound <= shape[0], "rows \(range) of \(shape)")
        precondition(quantization == nil, "a part of a quantised tensor")
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

/// What the bytes q of a quantised tensor stand for: scale·(q − zero), with a scale and a zero point for each of the equal
/// parts that it is cut into: rows of the last axis, or images.
package final class Quantization: @unchecked Sendable {
    private let storage: (scales: Storage, zeros: Storage)
    /// `[rows]`
    package var scales: UnsafeMutablePointer<Float> { storage.scales.floats }
    /// `[rows]`
    package var zeros: UnsafeMutablePointer<Int32> { storage.zeros.address.assumingMemoryBound(to: Int32.self) }

    package init(rows: Int) { storage = (Storage(count: rows, .float32), Storage(count: rows, .int32)) }
}

extension [Int] {
    /// The number of elements of a tensor of this shape.
    package var elementCount: Int { reduce(1, *) }
}
