import BEiTFiles

/// XML read from start to end: elements, their attributes and texts. Entities that a file declares are not expanded, and
/// nothing outside of it is read, so that a text cannot ask for more memory than it has.
struct XMLScanner {
    enum Event: Equatable {
        case start(String, [String: String])
        case end(String)
        /// Not empty, and without the blanks around it.
        case text(String)
    }

    struct Problem: Error {
        let reason: String
        init(_ reason: String) { self.reason = reason }
    }

    private let bytes: [UInt8]
    private var place = 0
    /// The elements that are open.
    private(set) var path: [String] = []
    /// The end of an element without contents, which follows its start.
    private var pending: String?

    private static let deepest = 64

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// The next event; nil at the end. Throws ``Problem``.
    mutating func next() throws(Problem) -> Event? {
        if let name = pending {
            pending = nil
            path.removeLast()
            return .end(name)
        }
        while place < bytes.count {
            guard bytes[place] == UInt8(ascii: "<") else {
                let text = try text(until: UInt8(ascii: "<"))
                let shown = text.trimmed
                if !shown.isEmpty { return .text(shown) }
                continue
            }
            if starts("<!--") {
                try skip(past: "-->")
            } else if starts("<![CDATA[") {
                place += 9
                let start = place
                try skip(past: "]]>")
                return .text(try decoded(bytes[start..<place - 3]))
            } else if starts("<?") {
                try skip(past: "?>")
            } else if starts("<!") {
                try skipDeclaration()
            } else {
                return try tag()
            }
        }
        guard path.isEmpty else { throw Problem("the element \(path[path.count - 1].shown) does not end") }
        return nil
    }

    private func starts(_ sign: String) -> Bool { bytes[place...].starts(with: sign.utf8) }

    private mutating func skip(past sign: String) throws(Problem) {
        let wanted = Array(sign.utf8)
        while place + wanted.count <= bytes.count {
            if bytes[place...].starts(with: wanted) {
                place += wanted.count
                return
            }
            place += 1
        }
        throw Problem("it ends too early")
    }

    /// `<!DOCTYPE …>`, which may have declarations in brackets.
    private mutating func skipDeclaration() throws(Problem) {
        var depth = 0
        while place < bytes.count {
            let byte = bytes[place]
            place += 1
            if byte == UInt8(ascii: "<") || byte == UInt8(ascii: "[") { depth += 1 }
            if byte == UInt8(ascii: ">") || byte == UInt8(ascii: "]") { depth -= 1 }
            if depth == 0 { return }
        }
        throw Problem("it ends too early")
    }

    private mutating func tag() throws(Problem) -> Event {
        place += 1
        let isEnd = place < bytes.count && bytes[place] == UInt8(ascii: "/")
        if isEnd { place += 1 }
        let name = try name()
        if isEnd {
            skipBlanks()
            try take(">")
            guard path.popLast() == name else { throw Problem("the element \(name.shown) ends where it has not begun") }
            return .end(name)
        }
        var attributes: [String: String] = [:]
        while true {
            skipBlanks()
            guard place < bytes.count else { throw Problem("it ends too early") }
            if bytes[place] == UInt8(ascii: ">") || bytes[place] == UInt8(ascii: "/") { break }
            let key = try self.name()
            skipBlanks()
            try take("=")
            skipBlanks()
            guard place < bytes.count, bytes[place] == UInt8(ascii: "\"") || bytes[place] == UInt8(ascii: "'") else {
                throw Problem("the attribute \(key.shown) has no value in quotes")
            }
            let quote = bytes[place]
            place += 1
            attributes[key] = try text(until: quote)
            place += 1
        }
        guard path.count < Self.deepest else {
            throw Problem("it has elements within each other, more than \(Self.deepest)")
        }
        path.append(name)
        if bytes[place] == UInt8(ascii: "/") {
            place += 1
            pending = name
        }
        try take(">")
        return .start(name, attributes)
    }

    private mutating func name() throws(Problem) -> String {
        let start = place
        while place < bytes.count, !" \t\r\n=<>/\"'".utf8.contains(bytes[place]) { place += 1 }
        guard place > start else { throw Problem("a name is missing") }
        return try decoded(bytes[start..<place])
    }

    private mutating func skipBlanks() {
        while place < bytes.count, " \t\r\n".utf8.contains(bytes[place]) { place += 1 }
    }

    private mutating func take(_ sign: Character) throws(Problem) {
        guard place < bytes.count, bytes[place] == sign.asciiValue else { throw Problem("`\(sign)` is missing") }
        place += 1
    }

    /// Up to a byte, which stays to be read, with its entities replaced.
    private mutating func text(until end: UInt8) throws(Problem) -> String {
        var result: [UInt8] = []
        while place < bytes.count, bytes[place] != end {
            if bytes[place] == UInt8(ascii: "&") {
                result += try entity().utf8
            } else {
                result.append(bytes[place])
                place += 1
            }
        }
        guard place < bytes.count || path.isEmpty else { throw Problem("it ends too early") }
        return try decoded(result[...])
    }

    private mutating func entity() throws(Problem) -> String {
        let rest = bytes[place...].prefix(12)
        guard let end = rest.firstIndex(of: UInt8(ascii: ";")) else { throw Problem("a `&` stands for nothing") }
        let name = String(decoding: bytes[place + 1..<end], as: UTF8.self)
        place = end + 1
        let known = ["lt": "<", "gt": ">", "amp": "&", "quot": "\"", "apos": "'"]
        if let text = known[name] { return text }
        let number = name.hasPrefix("#x") ? UInt32(name.dropFirst(2), radix: 16) : UInt32(name.dropFirst())
        guard name.hasPrefix("#"), let number, let scalar = Unicode.Scalar(number) else {
            throw Problem("the entity `&\(name.shown);` is not known")
        }
        return String(Character(scalar))
    }

    private func decoded(_ bytes: ArraySlice<UInt8>) throws(Problem) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw Problem("a text is not UTF-8") }
        return text
    }
}

extension String {
    /// Without the blanks around it.
    var trimmed: String {
        let isBlank = { (character: Character) in character.isWhitespace }
        return String(drop(while: isBlank).reversed().drop(while: isBlank).reversed())
    }
}
