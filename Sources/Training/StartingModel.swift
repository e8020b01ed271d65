import Checkpoints
import Files
import Layers
import Models
import Ops
import TensorCore

/// Where the first weights of a run come from.
public enum InitialWeights: Sendable {
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
                throw CheckpointError.wrongTask(file: path, found: description.task, wanted: task)
            }
            (self.backbone, preprocessing) = (backbone, description.preprocessing)
            parent = (model.module, description.configuration, try SHA256.hexDigest(ofFile: path))
            classes = description.classes.map(\.name)
            // Fine-tuning has a table in each block, which starts as a copy of the shared one.
            if backbone.position == .relativeShared { self.backbone.position = .relative }
        }
    }
}

/// What became of a checkpoint's weights in a model that begins with them.
public struct WeightTransfer: Equatable, Sendable {
    /// Parameters that were taken over.
    public var used = 0
    /// Parameters of the checkpoint that the model has no place for, and of the model that stay as drawn.
    public var leftOut: [String] = [], fresh: [String] = []

    /// Copies every parameter of `old` whose path and shape `new` has; a shared table of position biases goes to every
    /// block.
    /// - Parameter others: beginnings of the paths of those that are not wanted though they would fit.
    init(from old: any Module, to new: any Module, leavingOut others: [String] = []) {
        let shared = "backbone/rel_pos_bias/relative_position_bias_table"
        let stored = Dictionary(uniqueKeysWithValues: old.parameters.map { ($0.path, $0.parameter) })
        var taken: Set<String> = []
        for named in new.parameters {
            let isTable = named.path.hasSuffix("/attn/relative_position_bias_table")
            let source = stored[named.path] != nil || !isTable ? named.path : shared
            guard let parameter = stored[source], parameter.fullShape == named.parameter.fullShape,
                !others.contains(where: named.path.hasPrefix)
            else {
                fresh.append(named.path)
                continue
            }
            named.parameter.assign(parameter.value)
            taken.insert(source)
            used += 1
        }
        leftOut = stored.keys.filter { !taken.contains($0) }.sorted()
    }

    /// For people, by module instead of by parameter.
    public var lines: [String] {
        func list(_ paths: [String]) -> String {
            let modules = paths.map { path in path.split(separator: "/").prefix(2).joined(separator: "/") }
            return modules.reduce(into: []) { if $0.last != $1 { $0.append($1) } }.joined(separator: ", ")
        }
        return ["initial weights: \(used) parameters taken over"]
            + (leftOut.isEmpty ? [] : ["left out of the checkpoint: \(list(leftOut))"])
            + (fresh.isEmpty ? [] : ["starting at random: \(list(fresh))"])
    }
}
