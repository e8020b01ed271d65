import BEiTHDF5
import BEiTTensorCore

/// The datasets of an HDF5 file, by their paths without the first slash.
package struct HDF5Source: TensorSource {
    package let reader: HDF5Reader
    private let prefix: String

    /// - Parameter prefix: the group whose datasets are meant, with a slash at the end; names leave it out.
    ///
    /// Throws `HDF5Error`.
    package init(_ file: String, below prefix: String = "/") throws {
        self.init(try HDF5Reader(file), below: prefix)
    }

    package init(_ reader: HDF5Reader, below prefix: String = "/") { (self.reader, self.prefix) = (reader, prefix) }

    package var files: [String] { [reader.file] }
    package var format: String { "HDF5" }
    package var metadata: SourceMetadata { SourceMetadata() }

    package var tensors: [StoredTensor] {
        reader.datasets.filter { $0.path.hasPrefix(prefix) }.map { info in
            StoredTensor(
                name: String(info.path.dropFirst(prefix.count)), shape: info.shape, elementType: info.elementType
            ) { [reader] in try reader.readFloats(info.path, into: $0) }
        }
    }

    package var refusals: [String: String] {
        let inside = reader.refusals.filter { $0.key.hasPrefix(prefix) }
        return Dictionary(uniqueKeysWithValues: inside.map { (String($0.key.dropFirst(prefix.count)), $0.value) })
    }
}
