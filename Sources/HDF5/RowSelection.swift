import CHDF5

/// The part of a dataset that one read or write moves: everything, or a range of rows (indices of the first axis).
struct RowSelection {
    /// The dataspaces of the file and of memory.
    let file, memory: Handle

    /// - Precondition: `rows` lie within `shape`, the shape of `dataset`.
    init(_ dataset: Handle, shape: [Int], rows: Range<Int>?, orThrow failure: (String) -> HDF5Error) throws {
        file = try Handle(H5Dget_space(dataset.id), H5Sclose, orThrow: failure)
        guard let rows, let rowCount = shape.first else {
            memory = file
            return
        }
        precondition(rows.lowerBound >= 0 && rows.upperBound <= rowCount, "rows \(rows) of \(rowCount)")
        var start = [hsize_t](repeating: 0, count: shape.count)
        var size = shape.map { hsize_t($0) }
        (start[0], size[0]) = (hsize_t(rows.lowerBound), hsize_t(rows.count))
        guard H5Sselect_hyperslab(file.id, H5S_SELECT_SET, start, nil, size, nil) >= 0 else {
            throw failure(Library.reason)
        }
        memory = try Handle(H5Screate_simple(Int32(size.count), size, nil), H5Sclose, orThrow: failure)
    }
}
