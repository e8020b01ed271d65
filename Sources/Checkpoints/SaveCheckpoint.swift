import BEiTFiles
import BEiTHDF5
import BEiTLayers
import BEiTTensorCore

/// The element type of weights in a file.
package enum WeightType: String, Sendable, CaseIterable {
    case float32, float16

    var stored: StoredType { self == .float32 ? .float32 : .float16 }
}

extension Checkpoint {
    /// Writes a checkpoint, whole or not at all.
    ///
    /// Throws ``CheckpointError/beyondFloat16(file:parameter:_:)`` or `HDF5Error`.
    /// - Precondition: the model is not frozen, and the description fits it.
    package static func save(
        _ model: any Module, _ description: ModelDescription, training: TrainingState? = nil,
        as type: WeightType = .float32, compress: Bool = false, to path: String
    ) throws {
        precondition(description.problem == nil, description.problem ?? "")
        try checkRange(model, type, path)
        let writer = try HDF5Writer(path)
        try writer.setAttribute("format", formatName)
        try writer.setAttribute("format_version", formatVersion)
        try writer.setAttribute("task", description.task.rawValue)
        try writer.setAttribute("config", JSONText.line(description.configuration))
        try writer.setAttribute("classes", JSONText.line(description.classes))
        try writer.setAttribute("preprocessing", JSONText.line(description.preprocessing))
        try writer.setAttribute("provenance", JSONText.line(description.provenance))
        for (path, tensor) in model.tensors {
            try writer.write(
                "/model/" + path, shape: tensor.shape, floats: UnsafeBufferPointer(tensor.buffer), as: type.stored,
                compress: compress)
        }
        if let training { try write(training, to: writer) }
        try writer.commit()
    }

    /// Throws where a weight would become infinite: from 65520 on, where float16 rounds up from its largest number.
    static func checkRange(_ model: any Module, _ type: WeightType, _ path: String) throws {
        guard type == .float16 else { return }
        for (name, tensor) in model.tensors {
            if let value = tensor.buffer.first(where: { !(abs($0) < 65520) }) {
                throw CheckpointError.beyondFloat16(file: path, parameter: name, value)
            }
        }
    }

    private static func write(_ training: TrainingState, to writer: HDF5Writer) throws {
        for (path, tensor) in training.tensors {
            try writer.write("/training/" + path, shape: tensor.shape, floats: UnsafeBufferPointer(tensor.buffer))
        }
        // A dataset, because the state may outgrow what an attribute can hold.
        let bytes = Array(training.json.utf8)
        try writer.write(trainingJSON, shape: [bytes.count], bytes: bytes)
    }

    fileprivate static let trainingJSON = "/training/state.json"
}

/// The training state of a checkpoint. Its tensors stay in the file until they are read into place, so that no second
/// copy of the moments ever exists.
package final class StoredTrainingState: Sendable {
    package let json: String
    private let reader: HDF5Reader

    /// Nil if the file holds none. Throws ``CheckpointError`` or `HDF5Error`.
    package init?(_ path: String) throws {
        reader = try HDF5Reader(path)
        guard reader.datasets.contains(where: { $0.path.hasPrefix("/training/") }) else { return nil }
        guard reader.contains(Checkpoint.trainingJSON),
            let json = String(validating: try reader.readBytes(Checkpoint.trainingJSON).values, as: UTF8.self)
        else {
            throw CheckpointError.badTrainingState(
                file: path, reason: "\(Checkpoint.trainingJSON) is missing or no text")
        }
        self.json = json
    }

    /// Reads the tensor `name`, as it was in ``TrainingState/tensors``. Throws where there is none of this shape, or a
    /// value is not finite.
    package func read(_ name: String, into tensor: Tensor) throws {
        let path = "/training/" + name
        func bad(_ reason: String) -> CheckpointError { .badTrainingState(file: reader.file, reason: path + reason) }
        guard reader.contains(path) else { throw bad(" is missing") }
        let shape = try reader.info(path).shape
        guard shape == tensor.shape else { throw bad(" has the shape \(shape) instead of \(tensor.shape)") }
        try reader.readFloats(path, into: tensor.buffer)
        guard tensor.isFinite else { throw bad(" is not finite") }
    }
}
