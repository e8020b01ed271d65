import BEiTTensorCore

/// A tensor in a file: what it says of itself, and the way to its values.
package struct StoredTensor: Sendable {
    package let name: String
    package let shape: [Int]
    package let elementType: ElementType
    /// Reads all values, converted to Float (integers cannot be), in row-major order. The buffer takes all of them, no more, no less.
    package let read: @Sendable (UnsafeMutableBufferPointer<Float>) throws -> Void

    /// Reads all values, keeps none, and says whether all are finite as Floats. Nil where they are to be read for that.
    private let look: (@Sendable () throws -> Bool)?

    /// Of a tensor of int8 that has its scales beside it.
    package let quantized: StoredQuantization?

    package init(
        name: String, shape: [Int], elementType: ElementType, quantized: StoredQuantization? = nil,
        look: (@Sendable () throws -> Bool)? = nil,
        read: @escaping @Sendable (UnsafeMutableBufferPointer<Float>) throws -> Void
    ) {
        (self.name, self.shape, self.elementType, self.read) = (name, shape, elementType, read)
        (self.quantized, self.look) = (quantized, look)
    }

    /// Whether the values of a tensor of floating-point numbers are finite as Floats. Reads all, and keeps none.
    package func areFinite() throws -> Bool {
        if let look { return try look() }
        let values = Tensor(uninitialized: shape)
        try read(values.buffer)
        return values.isFinite
    }
}

/// The way to the values of a tensor of int8 with scales, by which they are to be multiplied.
package struct StoredQuantization: Sendable {
    package let scales: ScaleTensor
    /// Reads all bytes, in row-major order.
    package let read: @Sendable (UnsafeMutableBufferPointer<Int8>) throws -> Void

    package struct ScaleTensor: Sendable {
        /// Of as many axes as the weight's, to be broadcast.
        package let shape: [Int]
        package let elementType: ElementType
        package let read: @Sendable (UnsafeMutableBufferPointer<Float>) throws -> Void
    }
    /// The end of the scales' name, behind that of the weight.
    package static let suffix = "_scale"
}
