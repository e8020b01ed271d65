import BEiTTensorCore
import CBEiTHDF5
import CBEiTHDF5Shim

extension ElementType {
    /// The type that libhdf5 calls `id`. Booleans, which h5py stores as an enumeration over int8, are `int8`.
    init(_ id: hid_t) {
        let size = H5Tget_size(id), isSigned = H5Tget_sign(id) == H5T_SGN_2
        switch (H5Tget_class(id), size) {
        case (H5T_FLOAT, 2): self = exponentBits(id) == 8 ? .bfloat16 : .float16
        case (H5T_FLOAT, 4): self = .float32
        case (H5T_FLOAT, 8): self = .float64
        case (H5T_INTEGER, 1), (H5T_ENUM, 1): self = isSigned ? .int8 : .uint8
        case (H5T_INTEGER, 2): self = isSigned ? .int16 : .uint16
        case (H5T_INTEGER, 4): self = isSigned ? .int32 : .uint32
        case (H5T_INTEGER, 8): self = isSigned ? .int64 : .uint64
        case (H5T_STRING, _): self = .other("text")
        case (H5T_COMPOUND, _): self = .other("a compound type")
        case (H5T_REFERENCE, _): self = .other("references")
        case (H5T_VLEN, _): self = .other("rows of variable length")
        case (H5T_ARRAY, _): self = .other("an array type")
        default: self = .other("a type of \(size) bytes that beit-seg does not know")
        }
    }
}

private func exponentBits(_ type: hid_t) -> Int {
    var (sign, exponent, exponentSize, mantissa, mantissaSize) = (0, 0, 0, 0, 0)
    return H5Tget_fields(type, &sign, &exponent, &exponentSize, &mantissa, &mantissaSize) < 0 ? 0 : exponentSize
}

/// A Swift type whose values libhdf5 reads into and writes from memory.
protocol NativeElement {
    /// libhdf5's name for the type in memory.
    static var native: hid_t { get }
    /// What a dataset must hold to be read as this type, in words.
    static var expected: String { get }
    static func accepts(_ type: ElementType) -> Bool
}

extension Float: NativeElement {
    static var native: hid_t { beitseg_h5t_native_float() }
    static var expected: String { "floating-point numbers" }
    static func accepts(_ type: ElementType) -> Bool { type.isFloat }
}

extension Int64: NativeElement {
    static var native: hid_t { beitseg_h5t_native_int64() }
    static var expected: String { "integers" }
    static func accepts(_ type: ElementType) -> Bool { type.isInteger }
}

extension Int32: NativeElement {
    static var native: hid_t { beitseg_h5t_native_int32() }
    static var expected: String { "integers of at most 32 bits" }
    static func accepts(_ type: ElementType) -> Bool { [.int8, .int16, .int32, .uint8, .uint16].contains(type) }
}

extension UInt8: NativeElement {
    static var native: hid_t { beitseg_h5t_native_uint8() }
    static var expected: String { "bytes (uint8)" }
    static func accepts(_ type: ElementType) -> Bool { type == .uint8 }
}

extension Int8: NativeElement {
    static var native: hid_t { beitseg_h5t_native_int8() }
    static var expected: String { "bytes (int8)" }
    static func accepts(_ type: ElementType) -> Bool { type == .int8 }
}

/// Floating-point numbers of 16 bits, little-endian, which libhdf5 has no names for.
enum ShortFloat {
    /// IEEE half precision.
    case half
    /// The upper half of a Float.
    case bfloat16

    func makeType(orThrow failure: (String) -> HDF5Error) throws -> Handle {
        let type = try Handle(H5Tcopy(beitseg_h5t_ieee_f32le()), H5Tclose, orThrow: failure)
        let (exponent, bias) = self == .half ? (5, 15) : (8, 127)
        let isSet =
            H5Tset_fields(type.id, 15, 15 - exponent, exponent, 0, 15 - exponent) >= 0 && H5Tset_size(type.id, 2) >= 0
            && H5Tset_ebias(type.id, bias) >= 0
        guard isSet else { throw failure(Library.reason) }
        return type
    }

    /// Nil where `dataset` holds others, also where these are big-endian.
    init?(_ dataset: Handle, orThrow failure: (String) -> HDF5Error) throws {
        let stored = try Handle(H5Dget_type(dataset.id), H5Tclose, orThrow: failure)
        guard H5Tget_size(stored.id) == 2 else { return nil }
        for short in [ShortFloat.half, .bfloat16] {
            let type = try short.makeType(orThrow: failure)
            guard H5Tequal(stored.id, type.id) <= 0 else {
                self = short
                return
            }
        }
        return nil
    }

    /// Writes numbers as floats. They may stand in the upper half of these: what is written never reaches past what was
    /// just read.
    func expand(_ shorts: UnsafeRawBufferPointer, into floats: UnsafeMutableRawBufferPointer) {
        switch self {
        case .half: Self.expand(shorts, into: floats, float(fromHalf:))
        case .bfloat16: Self.expand(shorts, into: floats) { Float(bitPattern: UInt32($0) << 16) }
        }
    }

    /// Whether none of the numbers is infinite or NaN.
    func areFinite(_ shorts: UnsafeRawBufferPointer) -> Bool {
        areAllFinite(shorts, exponent: UInt16(self == .half ? 0x7C00 : 0x7F80))
    }

    @inline(__always)
    private static func expand(
        _ shorts: UnsafeRawBufferPointer, into floats: UnsafeMutableRawBufferPointer, _ value: (UInt16) -> Float
    ) {
        guard let from = shorts.baseAddress, let to = floats.baseAddress else { return }
        precondition(floats.count >= 2 * shorts.count, "\(shorts.count) bytes of shorts into \(floats.count) of floats")
        for i in 0..<shorts.count / 2 {
            to.storeBytes(
                of: value(from.load(fromByteOffset: 2 * i, as: UInt16.self)), toByteOffset: 4 * i, as: Float.self)
        }
    }

    func bits(_ value: Float) -> UInt16 { self == .half ? Float16(value).bitPattern : bfloat16Bits(value) }
}

/// The upper half of a Float, rounded to the nearest, of two equally near ones to the even one. NaN stays NaN; values next
/// to the largest become infinite, as in PyTorch.
package func bfloat16Bits(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    if value.isNaN { return UInt16(bits >> 16) | 0x40 }
    return UInt16((bits + 0x7FFF + (bits >> 16 & 1)) >> 16)
}

/// Texts in UTF-8 of `width` bytes, filled up with zeros.
func makeTextType(width: Int, orThrow failure: (String) -> HDF5Error) throws -> Handle {
    let type = try Handle(H5Tcopy(beitseg_h5t_c_s1()), H5Tclose, orThrow: failure)
    let isSet =
        H5Tset_size(type.id, width) >= 0 && H5Tset_cset(type.id, H5T_CSET_UTF8) >= 0
        && H5Tset_strpad(type.id, H5T_STR_NULLPAD) >= 0
    guard isSet else { throw failure(Library.reason) }
    return type
}

/// `Float(Float16(bitPattern: half))` without a call per element, which a processor that need not have F16C costs.
package func float(fromHalf half: UInt16) -> Float {
    // The exponents' biases differ by 112; a product puts that right for denormals too.
    let magnitude = Float(bitPattern: UInt32(half & 0x7FFF) << 13) * 0x1p112
    let special: UInt32 = magnitude >= 65536 ? 0x7F80_0000 : 0  // infinity or NaN
    return Float(bitPattern: magnitude.bitPattern | special | UInt32(half & 0x8000) << 16)
}

/// Whether no number has an exponent of ones, as infinities and NaN have.
@inline(__always)
func areAllFinite<Bits: FixedWidthInteger & UnsignedInteger>(
    _ numbers: UnsafeRawBufferPointer, exponent: Bits
) -> Bool {
    guard let from = numbers.baseAddress else { return true }
    // It carries into the sign bit. Integers: the loop is vectorised.
    let one = Bits(1) << Bits(exponent.trailingZeroBitCount)
    var carry: Bits = 0
    for i in 0..<numbers.count / MemoryLayout<Bits>.size {
        carry |= (from.load(fromByteOffset: i * MemoryLayout<Bits>.size, as: Bits.self) & exponent) &+ one
    }
    return carry.leadingZeroBitCount > 0
}
