import BEiTHDF5
import BEiTTensorCore

/// Turns floating-point numbers as they stand in a file into Float, rounding to the nearest.
struct ElementDecoder {
    let type: ElementType
    let isBigEndian: Bool
    /// Of an element.
    let byteCount: Int

    /// Nil for types that are no floating-point numbers.
    init?(_ type: ElementType, isBigEndian: Bool = false) {
        guard type.isFloat, let byteCount = type.byteCount else { return nil }
        (self.type, self.isBigEndian, self.byteCount) = (type, isBigEndian, byteCount)
    }

    /// Whether the elements are Floats as they stand in memory.
    var isNative: Bool { type == .float32 && !isBigEndian }

    /// - Precondition: `raw` holds as many elements as `values`.
    func decode(_ raw: UnsafeRawBufferPointer, into values: UnsafeMutableBufferPointer<Float>) {
        precondition(raw.count == values.count * byteCount, "\(raw.count) bytes for \(values.count) elements")
        switch type {
        case .float64: convert(raw, into: values) { (bits: UInt64) in Float(Double(bitPattern: bits)) }
        case .float16: convert(raw, into: values) { (bits: UInt16) in float(fromHalf: bits) }
        case .bfloat16: convert(raw, into: values) { (bits: UInt16) in Float(bitPattern: UInt32(bits) << 16) }
        default: convert(raw, into: values) { (bits: UInt32) in Float(bitPattern: bits) }
        }
    }

    private func convert<Bits: FixedWidthInteger>(
        _ raw: UnsafeRawBufferPointer, into values: UnsafeMutableBufferPointer<Float>, _ value: (Bits) -> Float
    ) {
        for i in values.indices {
            let bits = raw.loadUnaligned(fromByteOffset: i * MemoryLayout<Bits>.size, as: Bits.self)
            values[i] = value(isBigEndian ? bits.byteSwapped : bits)
        }
    }
}
