import Foundation

/// A path's text and the bytes by which the system knows it.
///
/// The system's names are bytes that need not be UTF-8; beit-seg's paths are `String`s. A byte that belongs to no valid
/// UTF-8 is carried as the private scalar U+10F000 + byte, as Python's `surrogateescape` does with its surrogates. A name
/// that really has one of these scalars has its bytes carried one by one, so that every name comes back as it was.
///
/// Two names that Swift compares as equal (é as one scalar or as two) may be two files: where that matters, compare
/// ``Swift/String/fileSystemBytes`` or ``FileIdentity``.
private enum CarriedByte {
    static let first: UInt32 = 0x10F000

    static func scalar(_ byte: UInt8) -> Unicode.Scalar { Unicode.Scalar(first + UInt32(byte))! }

    /// Nil for a scalar that stands for itself.
    static func byte(_ scalar: Unicode.Scalar) -> UInt8? {
        let (value, overflow) = scalar.value.subtractingReportingOverflow(first)
        return !overflow && (0x80...0xFF).contains(value) ? UInt8(value) : nil
    }
}

extension String {
    /// The text of a name that came from the system.
    package init(fileSystemName name: UnsafePointer<CChar>) {
        self.init(fileSystemBytes: UnsafeRawBufferPointer(start: name, count: strlen(name)))
    }

    /// The text of a name that stands in a file, without the NUL or line feed behind it.
    package init(fileSystemBytes bytes: some Collection<UInt8>) {
        if let text = String(validating: bytes, as: UTF8.self),
            !text.unicodeScalars.contains(where: { CarriedByte.byte($0) != nil })
        {
            self = text
            return
        }
        var scalars = UnicodeScalarView()
        var (parser, source, rest) = (Unicode.UTF8.ForwardParser(), bytes.makeIterator(), bytes[...])
        reading: while true {
            switch parser.parseScalar(from: &source) {
            case .valid(let encoded):
                let scalar = Unicode.UTF8.decode(encoded)
                if CarriedByte.byte(scalar) == nil {
                    scalars.append(scalar)
                } else {
                    scalars.append(contentsOf: encoded.map(CarriedByte.scalar))
                }
                rest = rest.dropFirst(encoded.count)
            case .error(let length):
                scalars.append(contentsOf: rest.prefix(length).map(CarriedByte.scalar))
                rest = rest.dropFirst(length)
            case .emptyInput: break reading
            }
        }
        self.init(scalars)
    }

    /// The bytes by which the system knows the path.
    package var fileSystemBytes: [UInt8] {
        guard unicodeScalars.contains(where: { CarriedByte.byte($0) != nil }) else { return Array(utf8) }
        return unicodeScalars.flatMap { scalar in
            CarriedByte.byte(scalar).map { [$0] } ?? Array(UTF8.encode(scalar)!)
        }
    }

    /// Calls `body` with the name as the system takes it. A text with a NUL in it names no file: it is handed over as the
    /// empty name, which every call refuses, rather than as its beginning, which may be another file.
    package func withFileSystemName<Result, Failure: Error>(
        _ body: (UnsafePointer<CChar>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        var name = fileSystemBytes.map { CChar(bitPattern: $0) }
        if name.contains(0) { name = [] }
        name.append(0)
        var outcome: Swift.Result<Result, Failure>?
        name.withUnsafeBufferPointer { buffer in
            do throws(Failure) {
                outcome = .success(try body(buffer.baseAddress!))
            } catch {
                outcome = .failure(error)
            }
        }
        return try outcome!.get()
    }

    /// For people: one line in which nothing can break it, colour it or turn its direction. Carried bytes are shown as
    /// `\xE9`, control characters as `\n` or `\x1B`, other invisible ones as `\u{202E}`.
    package var shown: String {
        guard unicodeScalars.contains(where: { String.escape($0) != nil }) else { return self }
        return unicodeScalars.reduce(into: "") { text, scalar in
            if let escape = String.escape(scalar) { text += escape } else { text.unicodeScalars.append(scalar) }
        }
    }

    private static func escape(_ scalar: Unicode.Scalar) -> String? {
        if let byte = CarriedByte.byte(scalar) { return String(format: "\\x%02X", byte) }
        switch scalar {
        case "\n": return "\\n"
        case "\r": return "\\r"
        case "\t": return "\\t"
        case "\0"..<" ", "\u{7F}": return String(format: "\\x%02X", scalar.value)
        case "\u{80}"..."\u{9F}", "\u{200E}", "\u{200F}", "\u{2028}"..."\u{202E}", "\u{2066}"..."\u{2069}":
            return String(format: "\\u{%X}", scalar.value)
        default: return nil
        }
    }
}

/// Arithmetic on paths. It cuts at the byte `/` alone: a letter with which Swift would join the slash to one character
/// (a combining accent at the start of a name) does not hide it.
extension String {
    /// The path without slashes at its end; "/" stays.
    private var trimmed: Substring.UTF8View {
        var rest = utf8[...]
        while rest.count > 1, rest.last == UInt8(ascii: "/") { rest.removeLast() }
        return rest
    }

    /// `name` below this folder; the empty folder is the current one.
    package func joined(_ name: String) -> String {
        if isEmpty || name.isEmpty { return self + name }
        return utf8.last == UInt8(ascii: "/") ? self + name : self + "/" + name
    }

    /// The folder that holds the path, "." for a bare name.
    package var parent: String {
        let rest = trimmed
        guard let slash = rest.lastIndex(of: UInt8(ascii: "/")) else { return "." }
        var folder = rest[..<slash]
        while folder.last == UInt8(ascii: "/") { folder.removeLast() }
        return folder.isEmpty ? "/" : String(Substring(folder))
    }

    /// The last name of the path: `b.jpg` of `a/b.jpg`, `b` of `a/b/`.
    package var lastName: String {
        let rest = trimmed
        guard let slash = rest.lastIndex(of: UInt8(ascii: "/")), rest.count > 1 else { return String(Substring(rest)) }
        return String(Substring(rest[rest.index(after: slash)...]))
    }

    /// The last name without its ending: `b.tar` of `a/b.tar.gz`, `.hidden` of `.hidden`.
    package var stem: String {
        let (name, ending) = (lastName, ending)
        return ending.isEmpty ? name : String(Substring(name.utf8.dropLast(ending.utf8.count + 1)))
    }

    /// Behind the last name's last point, as it is spelled: `JPG` of `a/b.JPG`; empty where there is none.
    package var ending: String {
        let name = lastName.utf8
        guard let point = name.lastIndex(of: UInt8(ascii: ".")),
            name[..<point].contains(where: { $0 != UInt8(ascii: ".") })
        else { return "" }
        return String(Substring(name[name.index(after: point)...]))
    }

    /// The path with its folders and without its ending: `a/b` of `a/b.jpg`.
    package var withoutEnding: String {
        let ending = ending
        return ending.isEmpty ? self : String(Substring(trimmed.dropLast(ending.utf8.count + 1)))
    }
}
