import BEiTTensorCore
import CBEiTHDF5
import CBEiTHDF5Shim

extension DatasetInfo {
    /// The number of elements; nil if that is more than can be counted.
    package var count: Int? {
        var count = 1
        for size in shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: size)
            guard !overflow else { return nil }
            count = product
        }
        return count
    }

    /// Describes an open dataset. Throws ``HDF5Error`` if its values lie in another file or are none at all.
    init(_ dataset: Handle, path: String, file: String) throws {
        let failure = { HDF5Error.cannotRead(file: file, path: path, reason: $0) }
        let refusal = { HDF5Error.refused(file: file, path: path, reason: $0) }
        let plan = try Handle(H5Dget_create_plist(dataset.id), H5Pclose, orThrow: failure)
        guard H5Pget_layout(plan.id) != H5D_VIRTUAL, H5Pget_external_count(plan.id) == 0 else {
            throw refusal("its values lie in another file; copy them into this one")
        }
        let space = try Handle(H5Dget_space(dataset.id), H5Sclose, orThrow: failure)
        guard H5Sget_simple_extent_type(space.id) != H5S_NULL else { throw refusal("it is declared to hold nothing") }
        let rank = H5Sget_simple_extent_ndims(space.id)
        guard rank >= 0 else { throw failure(Library.reason) }
        var sizes = [hsize_t](repeating: 0, count: Int(rank))
        guard H5Sget_simple_extent_dims(space.id, &sizes, nil) >= 0 else { throw failure(Library.reason) }
        let type = try Handle(H5Dget_type(dataset.id), H5Tclose, orThrow: failure)
        self.init(path: path, shape: sizes.map { Int(clamping: $0) }, elementType: ElementType(type.id))
    }
}

/// Compares what a dataset declares with what the file holds of it, before memory is reserved for its values.
struct StorageCheck {
    let info: DatasetInfo
    let file: String
    /// Bytes.
    let fileSize: Int

    /// The most that deflate can inflate a byte to, from zlib's technical details.
    private static let bestCompression = 1032
    private static let largestChunk = 64 << 20

    /// Throws ``HDF5Error/refused(file:path:reason:)``. Returns the number of elements.
    func callAsFunction(_ dataset: Handle) throws -> Int {
        let failure = { HDF5Error.cannotRead(file: file, path: info.path, reason: $0) }
        let type = try Handle(H5Dget_type(dataset.id), H5Tclose, orThrow: failure)
        guard let count = info.count, count < Int.max / 16 else { throw refused("its shape is absurdly large") }
        let (declared, overflow) = count.multipliedReportingOverflow(by: H5Tget_size(type.id))
        guard !overflow else { throw refused("its elements are absurdly large") }
        let plan = try Handle(H5Dget_create_plist(dataset.id), H5Pclose, orThrow: failure)
        let chunk = chunk(plan), compresses = try checkFilters(of: plan) && chunk != nil
        let stored = Int(clamping: H5Dget_storage_size(dataset.id))
        guard stored <= fileSize, declared / (compresses ? Self.bestCompression : 1) <= stored else {
            throw refused("it declares \(declared) bytes, of which the file holds \(min(stored, fileSize))")
        }
        guard let chunk else { return count }
        guard Self.product(chunk + [H5Tget_size(type.id)]) <= max(declared, Self.largestChunk) else {
            throw refused("its chunks are larger than all of its values")
        }
        // libhdf5 keeps a record of each chunk, and each has at least a byte.
        guard Self.product(zip(info.shape, chunk).map { $0 / $1 + ($0 % $1 == 0 ? 0 : 1) }) <= max(stored, 1) else {
            throw refused("it has more chunks than the file has bytes of them")
        }
        return count
    }

    /// Why it throws; nil where it does not.
    func obstacle(_ dataset: Handle) -> String? {
        do {
            _ = try self(dataset)
            return nil
        } catch let error as HDF5Error { return error.reason } catch { return "\(error)" }
    }

    /// Whether a filter of the dataset makes it smaller. Throws for filters that are not libhdf5's own.
    private func checkFilters(of plan: Handle) throws -> Bool {
        var compresses = false
        for index in 0..<max(H5Pget_nfilters(plan.id), 0) {
            var flags: UInt32 = 0, valueCount = 0
            let filter = H5Pget_filter2(plan.id, UInt32(index), &flags, &valueCount, nil, 0, nil, nil)
            guard (1...6).contains(filter), H5Zfilter_avail(filter) > 0 else {
                throw refused("it is compressed with filter \(filter), which is not here; repack it with gzip or none")
            }
            compresses = compresses || ![H5Z_FILTER_SHUFFLE, H5Z_FILTER_FLETCHER32].contains(filter)
        }
        return compresses
    }

    /// The shape of a chunk; nil for a dataset without chunks, whose values no filter touches.
    private func chunk(_ plan: Handle) -> [Int]? {
        guard H5Pget_layout(plan.id) == H5D_CHUNKED else { return nil }
        var sizes = [hsize_t](repeating: 1, count: info.shape.count)
        // Chunks of another rank than the dataset's lead libhdf5 astray, on a single value (of none) without end.
        guard !sizes.isEmpty, Int(H5Pget_chunk(plan.id, Int32(sizes.count), &sizes)) == sizes.count else {
            return [.max]
        }
        return sizes.map { max(1, Int(clamping: $0)) }
    }

    /// Int.max where it is more than can be counted.
    private static func product(_ numbers: [Int]) -> Int {
        numbers.reduce(1) { product, number in
            let (next, overflow) = product.multipliedReportingOverflow(by: number)
            return overflow ? .max : next
        }
    }

    private func refused(_ reason: String) -> HDF5Error { .refused(file: file, path: info.path, reason: reason) }
}
