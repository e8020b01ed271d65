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
    /// - Precondition: the model is not frozen, and the description fits it.
    package static func save(
        _ model: any Module, _ description: ModelDescription, training: TrainingState? = nil,
        as type: WeightType = .float32, compress: Bool = false, to path: String
    ) throws {
        precondition(description.problem == nil, description.problem ?? "")
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

    private static func write(_ training: TrainingState, to writer: HDF5Writer) throws {
        for (path, tensor) in training.tensors {
            try writer.write("/training/" + path, shape: tensor.shape, floats: UnsafeBufferPointer(tensor.buffer))
        }
        // A dataset, because the state may outgrow what an attribute can hold.
        let bytes = Array(training.json.utf8)
        try writer.write(trainingJSON, shape: [bytes.count], bytes: bytes)
    }

    private static let trainingJSON = "/training/state.json"

    /// The training state of a checkpoint; nil if it holds none.
    package static func loadTraining(_ path: String) throws -> TrainingState? {
        let reader = try HDF5Reader(path)
        let datasets = reader.datasets.filter { $0.path.hasPrefix("/training/") }
        guard !datasets.isEmpty else { return nil }
        guard reader.contains(trainingJSON),
            let json = String(validating: try reader.readBytes(trainingJSON).values, as: UTF8.self)
        else { throw CheckpointError.badTrainingState(file: path, reason: "\(trainingJSON) is missing or no text") }
        let tensors = try datasets.filter { $0.path != trainingJSON }.map { info in
            let (shape, values) = try reader.readFloats(info.path)
            return (path: String(info.path.dropFirst("/training/".count)), tensor: Tensor(values, shape))
        }
        return TrainingState(tensors: tensors, json: json)
    }
}

extension Module {
    /// Parameters and buffers with their paths.
    var tensors: [(path: String, tensor: Tensor)] {
        parameters.map { named in
            precondition(named.parameter.packed == nil, "\(named.path): a frozen model cannot be saved")
            return (named.path, named.parameter.value)
        } + buffers
    }
}
