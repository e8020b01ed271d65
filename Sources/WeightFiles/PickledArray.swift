import BEiTTensorCore

/// A small array of NumPy within a pickle.
struct PickledArray {
    let shape: [Int]
    /// Row by row.
    let values: [Double]

    /// Larger ones are data of a run, and not what a file says of its model.
    private static let mostBytes = 1 << 16

    /// Nil for anything else, and for types that are no simple numbers.
    init?(_ value: PickleValue, in heap: PickleHeap, of file: OpenFile) {
        // The state is (version, shape, dtype, column by column?, bytes).
        guard case .node(let index) = value, heap.nodes[index].kind == .record("numpy.ndarray"),
            let state = heap.items(heap.nodes[index].state), state.count == 5, state[3] == .bool(false),
            let shape = heap.integers(state[1]), shape.count <= 2, shape.allSatisfy({ (0...1000).contains($0) }),
            let element = Element(state[2], in: heap), let bytes = try? Self.bytes(state[4], in: file)
        else { return nil }
        let values = element.numbers(bytes)
        guard values.count == shape.elementCount else { return nil }
        (self.shape, self.values) = (shape, values)
    }

    /// The bytes of a value that has any; nil for other values, and for too many.
    static func bytes(_ value: PickleValue, in file: OpenFile) throws -> [UInt8]? {
        switch value {
        case .bytes(let bytes): bytes
        case .span(let range) where range.count <= mostBytes: try file.bytes(at: range.lowerBound, count: range.count)
        case .string(let text): text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
        default: nil
        }
    }

    /// A `numpy.dtype` of numbers.
    struct Element {
        private let type: ElementType
        private let isBigEndian: Bool
        var isInteger: Bool { type.isInteger }

        /// Nil for anything else.
        init?(_ value: PickleValue, in heap: PickleHeap) {
            guard case .node(let index) = value, heap.nodes[index].kind == .record("numpy.dtype"),
                case .string(let code)? = heap.items(heap.nodes[index].arguments)?.first,
                let type = Self.types[code]
            else { return nil }
            self.type = type
            isBigEndian = heap.items(heap.nodes[index].state)?.dropFirst().first == .string(">")
        }

        private static let types: [String: ElementType] = [
            "f8": .float64, "f4": .float32, "i8": .int64, "i4": .int32, "i2": .int16, "i1": .int8, "u1": .uint8,
            "u2": .uint16, "u4": .uint32, "b1": .uint8,
        ]

        /// What is left over at the end is left out.
        func numbers(_ bytes: [UInt8]) -> [Double] {
            let size = type.byteCount ?? 1
            return stride(from: 0, to: bytes.count - size + 1, by: size).map { place in
                let number = bytes[place..<place + size]
                return value(isBigEndian ? Array(number) : number.reversed())
            }
        }

        /// - Parameter bytes: the most significant first.
        private func value(_ bytes: [UInt8]) -> Double {
            let bits = bytes.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            switch type {
            case .float64: return Double(bitPattern: bits)
            case .float32: return Double(Float(bitPattern: UInt32(truncatingIfNeeded: bits)))
            case .int64: return Double(Int64(bitPattern: bits))
            case .int32: return Double(Int32(truncatingIfNeeded: bits))
            case .int16: return Double(Int16(truncatingIfNeeded: bits))
            case .int8: return Double(Int8(truncatingIfNeeded: bits))
            default: return Double(bits)
            }
        }
    }
}
