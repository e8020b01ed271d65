import BEiTFiles
import CBEiTHDF5
import CBEiTHDF5Shim
import Foundation

/// The types that beit-seg stores; little-endian on disk.
package enum StoredType: Sendable {
    case float16, bfloat16, float32, int32, int64, uint8, int8
}

/// An HDF5 file in the making. It appears under its name, whole, by ``commit()``, or not at all.
///
/// The same calls give the same bytes: no time of writing is kept. Datasets carry HDF5's Fletcher-32 checksum, which
/// needs chunks; a single value and an empty array have none. Readable by any libhdf5 since 1.8. Every function throws
/// ``HDF5Error/cannotWrite(file:reason:)``; after the first error all others throw the same. Groups on the way to a path
/// are made as needed.
///
/// libhdf5 writes what is left when objects and the file are closed. Where that fails it keeps them half closed, and a
/// second attempt ends the process (1.10.8). So a file is closed once, and one that will not be finished is first led
/// to a place where nothing fails.
package final class HDF5Writer {
    package let file: String
    private let output: AtomicFile
    private let root: hid_t
    /// libhdf5's own.
    private let descriptor: Int32
    private var isOpen = true
    /// The first error.
    private var failure: HDF5Error?
    /// Open until the commit, so that rows written one by one meet in libhdf5's chunk cache.
    private var streams: [String: Target] = [:]

    package init(_ file: String) throws {
        self.file = file
        // A file that was given up is open to libhdf5 until its writer goes, although the system may give its number to a
        // new one, which libhdf5 then takes for the old one. While the new one stands, the next gets another number.
        var taken: [AtomicFile] = []
        while true {
            do {
                (output, root, descriptor) = try Self.create(file, &taken)
                return
            } catch HDF5Error.cannotWrite(_, "file exists") where taken.count < 4 {}
        }
    }

    /// A new file under a temporary name, which is added to `taken`.
    private static func create(
        _ file: String, _ taken: inout [AtomicFile]
    ) throws -> (output: AtomicFile, root: hid_t, descriptor: Int32) {
        let failure = { HDF5Error.cannotWrite(file: file, reason: $0) }
        let output: AtomicFile
        do { output = try AtomicFile(file) } catch { throw failure(error.reason) }
        taken.append(output)
        return try Library.locked {
            let creation = try untimed(beitseg_h5p_file_create(), orThrow: failure)
            let access = try Handle(H5Pcreate(beitseg_h5p_file_access()), H5Pclose, orThrow: failure)
            H5Pset_file_locking(access.id, false, true)
            // The format of 1.8: checksummed metadata, no limit of 64 KiB on a group's or dataset's description.
            H5Pset_libver_bounds(access.id, H5F_LIBVER_V18, H5F_LIBVER_V18)
            H5Pset_fclose_degree(access.id, H5F_CLOSE_STRONG)
            let root = output.making { H5Fcreate($0, beitseg_h5f_exclusive(), creation.id, access.id) }
            guard root >= 0 else { throw failure(Library.reason) }
            return (output, root, beitseg_h5_descriptor(root))
        }
    }

    deinit {
        Library.locked {
            giveUp()
            streams = [:]
            if isOpen { H5Fclose(root) }
        }
    }

    /// Finishes the file, flushes it to disk and gives it its name. Nothing may be written afterwards.
    package func commit() throws {
        try perform {
            try check(H5Fflush(root, H5F_SCOPE_GLOBAL))
            streams = [:]
            isOpen = false
            if H5Fclose(root) < 0 {
                let reason = Library.reason
                // libhdf5 may keep the file open, and with it the space, although its name will be gone.
                output.temporaryPath.withFileSystemName { _ = truncate($0, 0) }
                throw fail(reason)
            }
        }
        do { try output.commit(flushingFolder: true) } catch { throw fail(error.reason) }
    }

    /// Runs `body` alone in libhdf5, unless the file has been given up.
    private func perform<Result>(_ body: () throws -> Result) throws -> Result {
        try Library.locked {
            if let failure { throw failure }
            return try body()
        }
    }

    /// The error for a call that failed. The file is given up here, before what the caller has open is closed on the way
    /// out.
    private func fail(_ reason: String) -> HDF5Error {
        if let failure { return failure }
        giveUp()
        let error = HDF5Error.cannotWrite(file: file, reason: reason)
        failure = error
        return error
    }

    /// Leads what libhdf5 still has to write of an unfinished file to where it costs nothing and cannot fail.
    private func giveUp() {
        if isOpen, failure == nil, descriptor >= 0 { _ = beitseg_h5_discard(descriptor) }
    }

    // MARK: Whole datasets

    /// Shorter formats round to the nearest, ties to even.
    /// - Precondition: `floats` are as many as `shape` says; `format` is one of floats.
    package func write(
        _ path: String, shape: [Int], floats: UnsafeBufferPointer<Float>, as format: StoredType = .float32,
        compress: Bool = false
    ) throws {
        precondition(format == .float32 || format.shortFloat != nil)
        try write(path, shape: shape, values: floats, as: format, compress: compress)
    }

    /// - Precondition: as above.
    package func write(
        _ path: String, shape: [Int], floats: [Float], as format: StoredType = .float32, compress: Bool = false
    ) throws {
        try floats.withUnsafeBufferPointer {
            try write(path, shape: shape, floats: $0, as: format, compress: compress)
        }
    }

    /// - Precondition: `ints` are as many as `shape` says.
    package func write(_ path: String, shape: [Int], ints: [Int64], compress: Bool = false) throws {
        try ints.withUnsafeBufferPointer {
            try write(path, shape: shape, values: $0, as: .int64, compress: compress)
        }
    }

    /// - Precondition: `ints` are as many as `shape` says.
    package func write(_ path: String, shape: [Int], ints: [Int32], compress: Bool = false) throws {
        try ints.withUnsafeBufferPointer {
            try write(path, shape: shape, values: $0, as: .int32, compress: compress)
        }
    }

    /// - Precondition: `bytes` are as many as `shape` says.
    package func write(_ path: String, shape: [Int], bytes: [UInt8], compress: Bool = false) throws {
        try bytes.withUnsafeBufferPointer {
            try write(path, shape: shape, values: $0, as: .uint8, compress: compress)
        }
    }

    /// - Precondition: `bytes` are as many as `shape` says.
    package func write(
        _ path: String, shape: [Int], signedBytes bytes: UnsafeBufferPointer<Int8>, compress: Bool = false
    ) throws {
        try write(path, shape: shape, values: bytes, as: .int8, compress: compress)
    }

    /// Texts in UTF-8, each in as many bytes as the longest, filled up with zeros.
    package func write(_ path: String, strings: [String]) throws {
        let (width, bytes) = Self.padded(strings)
        try perform {
            let type = try makeTextType(width: width, orThrow: fail)
            let dataset = try makeDataset(path, shape: [strings.count], type, size: width, compress: false)
            let all = hid_t(H5S_ALL)
            try check(H5Dwrite(dataset.id, type.id, all, all, hid_t(H5P_DEFAULT), bytes))
            try check(H5Dflush(dataset.id))
        }
    }

    private static func padded(_ texts: [String]) -> (width: Int, bytes: [UInt8]) {
        let width = max(1, texts.reduce(0) { max($0, $1.utf8.count) })
        var bytes = [UInt8](repeating: 0, count: width * texts.count)
        for (row, text) in texts.enumerated() {
            for (column, byte) in text.utf8.enumerated() { bytes[row * width + column] = byte }
        }
        return (width, bytes)
    }

    private func write<Value: NativeElement>(
        _ path: String, shape: [Int], values: UnsafeBufferPointer<Value>, as format: StoredType, compress: Bool
    ) throws {
        try perform {
            let target = try makeDataset(path, shape: shape, as: format, compress: compress)
            try transfer(values, to: target, rows: nil)
            // Closing would write what is left in the chunk cache, and keep an error of that to itself.
            try check(H5Dflush(target.dataset.id))
        }
    }

    // MARK: Row by row

    /// Makes a dataset to be filled by `writeRows` or `writeBox`; what is never written is zero.
    /// - Parameter chunk: the shape of the pieces in which it is stored, best that in which it will be written.
    package func create(
        _ path: String, shape: [Int], as format: StoredType, chunk: [Int]? = nil, compress: Bool = false
    ) throws {
        try perform {
            streams[path] = try makeDataset(path, shape: shape, as: format, chunk: chunk, compress: compress)
        }
    }

    /// Writes a part of a dataset that ``create(_:shape:as:chunk:compress:)`` made: a range along each axis.
    package func writeBox(_ path: String, _ box: [Range<Int>], floats: [Float]) throws {
        guard let target = streams[path] else { preconditionFailure("a part of \(path), which was not created") }
        try floats.withUnsafeBufferPointer { values in
            try perform {
                let selection = try RowSelection(target.dataset, shape: target.shape, box: box, orThrow: fail)
                try transfer(values, to: target, selection, count: box.reduce(1) { $0 * $1.count })
            }
        }
    }

    /// Writes rows (indices of the first axis) of a dataset that ``create(_:shape:as:chunk:compress:)`` made, of floats.
    package func writeRows(_ path: String, _ rows: Range<Int>, floats: UnsafeBufferPointer<Float>) throws {
        try writeRows(path, rows, values: floats)
    }

    /// Writes rows (indices of the first axis) of a dataset that ``create(_:shape:as:chunk:compress:)`` made, of integers.
    package func writeRows(_ path: String, _ rows: Range<Int>, ints: UnsafeBufferPointer<Int32>) throws {
        try writeRows(path, rows, values: ints)
    }

    private func writeRows<Value: NativeElement>(
        _ path: String, _ rows: Range<Int>, values: UnsafeBufferPointer<Value>
    ) throws {
        guard let target = streams[path] else { preconditionFailure("rows for \(path), which was not created") }
        try perform { try transfer(values, to: target, rows: rows) }
    }

    /// Gives up the rows from `count` on of a dataset of several values that ``create(_:shape:as:compress:)`` made.
    package func keepRows(_ path: String, _ count: Int) throws {
        guard let target = streams[path] else { preconditionFailure("rows of \(path), which was not created") }
        let sizes = ([count] + target.shape.dropFirst()).map { hsize_t($0) }
        try perform { try check(H5Dset_extent(target.dataset.id, sizes)) }
    }

    // MARK: Attributes

    /// Sets an attribute of the group or dataset `path` to text of any length, in place of one of this name.
    ///
    /// It is stored with the length that it has, among the object's own data or, from 64 KiB on, where libhdf5 keeps
    /// large attributes: in neither place does a reader have to follow a reference and to believe the length it meets.
    package func setAttribute(_ name: String, _ value: String, at path: String = "/") throws {
        let bytes = Array(value.utf8)
        try perform {
            let type = try makeTextType(width: max(1, bytes.count), orThrow: fail)
            try setAttribute(name, at: path, type: type.id, memory: type.id, bytes.isEmpty ? [0] : bytes)
        }
    }

    /// Sets an attribute to a list of texts, each in as many bytes as the longest, filled up with zeros.
    package func setAttribute(_ name: String, _ values: [String], at path: String = "/") throws {
        let (width, bytes) = Self.padded(values)
        try perform {
            let type = try makeTextType(width: width, orThrow: fail)
            var count = hsize_t(values.count)
            let space = try handle(H5Screate_simple(1, &count, nil), H5Sclose)
            try setAttribute(name, at: path, type: type.id, memory: type.id, in: space, bytes)
        }
    }

    /// Sets an attribute of the group or dataset `path`, in place of one of this name.
    package func setAttribute(_ name: String, _ value: Int, at path: String = "/") throws {
        try perform {
            try withUnsafePointer(to: Int64(value)) {
                try setAttribute(name, at: path, type: beitseg_h5t_std_i64le(), memory: Int64.native, $0)
            }
        }
    }

    /// Sets an attribute of the group or dataset `path`, in place of one of this name.
    package func setAttribute(_ name: String, _ value: Double, at path: String = "/") throws {
        try perform {
            try withUnsafePointer(to: value) {
                let memory = beitseg_h5t_native_double()
                try setAttribute(name, at: path, type: beitseg_h5t_ieee_f64le(), memory: memory, $0)
            }
        }
    }

    /// - Parameter space: nil for a single value.
    private func setAttribute(
        _ name: String, at path: String, type: hid_t, memory: hid_t, in space: Handle? = nil, _ value: UnsafeRawPointer
    ) throws {
        let object = try handle(H5Oopen(root, path, hid_t(H5P_DEFAULT)), H5Oclose)
        if H5Aexists(object.id, name) > 0 { try check(H5Adelete(object.id, name)) }
        let space = try space ?? handle(H5Screate(H5S_SCALAR), H5Sclose)
        let attribute = try handle(
            H5Acreate2(object.id, name, type, space.id, hid_t(H5P_DEFAULT), hid_t(H5P_DEFAULT)), H5Aclose)
        try check(H5Awrite(attribute.id, memory, value))
    }
}

// MARK: - Making and filling datasets

extension HDF5Writer {
    private struct Target {
        let dataset: Handle
        let shape: [Int]
        let format: StoredType
    }

    private func makeDataset(
        _ path: String, shape: [Int], as format: StoredType, chunk: [Int]? = nil, compress: Bool
    ) throws -> Target {
        let type = try format.makeType(orThrow: fail)
        let dataset = try makeDataset(path, shape: shape, type, size: format.size, chunk: chunk, compress: compress)
        return Target(dataset: dataset, shape: shape, format: format)
    }

    /// - Parameter size: bytes of an element.
    private func makeDataset(
        _ path: String, shape: [Int], _ type: Handle, size: Int, chunk: [Int]? = nil, compress: Bool
    ) throws -> Handle {
        try makeGroups(above: path)
        let sizes = shape.map { hsize_t($0) }
        let space = try handle(
            shape.isEmpty ? H5Screate(H5S_SCALAR) : H5Screate_simple(Int32(sizes.count), sizes, nil), H5Sclose)
        let plan = try untimed(beitseg_h5p_dataset_create(), orThrow: fail)
        if let chunk = chunk ?? chunkShape(shape, bytesPerElement: size) {
            try check(H5Pset_chunk(plan.id, Int32(chunk.count), chunk.map { hsize_t($0) }))
            if compress {
                try check(H5Pset_shuffle(plan.id))
                try check(H5Pset_deflate(plan.id, 4))
            }
            try check(H5Pset_fletcher32(plan.id))
        }
        return try handle(
            H5Dcreate2(root, path, type.id, space.id, hid_t(H5P_DEFAULT), plan.id, hid_t(H5P_DEFAULT)), H5Dclose)
    }

    /// One by one, because libhdf5 would stamp groups that it makes on the way with the time.
    private func makeGroups(above path: String) throws {
        var group = ""
        for name in path.split(separator: "/").dropLast() {
            group += "/" + name
            let exists = H5Lexists(root, group, hid_t(H5P_DEFAULT))
            try check(exists)
            if exists > 0 { continue }
            let plan = try untimed(beitseg_h5p_group_create(), orThrow: fail)
            _ = try handle(H5Gcreate2(root, group, hid_t(H5P_DEFAULT), plan.id, hid_t(H5P_DEFAULT)), H5Gclose)
        }
    }

    private func transfer<Value: NativeElement>(
        _ values: UnsafeBufferPointer<Value>, to target: Target, rows: Range<Int>?
    ) throws {
        let rowSize = target.shape.dropFirst().reduce(1, *)
        try transfer(
            values, to: target, RowSelection(target.dataset, shape: target.shape, rows: rows, orThrow: fail),
            count: rows.map { $0.count * rowSize } ?? target.shape.reduce(1, *))
    }

    private func transfer<Value: NativeElement>(
        _ values: UnsafeBufferPointer<Value>, to target: Target, _ selection: RowSelection, count: Int
    ) throws {
        precondition(values.count == count, "\(values.count) values for \(count) places")
        guard let start = values.baseAddress, !values.isEmpty else { return }
        func write(_ type: hid_t, from source: UnsafeRawPointer) throws {
            try check(
                H5Dwrite(
                    target.dataset.id, type, selection.memory.id, selection.file.id, hid_t(H5P_DEFAULT), source))
        }
        if let floats = values as? UnsafeBufferPointer<Float>, let short = target.format.shortFloat {
            let type = try short.makeType(orThrow: fail)
            try write(type.id, from: floats.map(short.bits))
        } else {
            try write(Value.native, from: start)
        }
    }

    private func handle(_ id: hid_t, _ close: @escaping @Sendable (hid_t) -> herr_t) throws -> Handle {
        try Handle(id, close, orThrow: fail)
    }

    private func check(_ status: Int32) throws {
        guard status >= 0 else { throw fail(Library.reason) }
    }
}

extension StoredType {
    fileprivate var size: Int {
        switch self {
        case .uint8, .int8: 1
        case .float16, .bfloat16: 2
        case .float32, .int32: 4
        case .int64: 8
        }
    }

    fileprivate func makeType(orThrow failure: (String) -> HDF5Error) throws -> Handle {
        switch self {
        case .float16: try ShortFloat.half.makeType(orThrow: failure)
        case .bfloat16: try ShortFloat.bfloat16.makeType(orThrow: failure)
        case .float32: try Handle(H5Tcopy(beitseg_h5t_ieee_f32le()), H5Tclose, orThrow: failure)
        case .int32: try Handle(H5Tcopy(beitseg_h5t_std_i32le()), H5Tclose, orThrow: failure)
        case .int64: try Handle(H5Tcopy(beitseg_h5t_std_i64le()), H5Tclose, orThrow: failure)
        case .uint8: try Handle(H5Tcopy(beitseg_h5t_std_u8le()), H5Tclose, orThrow: failure)
        case .int8: try Handle(H5Tcopy(beitseg_h5t_std_i8le()), H5Tclose, orThrow: failure)
        }
    }

    /// Nil for formats that libhdf5 knows.
    fileprivate var shortFloat: ShortFloat? {
        switch self {
        case .float16: .half
        case .bfloat16: .bfloat16
        default: nil
        }
    }
}

/// A property list for an object that keeps no time of its making.
private func untimed(_ kind: hid_t, orThrow failure: (String) -> HDF5Error) throws -> Handle {
    let plan = try Handle(H5Pcreate(kind), H5Pclose, orThrow: failure)
    guard H5Pset_obj_track_times(plan.id, false) >= 0 else { throw failure(Library.reason) }
    return plan
}

/// Chunks of at most 1 MiB, each a contiguous run of the array where the shape allows, and of nearly equal sizes, so
/// that the last one is hardly padded. nil for a single value and for an array without elements.
func chunkShape(_ shape: [Int], bytesPerElement: Int) -> [Int]? {
    guard !shape.isEmpty, !shape.contains(0) else { return nil }
    var chunk = shape, room = (1 << 20) / bytesPerElement
    for axis in shape.indices.reversed() {
        let pieces = (shape[axis] + room - 1) / room
        chunk[axis] = (shape[axis] + pieces - 1) / pieces
        room = pieces > 1 ? 1 : room / chunk[axis]
    }
    return chunk
}
