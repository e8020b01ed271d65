import BEiTFiles
import BEiTTensorCore

/// What stands before the values of a safetensors file, checked as the reference library checks it: the tensors fill the
/// rest of the file, without gaps and without overlaps.
struct SafetensorsHeader {
    struct Entry {
        let name: String
        let shape: [Int]
        let type: ElementType
        /// Of the values, counted from the end of the header.
        let bytes: Range<Int>
    }
    /// In the order of the header.
    private(set) var entries: [Entry] = []
    private(set) var metadata: [String: String] = [:]
    /// Where the values begin, in bytes.
    let start: Int

    /// Longer headers are refused, as by the reference library.
    static let longest = 100_000_000
    private static let mostTensors = 100_000

    /// Throws ``WeightFileError`` or `FileError`.
    init(_ file: OpenFile) throws {
        let length = try file.bytes(at: 0, count: 8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard length <= Self.longest else {
            throw WeightFileError.damaged(file: file.path, reason: "it declares a header of \(length) bytes")
        }
        start = 8 + Int(length)
        guard start <= file.size else {
            throw WeightFileError.incomplete(
                file: file.path, reason: "its header is \(length) bytes long, the file has \(file.size)")
        }
        var scanner = JSONScanner(try file.bytes(at: 8, count: Int(length)))
        do {
            try read(&scanner)
            try scanner.end()
        } catch let problem as JSONScanner.Problem {
            throw WeightFileError.damaged(file: file.path, reason: "its header makes no sense: \(problem.reason)")
        }
        try checkPlaces(file)
    }

    private mutating func read(_ scanner: inout JSONScanner) throws {
        var names: Set<String> = []
        try scanner.object { scanner, name in
            guard names.insert(name).inserted else { throw JSONScanner.Problem("\(name.brief) is there twice") }
            if name == "__metadata__" {
                try scanner.object { metadata[$1] = try $0.string() }
            } else {
                guard entries.count < Self.mostTensors else { throw JSONScanner.Problem("it has too many tensors") }
                entries.append(try Self.entry(name, &scanner))
            }
        }
    }

    private static func entry(_ name: String, _ scanner: inout JSONScanner) throws -> Entry {
        var (type, shape, places): (String?, [Int]?, [Int]?) = (nil, nil, nil)
        func list(_ scanner: inout JSONScanner, atMost limit: Int) throws -> [Int] {
            var numbers: [Int] = []
            try scanner.array { scanner in
                guard numbers.count < limit else { throw JSONScanner.Problem("\(name.brief) has too many numbers") }
                numbers.append(try scanner.count())
            }
            return numbers
        }
        try scanner.object { scanner, key in
            switch key {
            case "dtype" where type == nil: type = try scanner.string()
            case "shape" where shape == nil: shape = try list(&scanner, atMost: 64)
            case "data_offsets" where places == nil: places = try list(&scanner, atMost: 2)
            default: throw JSONScanner.Problem("\(name.brief) has \(key.brief), which does not belong there")
            }
        }
        guard let type, let shape, let places, places.count == 2, places[0] <= places[1] else {
            throw JSONScanner.Problem("\(name.brief) has no dtype, shape or data_offsets that make sense")
        }
        guard let (elementType, size) = elementTypes[type] else {
            throw JSONScanner.Problem("\(name.brief) has the type \(type.brief), which is not known")
        }
        let bytes = places[0]..<places[1]
        let (needed, overflow) = shape.reduce((size, false)) { sum, side in
            let (product, overflow) = sum.0.multipliedReportingOverflow(by: side)
            return (product, sum.1 || overflow)
        }
        guard !overflow, needed == bytes.count else {
            throw JSONScanner.Problem("\(name.brief) of the shape \(shape) does not take \(bytes.count) bytes")
        }
        return Entry(name: name, shape: shape, type: elementType, bytes: bytes)
    }

    /// With the bytes of an element.
    private static let elementTypes: [String: (ElementType, Int)] = [
        "F64": (.float64, 8), "F32": (.float32, 4), "F16": (.float16, 2), "BF16": (.bfloat16, 2),
        "I64": (.int64, 8), "I32": (.int32, 4), "I16": (.int16, 2), "I8": (.int8, 1),
        "U64": (.uint64, 8), "U32": (.uint32, 4), "U16": (.uint16, 2), "U8": (.uint8, 1), "BOOL": (.uint8, 1),
        "C64": (.other("complex64"), 8), "F8_E4M3": (.other("float8"), 1), "F8_E5M2": (.other("float8"), 1),
        "F8_E8M0": (.other("float8"), 1),
    ]

    private func checkPlaces(_ file: OpenFile) throws {
        var end = 0
        for entry in entries.sorted(by: {
            ($0.bytes.lowerBound, $0.bytes.upperBound) < ($1.bytes.lowerBound, $1.bytes.upperBound)
        }) {
            guard entry.bytes.lowerBound == end else {
                let flaw = entry.bytes.lowerBound < end ? "shares bytes with another tensor" : "lies behind a gap"
                throw WeightFileError.damaged(file: file.path, reason: "\(entry.name.brief) \(flaw)")
            }
            end = entry.bytes.upperBound
        }
        let (declared, overflow) = start.addingReportingOverflow(end)
        guard !overflow, declared <= file.size else {
            throw WeightFileError.incomplete(
                file: file.path, reason: "its header declares \(declared) bytes, the file has \(file.size)")
        }
        guard declared == file.size else {
            throw WeightFileError.damaged(
                file: file.path, reason: "its header declares \(declared) bytes, the file has \(file.size)")
        }
    }
}
