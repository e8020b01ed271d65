import BEiTReports
import BEiTMetrics
import BEiTCheckpoints
import BEiTFiles
import BEiTLayers
import BEiTModels
import BEiTOps
import BEiTTensorCore

/// Where the first weights of a run come from.
package enum InitialWeights: Sendable {
    /// Drawn at random, for this architecture.
    case random(BackboneConfiguration)
    /// Those of a checkpoint, whatever its task.
    case checkpoint(String)
}

/// The backbone that a run starts from, before it has a head.
struct StartingPoint {
    var backbone: BackboneConfiguration
    var preprocessing: Preprocessing
    /// Of the checkpoint: its model, configuration and digest.
    var parent: (model: any Module, configuration: ModelConfiguration, sha256: String)?
    /// The names of the checkpoint's classes.
    var classes: [String] = []

    /// - Parameter task: what the run is to learn.
    /// - Throws: ``CheckpointError`` and `HDF5Error`, also for a model without a backbone.
    init(_ weights: InitialWeights, for task: ModelTask = .segmentation) throws {
        switch weights {
        case .random(let backbone):
            (self.backbone, preprocessing) = (backbone, Preprocessing(size: backbone.imageSize))
        case .checkpoint(let path):
            let (model, description) = try Checkpoint.load(path, frozen: false)
            guard let backbone = description.configuration.backbone else {
                throw CheckpointError.noBackbone(file: path, description.task)
            }
            (self.backbone, preprocessing) = (backbone, description.preprocessing)
            parent = (model.module, description.configuration, try SHA256.hexDigest(ofFile: path))
            classes = description.classes.map(\.name)
            // Fine-tuning has a table in each block, which starts as a copy of the shared one.
            if backbone.position == .relativeShared && task != .mim { self.backbone.position = .relative }
        }
    }
}

/// What became of a checkpoint's weights in a model that begins with them.
package struct WeightTransfer: Equatable, Sendable {
    /// Parameters that were taken over.
    package var used = 0
    /// Of these, positions that were brought to another grid of patches.
    package var resized = 0
    /// Parameters of the checkpoint that the model has no place for, and of the model that stay as drawn.
    package var leftOut: [String] = [], fresh: [String] = []

    /// Copies every parameter of `old` whose path and shape `new` has; a shared table of position biases goes to every
    /// block.
    /// - Parameters:
    ///   - positions: from the grid of patches of `old` to that of `new`.
    ///   - others: beginnings of the paths of those that are not wanted though they would fit.
    init(
        from old: any Module, to new: any Module, positions: PositionResizing? = nil, leavingOut others: [String] = []
    ) {
        let positions = positions?.isIdentity == true ? nil : positions
        let shared = "backbone/rel_pos_bias/relative_position_bias_table"
        let stored = Dictionary(uniqueKeysWithValues: old.parameters.map { ($0.path, $0.parameter) })
        var taken: Set<String> = []
        for named in new.parameters {
            let isTable = named.path.hasSuffix("/attn/relative_position_bias_table")
            let source = stored[named.path] != nil || !isTable ? named.path : shared
            let shape = named.parameter.fullShape
            let oldShape = positions?.oldShape(named.path, shape)
            guard let parameter = stored[source], parameter.fullShape == oldShape ?? shape,
                !others.contains(where: named.path.hasPrefix)
            else {
                fresh.append(named.path)
                continue
            }
            if oldShape != nil {
                let value = Tensor(uninitialized: shape)
                positions?.resize(named.path, parameter.value, into: value)
                named.parameter.assign(value)
                resized += 1
            } else {
                named.parameter.assign(parameter.value)
            }
            taken.insert(source)
            used += 1
        }
        leftOut = stored.keys.filter { !taken.contains($0) }.sorted()
    }

    /// For people, by module instead of by parameter.
    package var lines: [String] {
        func list(_ paths: [String]) -> String {
            let modules = paths.map { path in path.split(separator: "/").prefix(2).joined(separator: "/") }
            return modules.reduce(into: []) { if $0.last != $1 { $0.append($1) } }.joined(separator: ", ")
        }
        let positions = resized > 0 ? ", positions of another size resized (\(resized))" : ""
        return ["initial weights: \(used) parameters taken over\(positions)"]
            + (leftOut.isEmpty ? [] : ["left out of the checkpoint: \(list(leftOut))"])
            + (fresh.isEmpty ? [] : ["starting at random: \(list(fresh))"])
    }
}
