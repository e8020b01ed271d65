import BEiTFiles

/// The bytes of a pickle, out of a stream of known length. No length that the pickle states is believed before it has
/// been compared with the bytes that are left.
struct PickleInput {
    let file: OpenFile
    private var stream: any ByteStream
    /// Bytes handed out so far, and of the whole stream.
    private(set) var position = 0
    let count: Int
    /// Where the stream begins in the file, if it is a part of the file as it stands: then long bytes need not be read.
    let start: Int?
    private var block: [UInt8] = []
    private var used = 0

    /// The bytes `range` of a file.
    init(_ file: OpenFile, _ range: Range<Int>) {
        (self.file, count, start) = (file, range.count, range.lowerBound)
        stream = FileStream(file, at: range.lowerBound)
    }

    /// An entry of an archive, `count` bytes long.
    init(_ file: OpenFile, _ stream: any ByteStream, count: Int) {
        (self.file, self.stream, self.count, start) = (file, stream, count, nil)
    }

    private var left: Int { count - position }

    private func require(_ count: Int) throws {
        guard count < 0 || count > left else { return }
        let reason = "its pickle ends too early, at byte \(self.count)"
        // An archive that has its end has all of its entries.
        throw start == nil
            ? WeightFileError.damaged(file: file.path, reason: reason) : .incomplete(file: file.path, reason: reason)
    }

    mutating func byte() throws -> UInt8 {
        if used == block.count {
            try require(1)
            block = [UInt8](repeating: 0, count: min(left, 1 << 14))
            try block.withUnsafeMutableBytes { try stream.read(into: $0) }
            used = 0
        }
        defer { (used, position) = (used + 1, position + 1) }
        return block[used]
    }

    mutating func bytes(_ count: Int) throws -> [UInt8] {
        try require(count)
        let inBlock = min(count, block.count - used)
        let head = block[used..<used + inBlock]
        (used, position) = (used + inBlock, position + inBlock)
        if inBlock == count { return Array(head) }
        return try [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            _ = buffer.update(fromContentsOf: head)
            try stream.read(
                into: UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(rebasing: buffer[inBlock..<count])))
            position += count - inBlock
            initialized = count
        }
    }

    mutating func skip(_ count: Int) throws {
        try require(count)
        let inBlock = min(count, block.count - used)
        try stream.skip(count - inBlock)
        (used, position) = (used + inBlock, position + count)
    }

    /// Says that no more will be read (``ByteStream/finish()``).
    mutating func finish() throws { try stream.finish() }

    /// A little-endian number without sign.
    mutating func number(_ bytes: Int) throws -> UInt64 {
        var value: UInt64 = 0
        for i in 0..<bytes { value |= UInt64(try byte()) << (8 * UInt64(i)) }
        return value
    }

    /// A length.
    mutating func length(_ bytes: Int) throws -> Int { Int(clamping: try number(bytes)) }

    /// What stands before the next line feed, which is passed by.
    mutating func line() throws -> [UInt8] {
        var line: [UInt8] = []
        while true {
            let byte = try byte()
            if byte == 0x0A { return line }
            line.append(byte)
        }
    }
}
