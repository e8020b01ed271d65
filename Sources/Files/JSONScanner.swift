/// JSON whose form is known (RFC 8259), read where it stands: no tree is built, so that a text cannot ask for much more
/// memory than it has, and nothing recurses, so that it cannot exhaust the stack.
package struct JSONScanner {
    private let bytes: [UInt8]
    private var place = 0

    package init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// What is wrong, in half a line.
    package struct Problem: Error {
        package let reason: String
        package init(_ reason: String) { self.reason = reason }
    }

    private var problem: Problem { Problem("byte \(place) is not what JSON of this form has there") }

    /// The first byte of the next value; nil at the end.
    package mutating func next() -> UInt8? {
        while place < bytes.count {
            let byte = bytes[place]
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return byte }
            place += 1
        }
        return nil
    }

    private mutating func take(_ character: Character) throws(Problem) {
        guard next() == character.asciiValue else { throw problem }
        place += 1
    }

    /// - Parameter member: reads the value of the key that it is given.
    package mutating func object(_ member: (inout JSONScanner, String) throws -> Void) throws {
        try list("{", "}") { scanner in
            let key = try scanner.string()
            try scanner.take(":")
            try member(&scanner, key)
        }
    }

    package mutating func array(_ element: (inout JSONScanner) throws -> Void) throws { try list("[", "]", element) }

    private mutating func list(
        _ open: Character, _ close: Character, _ element: (inout JSONScanner) throws -> Void
    ) throws {
        try take(open)
        if next() == close.asciiValue { return try take(close) }
        while true {
            try element(&self)
            guard next() == UInt8(ascii: ",") else { return try take(close) }
            try take(",")
        }
    }

    /// A whole number without sign, fraction or exponent, of at most 18 digits.
    package mutating func count() throws -> Int {
        guard let first = next(), (0x30...0x39).contains(first) else { throw problem }
        let digits = bytes[place...].prefix(19).prefix { (0x30...0x39).contains($0) }
        place += digits.count
        let isEnd = place == bytes.count || ![0x2E, 0x45, 0x65].contains(bytes[place])  // . E e
        guard digits.count < 19, isEnd else { throw problem }
        return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }

    /// A number of any kind, also those that Python writes and JSON does not know (`NaN`, `Infinity`).
    package mutating func number() throws -> Double {
        _ = next()
        let start = place
        try word()
        let text = bytes[start..<place]
        if let short = Self.short(text) { return short }
        guard let value = Double(String(decoding: text, as: UTF8.self)) else {
            place = start
            throw problem
        }
        return value
    }

    /// Up to 15 digits with a point somewhere: the quotient of two numbers that a `Double` holds exactly is the nearest
    /// one. Much faster than the general way.
    private static func short(_ text: ArraySlice<UInt8>) -> Double? {
        let isNegative = text.first == UInt8(ascii: "-")
        var (digits, count, behind) = (0, 0, -1)
        for byte in isNegative ? text.dropFirst() : text {
            if byte == UInt8(ascii: "."), behind < 0 {
                behind = 0
                continue
            }
            guard (0x30...0x39).contains(byte), count < 15 else { return nil }
            digits = digits * 10 + Int(byte - 0x30)
            count += 1
            if behind >= 0 { behind += 1 }
        }
        guard count > 0, behind != 0 else { return nil }
        let value = behind > 0 ? Double(digits) / powersOfTen[behind] : Double(digits)
        return isNegative ? -value : value
    }

    private static let powersOfTen: [Double] = (0..<16).map { (0..<$0).reduce(1) { power, _ in power * 10 } }

    /// `true` or `false`; nil for `null`.
    package mutating func flag() throws -> Bool? {
        _ = next()
        let start = place
        try word()
        switch String(decoding: bytes[start..<place], as: UTF8.self) {
        case "true": return true
        case "false": return false
        case "null": return nil
        default:
            place = start
            throw problem
        }
    }

    package mutating func string() throws -> String {
        try take("\"")
        var text: [UInt8] = []
        while place < bytes.count {
            let byte = bytes[place]
            place += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: text, as: UTF8.self) else { throw Problem("a text is not UTF-8") }
                return text
            case UInt8(ascii: "\\"): text += try escape()
            case 0..<0x20: throw problem
            default: text.append(byte)
            }
        }
        throw Problem("a text does not end")
    }

    private mutating func escape() throws(Problem) -> [UInt8] {
        guard place < bytes.count else { throw problem }
        let letter = Character(Unicode.Scalar(bytes[place]))
        place += 1
        let plain: [Character: UInt8] = [
            "\"": 0x22, "\\": 0x5C, "/": 0x2F, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9,
        ]
        if let byte = plain[letter] { return [byte] }
        guard letter == "u" else { throw problem }
        var value = try hexadecimal()
        if (0xD800..<0xDC00).contains(value) {
            guard bytes[place...].starts(with: Array("\\u".utf8)) else { throw problem }
            place += 2
            let second = try hexadecimal()
            guard (0xDC00..<0xE000).contains(second) else { throw problem }
            value = 0x10000 + (value - 0xD800) << 10 + (second - 0xDC00)
        }
        guard let scalar = Unicode.Scalar(value) else { throw problem }
        return Array(String(Character(scalar)).utf8)
    }

    private mutating func hexadecimal() throws(Problem) -> UInt32 {
        let digits = bytes[place...].prefix(4)
        let isSound = digits.count == 4 && digits.allSatisfy { Character(Unicode.Scalar($0)).isHexDigit }
        guard isSound, let value = UInt32(String(decoding: digits, as: UTF8.self), radix: 16) else { throw problem }
        place += 4
        return value
    }

    /// Passes by a value of any kind and depth. Its brackets are counted, its numbers and words not looked at.
    package mutating func skip() throws {
        var depth = 0
        repeat {
            switch next() {
            case UInt8(ascii: "\"")?: _ = try string()
            case UInt8(ascii: "{")?, UInt8(ascii: "[")?:
                depth += 1
                place += 1
            case UInt8(ascii: "}")?, UInt8(ascii: "]")?:
                depth -= 1
                place += 1
                guard depth >= 0 else { throw problem }
            case UInt8(ascii: ",")?, UInt8(ascii: ":")?:
                guard depth > 0 else { throw problem }
                place += 1
            case _?: try word()
            case nil: throw Problem("it ends too early")
            }
        } while depth > 0
    }

    /// A number, `true`, `false` or `null`.
    private mutating func word() throws(Problem) {
        let word = bytes[place...].prefix { byte in
            Character(Unicode.Scalar(byte)).isLetter || (0x30...0x39).contains(byte)
                || [0x2B, 0x2D, 0x2E].contains(byte)
        }
        guard !word.isEmpty else { throw problem }
        place += word.count
    }

    /// Throws if more than white space is left.
    package mutating func end() throws(Problem) { guard next() == nil else { throw problem } }
}
