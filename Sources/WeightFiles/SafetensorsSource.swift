import BEiTFiles
import BEiTTensorCore

/// The tensors of a safetensors file.
///
/// Source: "Format" in the README of github.com/huggingface/safetensors: 8 bytes with the header's length, the header in
/// JSON, the values, row by row and little-endian, without gaps.
package struct SafetensorsSource: TensorSource {
    package let files: [String]
    package let tensors: [StoredTensor]
    package let metadata: SourceMetadata
    package var format: String { "safetensors" }
    package var refusals: [String: String] { [:] }

    init(_ file: OpenFile) throws {
        let header = try SafetensorsHeader(file)
        files = [file.path]
        metadata = SourceMetadata(entries: header.metadata)
        tensors = try header.entries.map { entry in
            let layout: TensorLayout
            do throws(TensorLayout.Problem) { layout = try TensorLayout(dense: entry.shape) } catch {
                throw WeightFileError.damaged(file: file.path, reason: "\(entry.name.brief): \(error.reason)")
            }
            return StoredTensor(name: entry.name, shape: entry.shape, elementType: entry.type) { values in
                guard let decoder = ElementDecoder(entry.type) else {
                    throw WeightFileError.wrongType(file: file.path, tensor: entry.name, found: entry.type)
                }
                var stream = FileStream(file, at: header.start + entry.bytes.lowerBound)
                try stream.read(layout, decoder, into: values)
            }
        }
    }
}
