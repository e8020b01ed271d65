import BEiTFiles
import CBEiTZip
import Foundation

/// A zip archive open for reading. Entries are found by their whole names, which lead nowhere but into the archive.
final class ZipArchive: @unchecked Sendable {
    struct Entry {
        let name: String
        fileprivate let index: zip_uint64_t
        /// In bytes, as the archive declares it.
        let size, storedSize: Int
    }
    let file: OpenFile
    let entries: [Entry]
    private let byName: [String: Int]
    /// libzip's handles are for one thread at a time: the archive and its streams are used under the lock.
    private let lock = NSLock()
    private let archive: OpaquePointer
    /// Entries whose checksum has been compared with all their bytes.
    private var verified: Set<zip_uint64_t> = []

    /// Throws ``WeightFileError``.
    init(_ file: OpenFile) throws {
        var code: Int32 = 0
        let copy = dup(file.descriptor)
        guard copy >= 0 else { throw FileError.system(file.path, doing: "open") }
        guard let archive = zip_fdopen(copy, ZIP_CHECKCONS, &code) else {
            close(copy)
            throw Self.problem(code, file)
        }
        (self.file, self.archive) = (file, archive)
        entries = (0..<zip_uint64_t(max(0, zip_get_num_entries(archive, 0)))).compactMap { index in
            var status = zip_stat_t()
            let wanted = zip_uint64_t(ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE)
            guard zip_stat_index(archive, index, 0, &status) == 0, status.valid & wanted == wanted,
                let name = status.name.flatMap({ String(validatingCString: $0) })
            else { return nil }
            return Entry(
                name: name, index: index, size: Int(clamping: status.size), storedSize: Int(clamping: status.comp_size))
        }
        byName = Dictionary(entries.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
        guard byName.count == entries.count else {
            throw WeightFileError.damaged(file: file.path, reason: "two entries of it have the same name")
        }
    }

    deinit { zip_discard(archive) }

    private static func problem(_ code: Int32, _ file: OpenFile) -> WeightFileError {
        if code == ZIP_ER_NOZIP {
            return .incomplete(
                file: file.path, reason: "it begins as a zip archive and has not the end of one (\(file.size) bytes)")
        }
        var error = zip_error_t()
        zip_error_init_with_code(&error, code)
        defer { zip_error_fini(&error) }
        return .damaged(
            file: file.path, reason: "its directory makes no sense: \(String(cString: zip_error_strerror(&error)))")
    }

    func entry(_ name: String) -> Entry? { byName[name].map { entries[$0] } }

    fileprivate func locked<Value>(_ body: (OpaquePointer) throws -> Value) rethrows -> Value {
        try lock.withLock { try body(archive) }
    }

    /// Whether the checksum of an entry has been compared. Called under the lock.
    fileprivate func isVerified(_ entry: Entry) -> Bool { verified.contains(entry.index) }
    fileprivate func noteVerified(_ entry: Entry) { verified.insert(entry.index) }

    func damaged(_ entry: Entry, _ reason: String) -> WeightFileError {
        .damaged(file: file.path, reason: "\(entry.name.brief) in it cannot be read: \(reason)")
    }
}

/// The bytes of an entry, inflated where it is compressed, and never more of them than it declares.
final class ZipStream: ByteStream {
    private let archive: ZipArchive
    private let entry: ZipArchive.Entry
    private let stream: OpaquePointer
    private var position = 0

    /// Throws ``WeightFileError``.
    init(_ archive: ZipArchive, _ entry: ZipArchive.Entry) throws {
        (self.archive, self.entry) = (archive, entry)
        stream = try archive.locked { handle in
            guard let stream = zip_fopen_index(handle, entry.index, 0) else {
                throw archive.damaged(entry, String(cString: zip_strerror(handle)))
            }
            return stream
        }
    }

    deinit { _ = archive.locked { _ in zip_fclose(stream) } }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws {
        var done = 0
        while done < buffer.count {
            done += try readSome(into: UnsafeMutableRawBufferPointer(rebasing: buffer[done...]))
        }
    }

    /// Reads at least one byte, if `buffer` has room for one.
    private func readSome(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let got = archive.locked { _ in zip_fread(stream, buffer.baseAddress, zip_uint64_t(buffer.count)) }
        guard got > 0 else { throw archive.damaged(entry, got < 0 ? reason : "it ends after \(position) bytes") }
        position += Int(got)
        return Int(got)
    }

    private var reason: String { archive.locked { _ in String(cString: zip_file_strerror(stream)) } }

    func skip(_ count: Int) throws {
        // Bytes whose checksum is known need not be read again, where the archive has them as they are.
        let hasSkipped = archive.locked { _ in
            archive.isVerified(entry) && entry.size == entry.storedSize
                && zip_fseek(stream, zip_int64_t(count), SEEK_CUR) == 0
        }
        if hasSkipped { position += count } else { try pass(count) }
    }

    private func pass(_ count: Int) throws {
        try withUnsafeTemporaryAllocation(byteCount: 1 << 16, alignment: 8) { block in
            var left = count
            while left > 0 {
                left -= try readSome(into: UnsafeMutableRawBufferPointer(rebasing: block[..<min(left, block.count)]))
            }
        }
    }

    /// Reads what is left, the first time: libzip compares the checksum where the entry ends.
    func finish() throws {
        if archive.locked({ _ in archive.isVerified(entry) }) { return }
        try pass(entry.size - position)
        var byte: UInt8 = 0
        let got = archive.locked { _ in zip_fread(stream, &byte, 1) }
        guard got == 0 else { throw archive.damaged(entry, got < 0 ? reason : "it is longer than it declares") }
        archive.locked { _ in archive.noteVerified(entry) }
    }
}
