import BEiTFiles
import BEiTHDF5
import BEiTLayers
import BEiTOps
import BEiTTensorCore
import BEiTWeightFiles

/// The element type of weights in a file.
package enum WeightType: String, Sendable, CaseIterable {
    case float32, float16, bfloat16
    /// Of the weights that products in bytes multiply by; all else stays float32.
    case int8

    /// Of what is not quantised.
    var stored: StoredType {
        switch self {
        case .float32, .int8: .float32
        case .float16: .float16
        case .bfloat16: .bfloat16
        }
    }

    /// What rounds to infinity in it, and its largest number in words; nil for float32, which holds all.
    fileprivate var limit: (first: Float, text: String)? {
        switch self {
        case .float32, .int8: nil
        case .float16: (65520, "65504")
        case .bfloat16: (0x1.FFp127, "3.39e38")
        }
    }

    /// A sentence about a weight that is beyond it.
    var end: String { "\(rawValue) ends at ±\(limit?.text ?? "3.4e38")" }
}

extension Checkpoint {
    /// Writes a checkpoint, whole or not at all.
    ///
    /// Throws ``CheckpointError/beyondRange(file:parameter:_:_:)`` or `HDF5Error`.
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
        let outputAxes = type == .int8 ? model.outputAxes : [:]
        for (path, tensor) in model.tensors {
            if let axis = outputAxes[path] {
                try write(QuantizedWeight(tensor, axis: axis), axis, path, compress: compress, to: writer)
            } else {
                try writer.write(
                    "/model/" + path, shape: tensor.shape, floats: UnsafeBufferPointer(tensor.buffer), as: type.stored,
                    compress: compress)
            }
        }
        if let training { try write(training, to: writer) }
        try writer.commit()
    }

    private static func write(
        _ weight: QuantizedWeight, _ axis: Int, _ path: String, compress: Bool, to writer: HDF5Writer
    ) throws {
        let (bytes, scales) = (weight.bytes, weight.scales)
        try writer.write(
            "/model/" + path, shape: bytes.shape,
            signedBytes: UnsafeBufferPointer(start: bytes.signedBytes, count: bytes.count), compress: compress)
        try writer.write(
            "/model/" + path + StoredQuantization.suffix, shape: QuantizedWeight.scaleShape(bytes.shape, axis: axis),
            floats: UnsafeBufferPointer(scales.buffer))
    }

    /// Throws where a weight would become infinite in a shorter type.
    static func checkRange(_ model: any Module, _ type: WeightType, _ path: String) throws {
        guard let limit = type.limit else { return }
        for (name, tensor) in model.tensors {
            if let value = tensor.buffer.first(where: { !(abs($0) < limit.first) }) {
                throw CheckpointError.beyondRange(file: path, parameter: name, value, type)
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

extension Module {
    /// Of the parameters that are stored as bytes, by their paths.
    fileprivate var outputAxes: [String: Int] {
        Dictionary(
            uniqueKeysWithValues: parameters.compactMap { named in
                named.parameter.isQuantizable ? named.parameter.outputAxis.map { (named.path, $0) } : nil
            })
    }
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
