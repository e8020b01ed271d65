/// A part of a JSON text as a value, for what other programs write in many forms. Of large texts the parts are read one by
/// one (``JSONScanner``), so that only one is in memory.
package enum JSONValue: Sendable, Equatable {
    case null
    case flag(Bool)
    case number(Double)
    case text(String)
    /// A list of numbers alone; an empty list.
    case numbers([Double])
    case list([JSONValue])
    case object([String: JSONValue])

    /// Lists and objects within each other, at most: the program's own stack is as deep.
    static let deepest = 64

    /// Nil for anything but an object with the key.
    package subscript(_ key: String) -> JSONValue? {
        if case .object(let members) = self { members[key] } else { nil }
    }

    package var text: String? { if case .text(let text) = self { text } else { nil } }
    package var number: Double? { if case .number(let number) = self { number } else { nil } }
    package var numbers: [Double]? { if case .numbers(let numbers) = self { numbers } else { nil } }

    /// Python writes flags as numbers in places.
    package var flag: Bool? {
        switch self {
        case .flag(let flag): flag
        case .number(let number): number != 0
        default: nil
        }
    }

    /// A whole number of at most 53 bits.
    package var count: Int? { number.flatMap { abs($0) <= 0x1p53 ? Int(exactly: $0) : nil } }

    package var list: [JSONValue]? {
        switch self {
        case .list(let values): values
        case .numbers(let numbers): numbers.map(JSONValue.number)
        default: nil
        }
    }
}

extension JSONScanner {
    /// The next value, whatever it is. Throws ``Problem``.
    package mutating func value(depth: Int = 0) throws -> JSONValue {
        guard depth < JSONValue.deepest else {
            throw Problem("it has lists within each other, more than \(JSONValue.deepest)")
        }
        switch next() {
        case UInt8(ascii: "\"")?: return .text(try string())
        case UInt8(ascii: "{")?:
            var members: [String: JSONValue] = [:]
            try object { scanner, key in members[key] = try scanner.value(depth: depth + 1) }
            return .object(members)
        case UInt8(ascii: "[")?: return try list(depth)
        case UInt8(ascii: "t")?, UInt8(ascii: "f")?, UInt8(ascii: "n")?: return try flag().map(JSONValue.flag) ?? .null
        default: return .number(try number())
        }
    }

    private mutating func list(_ depth: Int) throws -> JSONValue {
        var (numbers, values): ([Double], [JSONValue]) = ([], [])
        try array { scanner in
            let value = try scanner.value(depth: depth + 1)
            if values.isEmpty, case .number(let number) = value {
                numbers.append(number)
            } else {
                if values.isEmpty { values = numbers.map(JSONValue.number) }
                values.append(value)
            }
        }
        return values.isEmpty ? .numbers(numbers) : .list(values)
    }
}
