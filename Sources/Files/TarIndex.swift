import Foundation

/// Where the files of a tar archive lie in it, found by their places and by their names.
///
/// A million members take some 50 MB: names in one run of bytes, numbers in arrays.
package struct TarIndex: Equatable, Sendable {
    /// Of the archive, by which a change is noticed: bytes, and nanoseconds since 1970.
    package let length, modified: Int
    /// Of all members, one after the other.
    private var names: [UInt8] = []
    /// Where each name ends in ``names``.
    private var nameEnds: [UInt32] = []
    private var offsets: [UInt64] = []
    private var sizes: [UInt64] = []
    /// The members by their folders, and within one by their names, in byte order: so members of one key follow each other.
    private var order: [UInt32] = []
    /// The contents of members of at most ``mostKept`` bytes, one after the other, so that labels of a few digits are known
    /// without a read for each.
    private var contents: [UInt8] = []
    /// Where those of each member begin in ``contents``.
    private var contentStarts: [UInt32] = []
    private static let mostKept = 16

    /// Links and devices, which are no files.
    package private(set) var others = 0
    /// The member with whose contents the archive ends too early: it is none of these. Empty where its name is cut off,
    /// too.
    package private(set) var cut: String?

    /// In the order of the archive.
    package var count: Int { offsets.count }

    /// Reads all headers. Throws ``ArchiveError`` and `FileError`.
    init(_ descriptor: Int32, path: String, _ status: FileStatus) throws {
        (length, modified) = (status.size, status.modified)
        var reader = TarReader(descriptor, path: path, length: length)
        while let member = try reader.next() {
            guard member.isFile else {
                others += member.name.last == UInt8(ascii: "/") ? 0 : 1
                continue
            }
            let name = try Self.relative(member.name, path)
            if reader.isCut {
                cut = String(fileSystemBytes: name)
            } else {
                guard names.count + name.count < Int(UInt32.max), count < Int(Int32.max) else {
                    throw ArchiveError(path: path, reason: "it has too many members; divide it into several archives")
                }
                names += name
                nameEnds.append(UInt32(names.count))
                offsets.append(UInt64(member.offset))
                sizes.append(UInt64(member.size))
                contentStarts.append(UInt32(contents.count))
                if member.size <= Self.mostKept { contents += try reader.bytes(at: member.offset, count: member.size) }
            }
        }
        if reader.isCut, cut == nil { cut = "" }
        try sort(path)
    }

    /// A member's name as a path below some folder. Throws ``ArchiveError`` where it would lead out of it.
    private static func relative(_ name: [UInt8], _ path: String) throws(ArchiveError) -> [UInt8] {
        let parts = name.split(separator: UInt8(ascii: "/")).filter { !$0.elementsEqual(".".utf8) }
        guard !parts.isEmpty, !name.contains(0), !parts.contains(where: { $0.elementsEqual("..".utf8) }) else {
            throw ArchiveError(
                path: path + ":" + String(fileSystemBytes: name),
                reason: "its name leads out of the archive; pack it again under another name")
        }
        return Array(parts.joined(separator: [UInt8(ascii: "/")]))
    }

    /// Throws ``ArchiveError`` where two members have one name.
    private mutating func sort(_ path: String) throws {
        order = names.withUnsafeBufferPointer { names in
            nameEnds.withUnsafeBufferPointer { ends in
                let name = { (member: UInt32) in
                    UnsafeBufferPointer(
                        rebasing: names[(member > 0 ? Int(ends[Int(member) - 1]) : 0)..<Int(ends[Int(member)])])
                }
                return (0..<UInt32(ends.count)).sorted { precedes(name($0), name($1)) }
            }
        }
        if let twice = zip(order, order.dropFirst()).first(where: { bytes($0).elementsEqual(bytes($1)) }) {
            throw ArchiveError(
                path: path + ":" + name(Int(twice.0)),
                reason: "two members have this name; pack them under names of their own")
        }
    }

    private func bytes(_ member: UInt32) -> ArraySlice<UInt8> {
        names[(member > 0 ? Int(nameEnds[Int(member) - 1]) : 0)..<Int(nameEnds[Int(member)])]
    }

    package func name(_ member: Int) -> String { String(fileSystemBytes: bytes(UInt32(member))) }

    /// Where a member's contents begin.
    package func offset(_ member: Int) -> Int { Int(offsets[member]) }
    package func size(_ member: Int) -> Int { Int(sizes[member]) }
    /// A member's contents, where they are so short that the index has them.
    func contents(_ member: Int) -> [UInt8]? {
        guard size(member) <= Self.mostKept else { return nil }
        let start = Int(contentStarts[member])
        return Array(contents[start..<start + size(member)])
    }

    /// The member of a name; nil where there is none.
    package func find(_ name: String) -> Int? {
        let place = lowerBound(name.fileSystemBytes)
        guard place < count, bytes(order[place]).elementsEqual(name.fileSystemBytes) else { return nil }
        return Int(order[place])
    }

    /// The first place of ``order`` whose name is not before `name`.
    private func lowerBound(_ name: [UInt8]) -> Int {
        var (low, high) = (0, count)
        name.withUnsafeBufferPointer { name in
            while low < high {
                let middle = (low + high) / 2
                let isBefore = bytes(order[middle]).withUnsafeBufferPointer { precedes($0, name) }
                if isBefore { low = middle + 1 } else { high = middle }
            }
        }
        return low
    }

    /// The samples of the archive as WebDataset has them: members whose names are the same up to the first dot of the last
    /// name, `cats/17` for `cats/17.jpg`. What has no such name, or is hidden, belongs to none.
    ///
    /// - Parameter body: is handed each sample's members with what follows the dot, in lower case, by name.
    package func forEachSample(_ body: (_ members: [(ending: String, member: Int)]) throws -> Void) rethrows {
        var (key, members): (ArraySlice<UInt8>, [(String, Int)]) = ([], [])
        func finish() throws {
            if !members.isEmpty { try body(members) }
            members = []
        }
        for member in order {
            let name = bytes(member)
            let last = (name.lastIndex(of: UInt8(ascii: "/")) ?? name.startIndex - 1) + 1
            guard let dot = name[last...].firstIndex(of: UInt8(ascii: ".")), dot > last, dot + 1 < name.endIndex else {
                continue
            }
            if !name[..<dot].elementsEqual(key) {
                try finish()
                key = name[..<dot]
            }
            members.append((String(fileSystemBytes: name[(dot + 1)...]).lowercased(), Int(member)))
        }
        try finish()
    }
}

/// Whether a name comes before another, by its folder and then by its last name.
private func precedes(_ a: UnsafeBufferPointer<UInt8>, _ b: UnsafeBufferPointer<UInt8>) -> Bool {
    func last(_ name: UnsafeBufferPointer<UInt8>) -> Int { (name.lastIndex(of: UInt8(ascii: "/")) ?? -1) + 1 }
    let (first, second) = (last(a), last(b))
    let folders = compare(a[..<first], b[..<second])
    return folders == 0 ? compare(a[first...], b[second...]) < 0 : folders < 0
}

private func compare(_ a: Slice<UnsafeBufferPointer<UInt8>>, _ b: Slice<UnsafeBufferPointer<UInt8>>) -> Int {
    let (a, b) = (UnsafeBufferPointer(rebasing: a), UnsafeBufferPointer(rebasing: b))
    guard let first = a.baseAddress, let second = b.baseAddress else { return a.count - b.count }
    let order = memcmp(first, second, min(a.count, b.count))
    return order == 0 ? a.count - b.count : Int(order)
}

// MARK: The file of an index

extension TarIndex {
    /// The name of the file that keeps the index of an archive.
    package static func path(of archive: String) -> String { archive + ".index" }

    static let mark = Array("beit-seg tar index 1\n".utf8)

    /// The bytes of its file: the mark, numbers of 64 bits (of the archive its length and time; members, bytes of names,
    /// others, whether one is cut, bytes of its name, bytes of contents), offsets, sizes, ends of names, order, names, the
    /// cut name, contents, and a checksum of all that; numbers have their lowest byte first.
    var encoded: [UInt8] {
        let last = cut.map(\.fileSystemBytes)
        var bytes = Self.mark
        func add(_ numbers: [some FixedWidthInteger]) {
            numbers.map(\.littleEndian).withUnsafeBytes { bytes += $0 }
        }
        let isCut = last == nil ? 0 : 1
        add([length, modified, count, names.count, others, isCut, last?.count ?? 0, contents.count].map(Int64.init))
        add(offsets)
        add(sizes)
        add(nameEnds)
        add(order)
        bytes += names
        bytes += last ?? []
        bytes += contents
        add([CRC32C.checksum(bytes)])
        return bytes
    }

    /// Nil for what is no index, or is damaged.
    init?(encoded bytes: [UInt8]) {
        guard bytes.starts(with: Self.mark), bytes.count >= Self.mark.count + 8 * 8 + 4 else { return nil }
        var place = Self.mark.count
        func take<Number: FixedWidthInteger>(_ count: Int, of type: Number.Type) -> [Number] {
            let size = MemoryLayout<Number>.size
            defer { place += count * size }
            return bytes.withUnsafeBytes { bytes in
                (0..<count).map {
                    Number(littleEndian: bytes.loadUnaligned(fromByteOffset: place + $0 * size, as: Number.self))
                }
            }
        }
        let heading = take(8, of: Int64.self).map(Int.init)
        let (count, text, last, kept) = (heading[2], heading[3], heading[6], heading[7])
        let rest = bytes.count - place
        guard heading[0] >= 0, 0...rest / 24 ~= count, 0...rest ~= text, 0...rest ~= last, 0...rest ~= kept,
            rest == 24 * count + text + last + kept + 4,
            CRC32C.checksum(bytes.dropLast(4)) == bytes.suffix(4).reversed().reduce(0, { $0 << 8 | UInt32($1) })
        else { return nil }
        (length, modified, others) = (heading[0], heading[1], heading[4])
        offsets = take(count, of: UInt64.self)
        sizes = take(count, of: UInt64.self)
        nameEnds = take(count, of: UInt32.self)
        order = take(count, of: UInt32.self)
        names = Array(bytes[place..<place + text])
        cut = heading[5] == 0 ? nil : String(fileSystemBytes: bytes[place + text..<place + text + last])
        contents = Array(bytes[(place + text + last)..<place + text + last + kept])
        guard isSound else { return nil }
        var start = 0
        for size in sizes {
            contentStarts.append(UInt32(start))
            if size <= Self.mostKept { start += Int(size) }
        }
    }

    /// Whether nothing in it leads beyond the archive or its own arrays.
    private var isSound: Bool {
        let end = UInt64(length)
        return nameEnds.last.map(Int.init) ?? 0 == names.count
            && zip(nameEnds, nameEnds.dropFirst()).allSatisfy { $0 <= $1 }
            && zip(offsets, sizes).allSatisfy { $0 <= end && $1 <= end - $0 }
            && order.allSatisfy { $0 < UInt32(offsets.count) }
            && sizes.reduce(0) { $0 + ($1 <= Self.mostKept ? Int($1) : 0) } == contents.count
    }
}
