import Foundation
import BEiTHDF5
import BEiTLayers
import BEiTModels

extension Checkpoint {
    /// Writes the bare weights under their official names, one dataset each at the top of the file.
    ///
    /// Throws ``CheckpointError/beyondFloat16(file:parameter:_:)`` or `HDF5Error`.
    /// - Precondition: the model is not frozen.
    package static func saveFlat(
        _ model: Model, as type: WeightType = .float32, compress: Bool = false, to path: String
    ) throws {
        try checkRange(model.module, type, path)
        let writer = try HDF5Writer(path)
        let keepsBackbone = if case .segmentation = model { true } else { false }
        for (path, tensor) in model.module.tensors {
            try writer.write(
                "/" + OfficialNames.name(path, keepsBackbone: keepsBackbone), shape: tensor.shape,
                floats: UnsafeBufferPointer(tensor.buffer), as: type.stored, compress: compress)
        }
        try writer.commit()
    }
}
