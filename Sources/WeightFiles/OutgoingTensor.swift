import BEiTHDF5
import BEiTTensorCore

/// A tensor on its way into a file: what the header says of it, and the way to its values.
package struct OutgoingTensor {
    /// How its values are stored.
    package enum Format: Sendable, CaseIterable {
        case float32, float16, bfloat16, int64
    }
    package let name: String
    package let shape: [Int]
    package let format: Format
    /// Gives the values, in the shape; called when the file has come to them, once.
    let make: () throws -> Tensor

    package init(name: String, shape: [Int], format: Format = .float32, make: @escaping () throws -> Tensor) {
        (self.name, self.shape, self.format, self.make) = (name, shape, format, make)
    }
}

extension OutgoingTensor.Format {
    /// In the header of a safetensors file.
    var name: String {
        switch self {
        case .float32: "F32"
        case .float16: "F16"
        case .bfloat16: "BF16"
        case .int64: "I64"
        }
    }

    /// Bytes of an element.
    var byteCount: Int {
        switch self {
        case .float32: 4
        case .float16, .bfloat16: 2
        case .int64: 8
        }
    }

    /// The place among the types by which the reference library orders tensors.
    var rank: Int {
        switch self {
        case .int64: 0
        case .float32: 1
        case .bfloat16: 2
        case .float16: 3
        }
    }

    /// Puts values as they stand in the file into `raw`, rounded to the nearest, of two equally near ones to the even one.
    /// Gives the first value that the format cannot hold: one that float16 would make infinite, or no whole number for int64.
    func encode(_ values: UnsafeBufferPointer<Float>, into raw: UnsafeMutableRawBufferPointer) -> Float? {
        switch self {
        case .float32: convert(values, into: raw) { $0.bitPattern }
        case .float16:
            convert(values, into: raw) { (value: Float) -> UInt16? in
                abs(value) < 65520 ? Float16(value).bitPattern : nil
            }
        case .bfloat16: convert(values, into: raw, bfloat16Bits)
        case .int64: convert(values, into: raw) { Int64(exactly: $0) }
        }
    }

    private func convert<Stored: FixedWidthInteger>(
        _ values: UnsafeBufferPointer<Float>, into raw: UnsafeMutableRawBufferPointer, _ stored: (Float) -> Stored?
    ) -> Float? {
        for i in values.indices {
            guard let element = stored(values[i]) else { return values[i] }
            raw.storeBytes(of: element.littleEndian, toByteOffset: i * MemoryLayout<Stored>.size, as: Stored.self)
        }
        return nil
    }
}
