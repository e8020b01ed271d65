/// The type of a tensor's elements, in memory or in a file.
package enum ElementType: Hashable, Sendable, CustomStringConvertible {
    case float16, bfloat16, float32, float64
    case int8, int16, int32, int64
    case uint8, uint16, uint32, uint64
    /// Text, compounds, references, variable-length rows, ...: with a word for it.
    case other(String)

    package var isFloat: Bool { [.float16, .bfloat16, .float32, .float64].contains(self) }

    package var isInteger: Bool {
        if case .other = self { return false }
        return !isFloat
    }

    /// Bytes of an element; nil for types that have no fixed size here.
    package var byteCount: Int? {
        switch self {
        case .int8, .uint8: 1
        case .float16, .bfloat16, .int16, .uint16: 2
        case .float32, .int32, .uint32: 4
        case .float64, .int64, .uint64: 8
        case .other: nil
        }
    }

    package var description: String {
        switch self {
        case .float16: "float16"
        case .bfloat16: "bfloat16"
        case .float32: "float32"
        case .float64: "float64"
        case .int8: "int8"
        case .int16: "int16"
        case .int32: "int32"
        case .int64: "int64"
        case .uint8: "uint8"
        case .uint16: "uint16"
        case .uint32: "uint32"
        case .uint64: "uint64"
        case .other(let name): name
        }
    }
}
