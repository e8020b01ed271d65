import Foundation

/// Writes a tar archive, whole or not at all: ustar, with pax's attributes where a name is longer than 100 bytes or a file
/// larger than 8 GiB. The same members give the same bytes: no owner, time 0.
package final class TarWriter {
    private let file: AtomicFile
    private let descriptor: Int32
    private var isOpen = true
    /// Bytes so far.
    package private(set) var size = 0

    /// Throws ``FileError``.
    package init(_ path: String) throws(FileError) {
        file = try AtomicFile(path)
        descriptor = try file.create()
    }

    deinit { if isOpen { close(descriptor) } }

    /// Throws ``FileError``.
    package func add(_ name: String, _ bytes: [UInt8]) throws(FileError) {
        let name = name.fileSystemBytes
        var attributes: [UInt8] = []
        if name.count > 100 { attributes += Self.attribute("path", name) }
        if bytes.count >= 1 << 33 { attributes += Self.attribute("size", Array(String(bytes.count).utf8)) }
        if !attributes.isEmpty {
            try write(Self.header(Array("pax".utf8), attributes.count, type: "x"))
            try writePadded(attributes)
        }
        try write(Self.header(Array(name.prefix(100)), bytes.count >= 1 << 33 ? 0 : bytes.count, type: "0"))
        try writePadded(bytes)
    }

    /// Throws ``FileError``.
    package func finish() throws(FileError) {
        try write([UInt8](repeating: 0, count: 2 * TarReader.block))
        isOpen = false
        guard close(descriptor) == 0 || errno == EINTR else { throw FileError.writing(file.path, doing: "write") }
        try file.commit()
    }

    /// `LENGTH KEY=VALUE`, where the length counts its own digits.
    private static func attribute(_ key: String, _ value: [UInt8]) -> [UInt8] {
        let rest = Array(" \(key)=".utf8) + value + [UInt8(ascii: "\n")]
        var length = rest.count
        while length != rest.count + String(length).utf8.count { length = rest.count + String(length).utf8.count }
        return Array(String(length).utf8) + rest
    }

    private static func header(_ name: [UInt8], _ size: Int, type: Character) -> [UInt8] {
        var header = [UInt8](repeating: 0, count: TarReader.block)
        func put(_ bytes: some Collection<UInt8>, at place: Int) {
            header.replaceSubrange(place..<place + bytes.count, with: bytes)
        }
        /// With a zero byte behind it.
        func put(octal number: Int, at place: Int, width: Int) {
            let digits = String(number, radix: 8)
            put((String(repeating: "0", count: width - 1 - digits.utf8.count) + digits).utf8, at: place)
        }
        put(name, at: 0)
        put(octal: 0o644, at: 100, width: 8)
        put(octal: 0, at: 108, width: 8)
        put(octal: 0, at: 116, width: 8)
        put(octal: size, at: 124, width: 12)
        put(octal: 0, at: 136, width: 12)
        put("        ".utf8, at: 148)
        put(String(type).utf8, at: 156)
        put("ustar\0".utf8, at: 257)
        put("00".utf8, at: 263)
        put(octal: header.reduce(0) { $0 + Int($1) }, at: 148, width: 7)
        return header
    }

    private func writePadded(_ bytes: [UInt8]) throws(FileError) {
        try write(bytes)
        try write([UInt8](repeating: 0, count: (TarReader.block - bytes.count % TarReader.block) % TarReader.block))
    }

    private func write(_ bytes: [UInt8]) throws(FileError) {
        guard bytes.withUnsafeBytes({ writeAll($0, to: descriptor) }) else {
            throw FileError.writing(file.path, doing: "write")
        }
        size += bytes.count
    }
}
