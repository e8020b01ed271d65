import Foundation

/// What is wrong with an archive: which one and which of its members, why, and what to do about it.
package struct ArchiveError: ExitStatus, Equatable {
    /// The archive, or `archive:member`.
    package var path: String
    package var reason: String

    package init(path: String, reason: String) { (self.path, self.reason) = (path, reason) }

    package var exitStatus: Int32 { 65 }
    package var description: String { "\(path.shown): \(reason)" }
}

/// Walks through the headers of a tar archive, without the contents of its members: ustar and its older form, names and
/// sizes of pax, GNU's long names and large numbers (POSIX.1-2017, "pax"; GNU tar's manual, "Basic Tar Format").
struct TarReader {
    struct Member: Equatable {
        /// As it stands in the archive.
        var name: [UInt8]
        /// Whether its contents follow; false for folders, links and devices.
        var isFile: Bool
        /// Where the contents begin, and how many bytes they are.
        var offset, size: Int
    }

    private let descriptor: Int32
    private let path: String
    /// Of the archive, in bytes.
    private let length: Int
    private var place = 0
    /// Bytes of the archive from ``bufferStart`` on, so that small members do not cost a read each.
    private var buffer: [UInt8] = []
    private var bufferStart = 0
    /// Whether the contents of the last member were cut off with the end of the archive.
    private(set) var isCut = false

    static let block = 512
    private static let portion = 1 << 14
    /// A longer name no system call would take.
    static let longestName = 4096
    /// Attributes of one member; those of real archives take some hundred bytes.
    private static let longestAttributes = 1 << 20

    init(_ descriptor: Int32, path: String, length: Int) {
        (self.descriptor, self.path, self.length) = (descriptor, path, length)
    }

    /// The next member; nil behind the last. What is cut off sets ``isCut``, and is the last.
    ///
    /// Throws ``ArchiveError`` for what is no tar archive, and `FileError`.
    mutating func next() throws -> Member? {
        var (longName, paxName, paxSize): ([UInt8]?, [UInt8]?, Int?)
        while true {
            let start = place
            if start == 0, 1..<Self.block ~= length { throw ArchiveError(path: path, reason: Self.noArchive) }
            guard !isCut, length - start >= Self.block else {
                isCut = isCut || length > start
                return nil
            }
            let header = try bytes(at: start, count: Self.block)
            // Two blocks of zeros end an archive; some writers leave it at one.
            if header.allSatisfy({ $0 == 0 }) { return nil }
            try requireChecksum(header, at: start)
            let name = name(header)
            var size = try number(header[124..<136], of: "size", longName ?? paxName ?? name)
            place += Self.block
            switch header[156] {
            case UInt8(ascii: "L"):
                guard let text = try attributes(size, name) else { return nil }
                longName = Array(text.prefix { $0 != 0 })
            case UInt8(ascii: "x"):
                guard let text = try attributes(size, name) else { return nil }
                (paxName, paxSize) = try pax(text, name)
            case UInt8(ascii: "g"), UInt8(ascii: "K"), UInt8(ascii: "V"):
                // Of all members to come, of a link, the archive's title: none says where contents are.
                guard try attributes(size, name) != nil else { return nil }
            case UInt8(ascii: "S"):
                throw error(longName ?? paxName ?? name, "it is stored with holes; pack it without --sparse")
            default:
                let name = paxName ?? longName ?? name
                guard name.count <= Self.longestName else {
                    throw error(
                        Array(name.prefix(60)),
                        "its name is longer than \(Self.longestName) bytes; give it a shorter one")
                }
                let isFolder = name.last == UInt8(ascii: "/")
                let isFile = [0, UInt8(ascii: "0"), UInt8(ascii: "7")].contains(header[156]) && !isFolder
                let isKnown = (UInt8(ascii: "1")...UInt8(ascii: "6")).contains(header[156]) || isFolder
                if let paxSize { size = paxSize }
                // Links and devices state sizes that nothing follows.
                if isKnown { size = 0 }
                let member = Member(name: name, isFile: isFile, offset: place, size: size)
                guard skip(size) else { return isFile ? member : nil }
                return member
            }
        }
    }

    /// Goes on behind contents of `size` bytes, to the next block; false where the archive ends before.
    private mutating func skip(_ size: Int) -> Bool {
        guard size <= length - place else {
            isCut = true
            return false
        }
        place += size
        place += min(length - place, (Self.block - size % Self.block) % Self.block)
        return true
    }

    /// The contents of a header that describes another; nil where the archive ends within it.
    private mutating func attributes(_ size: Int, _ name: [UInt8]) throws -> [UInt8]? {
        guard size <= Self.longestAttributes else {
            throw error(name, "its attributes take \(size) bytes; pack it again")
        }
        let start = place
        guard skip(size) else { return nil }
        return try bytes(at: start, count: size)
    }

    /// The name and the size that lines `LENGTH KEY=VALUE` give.
    private func pax(_ text: [UInt8], _ name: [UInt8]) throws -> (name: [UInt8]?, size: Int?) {
        var (rest, found): (ArraySlice<UInt8>, (name: [UInt8]?, size: Int?)) = (text[...], (nil, nil))
        while let first = rest.first, first != 0 {
            guard let blank = rest.prefix(8).firstIndex(of: UInt8(ascii: " ")),
                let length = Int(String(decoding: rest[..<blank], as: UTF8.self)),
                length > blank - rest.startIndex + 1, length <= rest.count,
                let equals = rest[blank..<rest.startIndex + length].firstIndex(of: UInt8(ascii: "="))
            else { throw error(name, "its attributes make no sense; pack it again") }
            let end = rest.startIndex + length
            let (key, value) = (rest[blank + 1..<equals], Array(rest[equals + 1..<end - 1]))
            switch String(decoding: key, as: UTF8.self) {
            case "path": found.name = value
            case "size":
                guard let size = Int(String(decoding: value, as: UTF8.self)), size >= 0 else {
                    throw error(name, "its size makes no sense; pack it again")
                }
                found.size = size
            case let key where key.hasPrefix("GNU.sparse."):
                throw error(name, "it is stored with holes; pack it without --sparse")
            default: break
            }
            rest = rest[end...]
        }
        return found
    }

    /// Digits of base 8, or, with the first bit set, bytes.
    private func number(_ field: ArraySlice<UInt8>, of what: String, _ name: [UInt8]) throws -> Int {
        func refuse() -> ArchiveError { error(name, "its \(what) makes no sense; pack it again") }
        if let first = field.first, first & 0x80 != 0 {
            guard first == 0x80, field.dropFirst().dropLast(8).allSatisfy({ $0 == 0 }),
                let value = Int(exactly: field.suffix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
            else { throw refuse() }
            return value
        }
        let digits = field.drop { $0 == UInt8(ascii: " ") }.prefix { $0 != 0 && $0 != UInt8(ascii: " ") }
        if digits.isEmpty { return 0 }
        guard digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "7")).contains($0) }),
            let value = Int(String(decoding: digits, as: UTF8.self), radix: 8)
        else { throw refuse() }
        return value
    }

    /// The name of a header; ustar's may be in two parts.
    private func name(_ header: [UInt8]) -> [UInt8] {
        let name = Array(header[..<100].prefix { $0 != 0 })
        // GNU tar has other things where POSIX has a prefix.
        guard header[257..<263].elementsEqual(Array("ustar".utf8) + [0]) else { return name }
        let prefix = header[345..<500].prefix { $0 != 0 }
        return prefix.isEmpty ? name : prefix + [UInt8(ascii: "/")] + name
    }

    private func requireChecksum(_ header: [UInt8], at start: Int) throws {
        let digits = header[148..<156].filter { (UInt8(ascii: "0")...UInt8(ascii: "7")).contains($0) }
        let stated = Int(String(decoding: digits, as: UTF8.self), radix: 8)
        var (sum, signed) = (0, 0)
        for (place, byte) in header.enumerated() {
            let byte = (148..<156).contains(place) ? UInt8(ascii: " ") : byte
            sum += Int(byte)
            signed += Int(Int8(bitPattern: byte))
        }
        if stated == sum || stated == signed { return }
        guard start == 0 else {
            throw ArchiveError(
                path: path,
                reason: "the archive is damaged at byte \(start), where a member should begin; copy it again")
        }
        let known: [(begins: [UInt8], what: String)] = [
            ([0x1F, 0x8B], "compressed by gzip; decompress it first (gunzip)"),
            ([0x28, 0xB5, 0x2F, 0xFD], "compressed by Zstandard; decompress it first (unzstd)"),
            (Array("BZh".utf8), "compressed by bzip2; decompress it first (bunzip2)"),
            ([0xFD, 0x37, 0x7A], "compressed by xz; decompress it first (unxz)"),
            (Array("PK".utf8), "a zip archive; unpack it, and pack it with tar"),
        ]
        let what = known.first { header.starts(with: $0.begins) }?.what
        throw ArchiveError(path: path, reason: what.map { "it is \($0)" } ?? Self.noArchive)
    }

    private static let noArchive = "it is no tar archive; name one, or leave it out"

    private func error(_ name: [UInt8], _ reason: String) -> ArchiveError {
        ArchiveError(path: path + ":" + String(fileSystemBytes: name), reason: reason)
    }

    /// Bytes at a place of the archive.
    mutating func bytes(at start: Int, count: Int) throws -> [UInt8] {
        if start < bufferStart || start + count > bufferStart + buffer.count {
            buffer = try readBytes(descriptor, path, at: start, count: min(max(count, Self.portion), length - start))
            bufferStart = start
        }
        return Array(buffer[start - bufferStart..<start - bufferStart + count])
    }
}

/// Bytes at a place of an open file. Throws `FileError`, also where the file ends before.
func readBytes(_ descriptor: Int32, _ path: String, at start: Int, count: Int) throws(FileError) -> [UInt8] {
    var (bytes, done) = ([UInt8](repeating: 0, count: count), 0)
    while done < count {
        let read = bytes.withUnsafeMutableBytes { bytes in
            retrying { pread(descriptor, bytes.baseAddress! + done, count - done, off_t(start + done)) }
        }
        guard read >= 0 else { throw FileError.system(path, doing: "read") }
        guard read > 0 else {
            throw FileError(.inputOutput, path: path, reason: "it has become shorter while it was read; start again")
        }
        done += read
    }
    return bytes
}
