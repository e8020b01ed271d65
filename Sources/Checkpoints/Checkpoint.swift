import BEiTFiles
import BEiTHDF5
import BEiTLayers
import BEiTModels
import BEiTOps
import BEiTTensorCore
import BEiTWeightFiles
import Foundation

/// Everything that a training run needs to go on bit for bit: moments, step, generator, data position.
package struct TrainingState: Sendable {
    /// Stored as float32 at `/training/` and the path; ``StoredTrainingState`` reads them back.
    package var tensors: [(path: String, tensor: Tensor)]
    /// Whatever is no tensor; its meaning is the trainer's.
    package var json: String

    package init(tensors: [(path: String, tensor: Tensor)], json: String) {
        (self.tensors, self.json) = (tensors, json)
    }
}

/// beit-seg's own model files: HDF5 with the description in root attributes and a dataset per parameter below `/model`.
///
/// Every function throws ``CheckpointError`` or `HDF5Error`.
package enum Checkpoint {
    static let formatName = "beit-seg", formatVersion = 1

    /// What the file says of its model; the weights are not read.
    package static func describe(_ path: String) throws -> ModelDescription {
        try describe(HDF5Reader(path))
    }

    static func describe(_ reader: HDF5Reader) throws -> ModelDescription {
        let file = reader.file
        guard try reader.attribute("format") == formatName else { throw CheckpointError.foreign(file: file) }
        let version = try reader.integerAttribute("format_version") ?? 0
        guard version <= formatVersion else { throw CheckpointError.newerFormat(file: file, version: version) }
        let name = try text("task", in: reader)
        guard let task = ModelTask(rawValue: name) else {
            let known = ModelTask.allCases.map(\.rawValue).joined(separator: ", ")
            throw CheckpointError.badAttribute(file: file, name: "task", reason: "\(name) is none of \(known)")
        }
        let result = ModelDescription(
            task: task, configuration: try json("config", in: reader), classes: try json("classes", in: reader),
            preprocessing: try json("preprocessing", in: reader), provenance: try json("provenance", in: reader))
        if let problem = result.problem { throw CheckpointError.contradiction(file: file, reason: problem) }
        return result
    }

    /// The description, and name, shape and type of every parameter and of every tensor of the training state.
    package static func contents(
        _ path: String
    ) throws -> (description: ModelDescription, parameters: [DatasetInfo], training: [DatasetInfo]) {
        let reader = try HDF5Reader(path)
        func datasets(_ prefix: String) -> [DatasetInfo] { reader.datasets.filter { $0.path.hasPrefix(prefix) } }
        return (try describe(reader), datasets("/model/"), datasets("/training/"))
    }

    /// Reads a model.
    ///
    /// - Parameters:
    ///   - task: what the model must be for; nil for any.
    ///   - use: for inference each weight is packed as it arrives, so that plain and packed copies of all never exist
    ///     at once. Such a model cannot be saved.
    ///   - size: another input size, height and width in pixels: positions are resized to it (``PositionResizing``).
    package static func load(
        _ path: String, task: ModelTask? = nil, for use: ModelUse = .inference(), size: [Int]? = nil
    ) throws -> (model: Model, description: ModelDescription) {
        let result = try read(path, task, for: use, size)
        if use != .learning {
            // The plain weights, though never all in memory, were all asked for: the pool shall not go by that.
            StoragePool.shared.trim()
            StoragePool.shared.resetPeak()
        }
        HDF5Reader.releaseMemory()
        return result
    }

    private static func read(
        _ path: String, _ task: ModelTask?, for use: ModelUse, _ size: [Int]?
    ) throws -> (Model, ModelDescription) {
        let reader = try HDF5Reader(path)
        var description = try describe(reader)
        if let task, task != description.task {
            throw CheckpointError.wrongTask(file: path, found: description.task, wanted: task)
        }
        let source = HDF5Source(reader, below: "/model/")
        let tensors = source.tensors
        try description.configuration.checkFits(tensors, in: [path])
        let positions = try size.flatMap { try description.resize(to: $0, file: path) }
        let model = Model(description.configuration, .unset)
        var loader = ParameterLoader(
            Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0) }),
            refusals: source.refusals, positions: positions, keepsValues: use != .inspection)
        var frozen: Precision?
        if case .inference(let precision) = use {
            description.precision = precision ?? .suiting(tensors)
            frozen = description.precision
        }
        try loader.load(into: model.module, freezing: frozen)
        loader.refuseRest()
        guard loader.issues.isEmpty else { throw CheckpointError.parameters(file: path, loader.issues) }
        return (model, description)
    }

    private static func text(_ name: String, in reader: HDF5Reader) throws -> String {
        guard let text = try reader.attribute(name) else {
            throw CheckpointError.badAttribute(file: reader.file, name: name, reason: "it is missing")
        }
        return text
    }

    private static func json<Value: Decodable>(_ name: String, in reader: HDF5Reader) throws -> Value {
        let text = try text(name, in: reader)
        do { return try JSONText.decode(from: text.utf8, of: reader.file) } catch {
            throw CheckpointError.badAttribute(file: reader.file, name: name, reason: error.reason)
        }
    }
}

/// What a model is read for.
package enum ModelUse: Equatable, Sendable {
    case learning
    /// Every value is read and looked at, and none is kept.
    case inspection
    /// Without gradients, in these numbers; nil for those that suit the file.
    case inference(Precision? = nil)
}

extension Precision {
    /// What suits weights of these types on this machine.
    fileprivate static func suiting(_ tensors: [StoredTensor]) -> Precision {
        if tensors.contains(where: { $0.quantized != nil }) { return .int8 }
        return tensors.contains { $0.elementType == .bfloat16 } && Precision.bf16.problem == nil ? .bf16 : .fp32
    }
}

extension ModelDescription {
    /// Takes another input size, height and width in pixels.
    /// - Returns: how positions get there; nil for a model without a backbone, which takes any size.
    /// - Throws: ``CheckpointError/badSize(file:_:reason:)``.
    mutating func resize(to size: [Int], file: String) throws(CheckpointError) -> PositionResizing? {
        guard var backbone = configuration.backbone else { return nil }
        let old = configuration
        backbone.imageSize = size
        if let problem = backbone.problem { throw .badSize(file: file, size, reason: problem) }
        configuration.backbone = backbone
        preprocessing.size = size
        return PositionResizing(from: old, to: configuration)
    }
}
