import BEiTHDF5
import BEiTTensorCore

/// The datasets of an HDF5 file, by their paths without the first slash; scales belong to their weight.
package struct HDF5Source: TensorSource {
    package let reader: HDF5Reader
    package let tensors: [StoredTensor]
    package let refusals: [String: String]

    /// - Parameter prefix: the group whose datasets are meant, with a slash at the end; names leave it out.
    ///
    /// Throws `HDF5Error`.
    package init(_ file: String, below prefix: String = "/") throws {
        self.init(try HDF5Reader(file), below: prefix)
    }

    package init(_ reader: HDF5Reader, below prefix: String = "/") {
        self.reader = reader
        func name(_ path: String) -> String { String(path.dropFirst(prefix.count)) }
        var infos: [DatasetInfo] = [], refusals: [String: String] = [:], scaled: Set<String> = []
        var scales: [String: StoredQuantization.ScaleTensor] = [:]
        for info in reader.datasets where info.elementType == .int8 {
            scaled.insert(info.path + StoredQuantization.suffix)
        }
        for (path, reason) in reader.refusals where path.hasPrefix(prefix) { refusals[name(path)] = reason }
        for info in reader.datasets where info.path.hasPrefix(prefix) {
            if let obstacle = reader.obstacle(info) {
                refusals[name(info.path)] = obstacle
            } else if scaled.contains(info.path) {
                scales[info.path] = .init(shape: info.shape, elementType: info.elementType) {
                    try reader.readFloats(info.path, into: $0)
                }
            } else {
                infos.append(info)
            }
        }
        let tensors = infos.map { info in
            StoredTensor(
                name: name(info.path), shape: info.shape, elementType: info.elementType,
                quantized: info.elementType != .int8
                    ? nil
                    : scales[info.path + StoredQuantization.suffix].map {
                        StoredQuantization(scales: $0) { try reader.readSignedBytes(info.path, into: $0) }
                    },
                look: { try reader.areFinite(info.path) }
            ) { try reader.readFloats(info.path, into: $0) }
        }
        (self.tensors, self.refusals) = (tensors, refusals)
    }

    package var files: [String] { [reader.file] }
    package var format: String { "HDF5" }
    package var metadata: SourceMetadata { SourceMetadata() }
}
