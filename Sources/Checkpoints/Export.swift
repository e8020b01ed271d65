import BEiTFiles
import BEiTHDF5
import BEiTImageIO
import BEiTLayers
import BEiTModels
import BEiTOps
import BEiTTensorCore
import BEiTWeightFiles

/// For whom a model is written.
package enum ExportLayout: String, CaseIterable, Sendable {
    /// beit-seg's own file.
    case native
    /// HDF5 with the names of the official release, one dataset each at the top of the file.
    case flat
    /// safetensors with the names of the official release.
    case official
    /// A folder, or the safetensors file alone, that transformers loads.
    case huggingface
    /// A folder, or the safetensors file alone, that timm loads.
    case timm
    /// HDF5 weights that keras-cv-attention-models loads.
    case keras
}

/// Why a model cannot be written for another program.
package enum ExportError: Error, Equatable, ExitStatus {
    case noName(parameter: String, ExportLayout)
    case impossible(ExportLayout, reason: String)

    package var exitStatus: Int32 { 64 }

    package var description: String {
        switch self {
        case .noName(let parameter, let layout):
            "\(layout.rawValue) files have no place for \(parameter); the layouts flat and native have"
        case .impossible(let layout, let reason):
            "this model cannot be written for \(layout.rawValue): \(reason); the layouts flat and native can hold it"
        }
    }
}

/// A model that is written for another program, without what only beit-seg knows.
package struct Export {
    private let model: Model
    private let description: ModelDescription
    private let layout: ExportLayout
    private let names: WeightLayout

    /// - Precondition: the model is not frozen, the layout is not native.
    ///
    /// Throws ``ExportError``.
    package init(_ model: Model, _ description: ModelDescription, for layout: ExportLayout) throws(ExportError) {
        (self.model, self.description, self.layout) = (model, description, layout)
        if let reason = Self.obstacle(description, layout) { throw .impossible(layout, reason: reason) }
        names = Self.names(description, layout)
        for (path, _) in model.module.tensors where names.names(of: path) == nil {
            throw .noName(parameter: path, layout)
        }
    }

    private static func names(_ description: ModelDescription, _ layout: ExportLayout) -> WeightLayout {
        switch (layout, description.task) {
        case (.keras, _): .keras
        case (.huggingface, .mim) where description.configuration.mim?.norm != true: .huggingFace
        case (.huggingface, _): .huggingFaceTwoNorms
        case (_, .segmentation): .segmentation
        case (_, .tokenizer): .tokenizer
        default: .official
        }
    }

    /// What the other program cannot compute, though it has the names.
    private static func obstacle(_ description: ModelDescription, _ layout: ExportLayout) -> String? {
        let configuration = description.configuration
        guard let backbone = configuration.backbone else { return nil }
        let grid = (backbone.gridHeight, backbone.gridWidth)
        switch layout {
        case .keras where description.task != .classification || configuration.classifier?.pooling != .mean:
            return "keras-cv-attention-models has classifiers by mean pooling alone"
        case .keras where backbone.position != .relative && backbone.position != .absolute:
            return "its positions are \(backbone.position.rawValue)"
        case .keras where grid.0 != grid.1, .timm where grid.0 != grid.1 && backbone.position != .absolute:
            return "the grid of patches is not square"
        case .timm where description.task != .classification: return "timm has classifiers of BEiT alone"
        case .huggingface: return HuggingFaceExport.obstacle(configuration)
        default: return nil
        }
    }

    /// Writes the weights, and for a folder what describes them.
    ///
    /// - Parameter path: a file; for `huggingface` and `timm` a folder where it does not end in `.safetensors`.
    /// - Returns: the files.
    /// - Precondition: the type is not int8, whose scales other programs do not know.
    ///
    /// Throws ``CheckpointError/beyondRange(file:parameter:_:_:)``, `FileError` or `HDF5Error`.
    package func write(to path: String, as type: WeightType = .float32, compress: Bool = false) throws -> [String] {
        precondition(type != .int8, "int8 for \(layout.rawValue)")
        let files = files(for: path)
        try Checkpoint.checkRange(model.module, type, files[0])
        switch layout {
        case .keras, .flat: try writeHDF5(files[0], type, compress)
        default:
            let tensors = tensors().map {
                OutgoingTensor(
                    name: $0.name, shape: $0.shape, format: $0.isCount ? .int64 : type.outgoing, make: $0.make)
            }
            try Safetensors.write(tensors, metadata: ["format": "pt"], to: files[0])
        }
        for (file, text) in zip(files.dropFirst(), try companions()) {
            try AtomicFile.write(text, to: file)
        }
        return files
    }

    /// What ``write(to:as:compress:)`` writes, the weights first.
    package func files(for path: String) -> [String] {
        guard layout == .huggingface || layout == .timm, !path.lowercased().hasSuffix(".safetensors") else {
            return [path]
        }
        let names = layout == .timm ? ["config.json"] : ["config.json", "preprocessor_config.json"]
        return (["model.safetensors"] + (description.configuration.backbone == nil ? [] : names)).map(path.joined)
    }

    private func companions() throws -> [String] {
        layout == .timm
            ? [try JSONText.pretty(TimmExport(description)) + "\n"]
            : try HuggingFaceExport.files(description).map { $0 + "\n" }
    }

    /// A tensor as the other program has it.
    private struct Piece {
        let name: String
        let shape: [Int]
        /// PyTorch's count of batches, an integer.
        var isCount = false
        let make: () -> Tensor
    }

    private func tensors() -> [Piece] {
        model.module.tensors.flatMap { path, tensor -> [Piece] in
            guard let (names, rule) = names.names(of: path) else { return [] }
            var pieces = pieces(names, rule.order, tensor)
            // PyTorch counts the batches of a batch norm, and nothing depends on the number.
            if layout != .keras, path.hasSuffix("/running_var"), let name = names.first {
                let count = name.replacing("running_var", with: "num_batches_tracked")
                pieces.append(Piece(name: count, shape: [], isCount: true) { Tensor.zeros([]) })
            }
            return pieces
        }
    }

    private func pieces(_ names: [String], _ order: AxisOrder, _ tensor: Tensor) -> [Piece] {
        let rows = names.count == 1 ? 0 : tensor.shape[0] / names.count
        return names.enumerated().map { index, name in
            let part = names.count == 1 ? tensor : tensor.rows(index * rows..<(index + 1) * rows)
            guard let axes = order.fileAxes else { return Piece(name: name, shape: part.shape) { part } }
            return Piece(name: name, shape: axes.map { part.shape[$0] }) { part.transposed(axes) }
        }
    }

    private func writeHDF5(_ path: String, _ type: WeightType, _ compress: Bool) throws {
        let writer = try HDF5Writer(path)
        var layers: [(name: String, weights: [String])] = []
        for piece in tensors() {
            let tensor = piece.make()
            var target = "/" + piece.name
            if layout == .keras {
                let layer = String(piece.name.prefix { $0 != "." }),
                    weight = piece.name.replacing(".", with: "/") + ":0"
                target = "/\(layer)/\(weight)"
                if layers.last?.name != layer { layers.append((layer, [])) }
                layers[layers.count - 1].weights.append(weight)
            }
            if piece.isCount {
                try writer.write(target, shape: [], ints: [Int64(0)])
            } else {
                try writer.write(
                    target, shape: tensor.shape, floats: UnsafeBufferPointer(tensor.buffer), as: type.stored,
                    compress: compress)
            }
        }
        if layout == .keras {
            try writer.setAttribute("layer_names", layers.map(\.name))
            for layer in layers { try writer.setAttribute("weight_names", layer.weights, at: "/" + layer.name) }
        }
        try writer.commit()
    }
}

extension AxisOrder {
    /// Our axes in the order of the file; nil where it is the same.
    fileprivate var fileAxes: [Int]? {
        switch self {
        case .same: nil
        case .transposed: [1, 0]
        case .channelsLast: [2, 3, 1, 0]
        }
    }
}

extension WeightType {
    fileprivate var outgoing: OutgoingTensor.Format {
        switch self {
        case .float32, .int8: .float32
        case .float16: .float16
        case .bfloat16: .bfloat16
        }
    }
}
