import BEiTTensorCore

/// A tensor in a file: what it says of itself, and the way to its values.
package struct StoredTensor: Sendable {
    package let name: String
    package let shape: [Int]
    package let elementType: ElementType
    /// Reads all values, converted to Float, in row-major order. The buffer takes all of them, no more, no less.
    package let read: @Sendable (UnsafeMutableBufferPointer<Float>) throws -> Void

    package init(
        name: String, shape: [Int], elementType: ElementType,
        read: @escaping @Sendable (UnsafeMutableBufferPointer<Float>) throws -> Void
    ) {
        (self.name, self.shape, self.elementType, self.read) = (name, shape, elementType, read)
    }
}
