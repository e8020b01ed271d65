import BEiTTensorCore
import CBEiTHDF5
import CBEiTHDF5Shim
import Synchronization

/// Where the elements of a dataset stand in its file: in runs, each row by row, that all threads can read at once, while
/// libhdf5 knows one caller only and takes longer for the checksum than for all else.
///
/// What is stored in another way (compressed, in chunks that are no runs) has none. Nothing is trusted: where anything is
/// other than it should be, the read comes to nothing, and libhdf5 is to say what is wrong.
struct StoredRuns {
    private struct Run {
        let address: haddr_t
        let elements: Range<Int>
        /// In the file, with what fills up the last chunk.
        let byteCount: Int
    }
    private let file: OpaquePointer
    private let elementSize: Int
    /// Whether a Fletcher-32 checksum stands behind each run.
    private let hasChecksums: Bool
    private var runs: [Run] = []

    /// Bytes that are read at once, so that they are in the cache when they are looked at.
    private static let block = 1 << 16
    /// Bytes of a run of values that are in one piece.
    private static let piece = 1 << 20
    /// libhdf5 finds each chunk by a search from the first on.
    private static let mostChunks = 1 << 10

    /// Nil where there are none. Called with the lock of libhdf5, for a dataset that a ``StorageCheck`` has let pass.
    /// - Parameter root: the open file.
    init?(_ dataset: Handle, _ info: DatasetInfo, in root: Handle) {
        guard let count = info.count,
            let plan = try? Handle(H5Dget_create_plist(dataset.id), H5Pclose, orThrow: Self.nothing),
            let type = try? Handle(H5Dget_type(dataset.id), H5Tclose, orThrow: Self.nothing),
            let file = beitseg_h5_plain_file(root.id), Self.beginsWithHDF5(root)
        else { return nil }
        (self.file, elementSize) = (file, H5Tget_size(type.id))
        switch H5Pget_layout(plan.id) {
        case H5D_CONTIGUOUS:
            hasChecksums = false
            guard cutIntoPieces(from: H5Dget_offset(dataset.id), count) else { return nil }
        case H5D_CHUNKED:
            let filters = H5Pget_nfilters(plan.id)
            hasChecksums = filters == 1
            guard filters == 0 || filters == 1 && Self.isChecksum(plan), let chunk = Self.chunk(plan, info.shape),
                findChunks(dataset, info.shape, chunk)
            else { return nil }
        default: return nil
        }
    }

    private static func nothing(_ reason: String) -> HDF5Error { .cannotRead(file: "", path: "", reason: reason) }

    /// Whether addresses count from the first byte of the file (no block of a user's before it).
    private static func beginsWithHDF5(_ root: Handle) -> Bool {
        var before: hsize_t = 0
        guard let plan = try? Handle(H5Fget_create_plist(root.id), H5Pclose, orThrow: nothing) else { return false }
        return H5Pget_userblock(plan.id, &before) >= 0 && before == 0
    }

    private static func isChecksum(_ plan: Handle) -> Bool {
        var flags: UInt32 = 0, valueCount = 0
        return H5Pget_filter2(plan.id, 0, &flags, &valueCount, nil, 0, nil, nil) == H5Z_FILTER_FLETCHER32
    }

    private static func chunk(_ plan: Handle, _ shape: [Int]) -> [Int]? {
        var sizes = [hsize_t](repeating: 0, count: shape.count)
        guard !sizes.isEmpty, Int(H5Pget_chunk(plan.id, Int32(sizes.count), &sizes)) == sizes.count else { return nil }
        return sizes.map { Int(clamping: $0) }
    }

    /// Whether an address can be counted on from: values that are not stored have the largest of all.
    private static func isSound(_ address: haddr_t) -> Bool { address < 1 << 62 }

    private mutating func cutIntoPieces(from address: haddr_t, _ count: Int) -> Bool {
        guard Self.isSound(address) else { return false }
        let most = max(1, Self.piece / elementSize)
        for start in stride(from: 0, to: count, by: most) {
            let elements = start..<min(count, start + most)
            runs.append(
                Run(
                    address: address + haddr_t(start * elementSize), elements: elements,
                    byteCount: elements.count * elementSize))
        }
        return true
    }

    /// Finds the chunks of a dataset that is cut along one axis alone, or along others into single rows; false where it is
    /// cut otherwise, or where not all chunks are there.
    private mutating func findChunks(_ dataset: Handle, _ shape: [Int], _ chunk: [Int]) -> Bool {
        let axis = shape.indices.first { chunk[$0] != 1 } ?? shape.count - 1
        guard chunk[axis] > 0, chunk[(axis + 1)...] == shape[(axis + 1)...] else { return false }
        let inner = shape[(axis + 1)...].reduce(1, *), along = (shape[axis] + chunk[axis] - 1) / chunk[axis]
        let outer = shape[..<axis].reduce(1, *), byteCount = chunk[axis] * inner * elementSize
        guard outer * along <= Self.mostChunks else { return false }
        for number in 0..<outer * along {
            let (row, piece) = number.quotientAndRemainder(dividingBy: along)
            var corner = [hsize_t](repeating: 0, count: shape.count), rest = row
            corner[axis] = hsize_t(piece * chunk[axis])
            for axis in (0..<axis).reversed() {
                corner[axis] = hsize_t(rest % shape[axis])
                rest /= shape[axis]
            }
            var skipped: UInt32 = 0, address = haddr_t.max, size: hsize_t = 0
            guard H5Dget_chunk_info_by_coord(dataset.id, corner, &skipped, &address, &size) >= 0, skipped == 0,
                Self.isSound(address), Int(clamping: size) == byteCount + (hasChecksums ? 4 : 0)
            else { return false }
            let start = (row * shape[axis] + piece * chunk[axis]) * inner
            let end = min(start + chunk[axis] * inner, (row + 1) * shape[axis] * inner)
            runs.append(Run(address: address, elements: start..<end, byteCount: byteCount))
        }
        return true
    }

    // MARK: Reading

    /// Reads all elements as they stand into `buffer`. False where that fails; what is in the buffer then means nothing.
    func read(into buffer: UnsafeMutableRawBufferPointer) -> Bool {
        everyRun { run in
            let (start, count) = (run.elements.lowerBound * elementSize, run.elements.count * elementSize)
            let place = UnsafeMutableRawBufferPointer(rebasing: buffer[start..<start + count])
            guard count < run.byteCount else { return read(run, into: place) }
            return read(run) { first, block in
                UnsafeMutableRawBufferPointer(rebasing: buffer[(first * elementSize)...]).copyMemory(from: block)
            }
        }
    }

    /// Hands over all elements as they stand, in blocks and on any thread, with the place of the first one. False where
    /// that fails; what was handed over then means nothing.
    func forEachBlock(_ body: (Int, UnsafeRawBufferPointer) -> Void) -> Bool { everyRun { read($0, body) } }

    private func everyRun(_ read: (Run) -> Bool) -> Bool {
        let isSound = Atomic(true)
        WorkerPool.current.run(runs.count) { if !read(runs[$0]) { isSound.store(false, ordering: .relaxed) } }
        return isSound.load(ordering: .relaxed)
    }

    /// Hands over the elements of a run block by block, without what fills it up.
    private func read(_ run: Run, _ body: (Int, UnsafeRawBufferPointer) -> Void) -> Bool {
        let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.block, alignment: 64)
        defer { scratch.deallocate() }
        var left = run.elements
        return read(run, into: { UnsafeMutableRawBufferPointer(rebasing: scratch[..<$0.count]) }) { block in
            let count = min(left.count, block.count / elementSize)
            if count > 0 { body(left.lowerBound, UnsafeRawBufferPointer(rebasing: block[..<(count * elementSize)])) }
            left = left.dropFirst(count)
        }
    }

    /// - Parameter place: for all bytes of the run.
    private func read(_ run: Run, into place: UnsafeMutableRawBufferPointer) -> Bool {
        read(run, into: { UnsafeMutableRawBufferPointer(rebasing: place[$0]) }, { _ in })
    }

    /// - Parameters:
    ///   - place: where a range of the run's bytes goes.
    ///   - body: looks at each range before the next is read.
    private func read(
        _ run: Run, into place: (Range<Int>) -> UnsafeMutableRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Void
    ) -> Bool {
        var sums = beitseg_fletcher32()
        for start in stride(from: 0, to: run.byteCount, by: Self.block) {
            let block = place(start..<min(run.byteCount, start + Self.block))
            guard beitseg_plain_read(file, run.address + haddr_t(start), block.count, block.baseAddress) == 0 else {
                return false
            }
            if hasChecksums { beitseg_fletcher32_add(&sums, block.baseAddress, block.count) }
            body(UnsafeRawBufferPointer(block))
        }
        guard hasChecksums else { return true }
        var stored: UInt32 = 0
        return beitseg_plain_read(file, run.address + haddr_t(run.byteCount), 4, &stored) == 0
            && UInt32(littleEndian: stored) == beitseg_fletcher32_value(&sums)
    }
}
