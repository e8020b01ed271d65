import BEiTFiles
import BEiTTensorCore
import CBEiTHDF5
import CBEiTHDF5Shim
import Foundation
import Synchronization

/// An HDF5 file open for reading, of any origin: nothing in it is trusted. Values come out in row-major order.
///
/// Every function throws ``HDF5Error``. Paths start at the root: `/model/a/b`.
package final class HDF5Reader: Sendable {
    package let file: String
    /// Every dataset that can be asked for, sorted by path. One with two names (hard links) is there twice.
    package let datasets: [DatasetInfo]
    /// What is in the file but will not be read, with the reason: links other than hard links, values that lie in
    /// other files, objects that are damaged.
    package let refusals: [String: String]

    let root: Handle
    private let contents: Contents
    /// Bytes.
    let fileSize: Int

    package init(_ file: String) throws {
        self.file = file
        let fileSize = try sizeOfRegularFile(file)
        self.fileSize = fileSize
        (root, contents) = try Library.locked {
            let root = try openForReading(file)
            return (root, try Contents(root: root, file: file, fileSize: fileSize))
        }
        var datasets: [DatasetInfo] = [], refusals: [String: String] = [:]
        for (path, entry) in contents.entries {
            switch entry {
            case .group: break
            case .dataset(let info, _): datasets.append(info)
            case .refused(let reason): refusals[path] = reason
            }
        }
        self.datasets = datasets.sorted { $0.path < $1.path }
        self.refusals = refusals
    }

    /// Hands back to the system what was needed to read files that are closed again: some megabytes for a model.
    package static func releaseMemory() { Library.locked { beitseg_h5_release_memory() } }

    /// Whether `path` is a dataset that can be asked for.
    package func contains(_ path: String) -> Bool { (try? info(path)) != nil }

    package func info(_ path: String) throws -> DatasetInfo {
        guard case .dataset(let info, _) = try entry(path) else { throw HDF5Error.noDataset(file: file, path: path) }
        return info
    }

    /// What the walk found at `path`; throws if that or a group above it was refused.
    func entry(_ path: String) throws -> Contents.Entry {
        var ancestor = path
        while ancestor.count > 1 {
            switch contents.entries[ancestor] {
            case .refused(let reason): throw HDF5Error.refused(file: file, path: ancestor, reason: reason)
            case let entry? where ancestor == path: return entry
            case _?: throw HDF5Error.noDataset(file: file, path: path)
            case nil: ancestor = (ancestor as NSString).deletingLastPathComponent
            }
        }
        guard path == "/" else { throw HDF5Error.noDataset(file: file, path: path) }
        return .group
    }

    /// Why the values of a dataset cannot be read, as far as it says without reading them: it declares more than the file
    /// holds, or needs a filter that is not here. Nil if nothing is known against it.
    package func obstacle(_ info: DatasetInfo) -> String? {
        guard case .dataset(_, let obstacle) = contents.entries[info.path] else { return nil }
        return obstacle
    }

    // MARK: Values

    /// Reads a dataset of floating-point numbers of any width and byte order, or some of its rows (indices of the first
    /// axis), converted to Float. `buffer` takes all of them, no more, no less.
    ///
    /// Native float32 goes straight from the file into `buffer`.
    package func readFloats(
        _ path: String, rows: Range<Int>? = nil, into buffer: UnsafeMutableBufferPointer<Float>
    ) throws {
        try read(path, rows: rows, into: buffer)
    }

    /// Reads integers of any width; those of 64 unsigned bits past Int64 become its largest value.
    package func readInts(
        _ path: String, rows: Range<Int>? = nil, into buffer: UnsafeMutableBufferPointer<Int64>
    ) throws {
        try read(path, rows: rows, into: buffer)
    }

    /// Reads integers of at most 32 bits.
    package func readInts(
        _ path: String, rows: Range<Int>? = nil, into buffer: UnsafeMutableBufferPointer<Int32>
    ) throws {
        try read(path, rows: rows, into: buffer)
    }

    /// Reads a whole dataset of int8.
    package func readSignedBytes(_ path: String, into buffer: UnsafeMutableBufferPointer<Int8>) throws {
        try read(path, rows: nil, into: buffer)
    }

    /// Reads a whole dataset of floating-point numbers, and keeps none. Returns whether all are finite as Floats.
    package func areFinite(_ path: String) throws -> Bool {
        try Library.locked {
            let info = try info(path)
            let (dataset, count) = try open(info, as: Float.self)
            if let answer = try areFiniteAsStored(dataset, info) { return answer }
            let values = Tensor(uninitialized: [count])
            try transfer(from: dataset, info, rows: nil, into: values.buffer)
            return values.isFinite
        }
    }

    /// Reads a whole dataset of floating-point numbers.
    package func readFloats(_ path: String) throws -> (shape: [Int], values: [Float]) { try readAll(path) }

    /// Reads a whole dataset of integers or booleans.
    package func readInts(_ path: String) throws -> (shape: [Int], values: [Int64]) { try readAll(path) }

    /// Reads a whole dataset of uint8.
    package func readBytes(_ path: String) throws -> (shape: [Int], values: [UInt8]) { try readAll(path) }

    /// Reads a whole list of texts in UTF-8 that have one length in the file and are filled up with zeros.
    package func readStrings(_ path: String) throws -> [String] {
        try Library.locked {
            let info = try info(path), failure = failure(info)
            let dataset = try Handle(H5Dopen2(root.id, path, hid_t(H5P_DEFAULT)), H5Dclose, orThrow: failure)
            let stored = try Handle(H5Dget_type(dataset.id), H5Tclose, orThrow: failure)
            guard H5Tget_class(stored.id) == H5T_STRING, H5Tis_variable_str(stored.id) == 0, info.shape.count == 1
            else {
                throw HDF5Error.wrongType(
                    file: file, path: path, expected: "a list of texts of one length",
                    found: info.elementType.description)
            }
            let count = try StorageCheck(info: info, file: file, fileSize: fileSize)(dataset)
            let width = H5Tget_size(stored.id)
            let type = try makeTextType(width: width, orThrow: failure)
            var bytes = [UInt8](repeating: 0, count: count * width)
            guard
                count == 0
                    || H5Dread(dataset.id, type.id, hid_t(H5S_ALL), hid_t(H5S_ALL), hid_t(H5P_DEFAULT), &bytes) >= 0
            else { throw failure(Library.reason) }
            return (0..<count).map {
                String(decoding: bytes[$0 * width..<($0 + 1) * width].prefix { $0 != 0 }, as: UTF8.self)
            }
        }
    }

    private func readAll<Value: NativeElement>(_ path: String) throws -> (shape: [Int], values: [Value]) {
        try Library.locked {
            let info = try info(path)
            let (dataset, count) = try open(info, as: Value.self)
            let values = try [Value](unsafeUninitializedCapacity: count) { buffer, initialized in
                try transfer(
                    from: dataset, info, rows: nil, into: UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
                initialized = count
            }
            return (info.shape, values)
        }
    }

    private func read<Value: NativeElement>(
        _ path: String, rows: Range<Int>?, into buffer: UnsafeMutableBufferPointer<Value>
    ) throws {
        try Library.locked {
            let info = try info(path)
            let (dataset, count) = try open(info, as: Value.self)
            var asked = count
            if let rows, let rowCount = info.shape.first {
                guard rows.lowerBound >= 0, rows.upperBound <= rowCount else {
                    throw wrongShape(info, expected: "at least \(rows.upperBound) rows")
                }
                asked = rowCount == 0 ? 0 : count / rowCount * rows.count
            }
            guard asked == buffer.count else { throw wrongShape(info, expected: "\(buffer.count) elements") }
            try transfer(from: dataset, info, rows: rows, into: buffer)
        }
    }

    /// Opens a dataset whose type and storage are in order.
    func open<Value: NativeElement>(
        _ info: DatasetInfo, as: Value.Type, access: hid_t = hid_t(H5P_DEFAULT)
    ) throws -> (Handle, count: Int) {
        guard Value.accepts(info.elementType) else {
            throw HDF5Error.wrongType(
                file: file, path: info.path, expected: Value.expected, found: info.elementType.description)
        }
        let dataset = try Handle(H5Dopen2(root.id, info.path, access), H5Dclose, orThrow: failure(info))
        return (dataset, try StorageCheck(info: info, file: file, fileSize: fileSize)(dataset))
    }

    func transfer<Value: NativeElement>(
        from dataset: Handle, _ info: DatasetInfo, rows: Range<Int>?, into buffer: UnsafeMutableBufferPointer<Value>
    ) throws {
        guard !buffer.isEmpty, let start = buffer.baseAddress else { return }
        if rows == nil, try readRuns(of: dataset, info, into: buffer) { return }
        let failure = failure(info)
        let selection = try RowSelection(dataset, shape: info.shape, rows: rows, orThrow: failure)
        func read(_ type: hid_t, to target: UnsafeMutableRawPointer) throws {
            guard
                H5Dread(dataset.id, type, selection.memory.id, selection.file.id, hid_t(H5P_DEFAULT), target) >= 0
            else { throw failure(Library.reason) }
        }
        if Value.self == Float.self, let short = try ShortFloat(dataset, orThrow: failure) {
            // libhdf5's own conversion takes 20 times as long as reading. They fit in the upper half of the buffer.
            let raw = UnsafeMutableRawBufferPointer(buffer), type = try short.makeType(orThrow: failure)
            try read(type.id, to: UnsafeMutableRawPointer(start) + raw.count / 2)
            short.expand(UnsafeRawBufferPointer(rebasing: raw[(raw.count / 2)...]), into: raw)
        } else {
            try read(Value.native, to: start)
        }
    }

    /// Reads a whole dataset beside libhdf5. False where that cannot be done, and where something is wrong.
    private func readRuns<Value: NativeElement>(
        of dataset: Handle, _ info: DatasetInfo, into buffer: UnsafeMutableBufferPointer<Value>
    ) throws -> Bool {
        let type = try Handle(H5Dget_type(dataset.id), H5Tclose, orThrow: failure(info))
        if H5Tequal(type.id, Value.native) > 0 {
            return StoredRuns(dataset, info, in: root)?.read(into: UnsafeMutableRawBufferPointer(buffer)) ?? false
        }
        guard Value.self == Float.self, let short = try ShortFloat(dataset, orThrow: failure(info)),
            let runs = StoredRuns(dataset, info, in: root)
        else { return false }
        let floats = UnsafeMutableRawBufferPointer(buffer)
        return runs.forEachBlock { first, block in
            short.expand(block, into: UnsafeMutableRawBufferPointer(rebasing: floats[(4 * first)...]))
        }
    }

    /// Nil where a dataset cannot be read beside libhdf5, or something is wrong.
    private func areFiniteAsStored(_ dataset: Handle, _ info: DatasetInfo) throws -> Bool? {
        let type = try Handle(H5Dget_type(dataset.id), H5Tclose, orThrow: failure(info))
        let short = try ShortFloat(dataset, orThrow: failure(info)), isFinite = Atomic(true)
        guard short != nil || H5Tequal(type.id, Float.native) > 0, let runs = StoredRuns(dataset, info, in: root) else {
            return nil
        }
        let isRead = runs.forEachBlock { _, block in
            let isSound = short?.areFinite(block) ?? areAllFinite(block, exponent: UInt32(0x7F80_0000))
            if !isSound { isFinite.store(false, ordering: .relaxed) }
        }
        return isRead ? isFinite.load(ordering: .relaxed) : nil
    }

    private func failure(_ info: DatasetInfo) -> (String) -> HDF5Error {
        { [file] in .cannotRead(file: file, path: info.path, reason: $0) }
    }

    private func wrongShape(_ info: DatasetInfo, expected: String) -> HDF5Error {
        .wrongShape(file: file, path: info.path, expected: expected, found: "\(info.shape)")
    }
}

/// Bytes in `file`. Anything but a regular file is refused: opening a pipe would wait for ever.
private func sizeOfRegularFile(_ file: String) throws -> Int {
    var status = stat()
    guard file.withFileSystemName({ stat($0, &status) }) == 0 else {
        let code = errno
        throw code == ENOENT || code == ENOTDIR
            ? HDF5Error.notFound(file: file) : .cannotOpen(file: file, reason: FileError.systemReason(code))
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
        throw HDF5Error.cannotOpen(file: file, reason: "it is a folder or a device, not a file")
    }
    guard file.withFileSystemName({ access($0, R_OK) }) == 0 else {
        throw HDF5Error.cannotOpen(file: file, reason: FileError.systemReason(errno))
    }
    return Int(status.st_size)
}

private func openForReading(_ file: String) throws -> Handle {
    let failure = { (reason: String) in
        OtherFormat(file: file).map { .otherFormat(file: file, $0) } ?? HDF5Error.notHDF5(file: file, reason: reason)
    }
    let access = try Handle(H5Pcreate(beitseg_h5p_file_access()), H5Pclose, orThrow: failure)
    // Files appear by renaming and are never changed in place, and not every file system can lock.
    H5Pset_file_locking(access.id, false, true)
    guard beitseg_h5_use_plain_driver(access.id) >= 0 else { throw failure(Library.reason) }
    let root = file.withFileSystemName { H5Fopen($0, beitseg_h5f_read_only(), access.id) }
    return try Handle(root, H5Fclose, orThrow: failure)
}
