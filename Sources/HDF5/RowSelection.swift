import CBEiTHDF5

/// The part of a dataset that one read or write moves: everything, or a range along each axis.
struct RowSelection {
    /// The dataspaces of the file and of memory.
    let file, memory: Handle

    /// Rows are indices of the first axis.
    /// - Precondition: `rows` lie within `shape`, the shape of `dataset`.
    init(_ dataset: Handle, shape: [Int], rows: Range<Int>?, orThrow failure: (String) -> HDF5Error) throws {
        let box = rows.flatMap { rows in shape.isEmpty ? nil : [rows] + shape.dropFirst().map { 0..<$0 } }
        try self.init(dataset, shape: shape, box: box, orThrow: failure)
    }

    /// - Precondition: `box` lies within `shape`, the shape of `dataset`.
    init(_ dataset: Handle, shape: [Int], box: [Range<Int>]?, orThrow failure: (String) -> HDF5Error) throws {
        file = try Handle(H5Dget_space(dataset.id), H5Sclose, orThrow: failure)
        guard let box else {
            memory = file
            return
        }
        let lies = box.count == shape.count && zip(box, shape).allSatisfy { $0.lowerBound >= 0 && $0.upperBound <= $1 }
        precondition(lies, "\(box) of \(shape)")
        let (start, size) = (box.map { hsize_t($0.lowerBound) }, box.map { hsize_t($0.count) })
        guard H5Sselect_hyperslab(file.id, H5S_SELECT_SET, start, nil, size, nil) >= 0 else {
            throw failure(Library.reason)
        }
        memory = try Handle(H5Screate_simple(Int32(size.count), size, nil), H5Sclose, orThrow: failure)
    }
}
