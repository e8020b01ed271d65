/// Bytes one after another, out of a file or of an entry of an archive.
protocol ByteStream {
    /// Fills `buffer` with the next bytes.
    mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws
    mutating func skip(_ count: Int) throws
    /// Says that no more will be read, which is where a checksum over all bytes is compared.
    mutating func finish() throws
}

/// The bytes of a file from some place on.
struct FileStream: ByteStream {
    let file: OpenFile
    private(set) var place: Int

    init(_ file: OpenFile, at place: Int = 0) { (self.file, self.place) = (file, place) }

    mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws {
        try file.read(at: place, into: buffer)
        place += buffer.count
    }

    mutating func skip(_ count: Int) { place += count }

    func finish() {}
}
