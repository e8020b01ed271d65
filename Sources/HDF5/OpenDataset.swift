import CBEiTHDF5
import CBEiTHDF5Shim

/// A dataset of integers that stays open for many small reads: its type and storage are checked once, and what one read
/// takes from the disk is still there for the next. Any thread may read.
package final class OpenDataset: Sendable {
    package let info: DatasetInfo
    private let reader: HDF5Reader
    private let dataset: Handle

    /// Chunks kept in memory, in bytes, and the places of the table that finds them.
    private static let cache = 32 << 20, slots = 12_421

    /// Throws ``HDF5Error``, also where the elements are not integers of at most 32 bits.
    package init(_ path: String, in reader: HDF5Reader) throws {
        self.reader = reader
        (info, dataset) = try Library.locked {
            let info = try reader.info(path)
            let access = try Handle(H5Pcreate(beitseg_h5p_dataset_access()), H5Pclose) {
                .cannotRead(file: reader.file, path: path, reason: $0)
            }
            H5Pset_chunk_cache(access.id, Self.slots, Self.cache, 0.75)
            return (info, try reader.open(info, as: Int32.self, access: access.id).0)
        }
    }

    /// The elements of some rows (indices of the first axis), one row after another.
    /// - Precondition: the rows lie within the dataset.
    package func readInts(rows: Range<Int>) throws -> [Int32] {
        precondition(rows.lowerBound >= 0 && rows.upperBound <= info.shape.first ?? 0, "\(rows) of \(info.shape)")
        let count = rows.count * info.shape.dropFirst().reduce(1, *)
        return try [Int32](unsafeUninitializedCapacity: count) { buffer, initialized in
            try Library.locked {
                try reader.transfer(
                    from: dataset, info, rows: rows, into: UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
            }
            initialized = count
        }
    }
}
