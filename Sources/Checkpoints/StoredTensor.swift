import BEiTHDF5

/// A tensor in a file: what it says of itself, and the way to its values.
struct StoredTensor {
    let name: String
    let shape: [Int]
    let elementType: ElementType
    /// Reads all values, converted to Float.
    let read: (UnsafeMutableBufferPointer<Float>) throws -> Void
}

extension HDF5Reader {
    /// The datasets below `prefix`, which their names leave out.
    func tensors(below prefix: String) -> [StoredTensor] {
        datasets.filter { $0.path.hasPrefix(prefix) }.map { info in
            StoredTensor(
                name: String(info.path.dropFirst(prefix.count)), shape: info.shape, elementType: info.elementType
            ) { [self] in try readFloats(info.path, into: $0) }
        }
    }

    /// What may not be read below `prefix`, with the reasons.
    func refusals(below prefix: String) -> [String: String] {
        let inside = refusals.filter { $0.key.hasPrefix(prefix) }.map { ($0.key.dropFirst(prefix.count), $0.value) }
        return Dictionary(uniqueKeysWithValues: inside.map { (String($0), $1) })
    }
}
