import BEiTCheckpoints
import BEiTDatasets
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

    /// What keeps a backbone of these from staying as it is, in one sentence; nil if nothing does.
    var freezingProblem: String? {
        guard case .random = self else { return nil }
        return "`freeze-backbone` needs `init`: weights drawn at random have to learn"
    }
}

/// The backbone that a run starts from, before it has a head.
package struct StartingPoint {
    /// A checkpoint that lends its weights.
    package struct Parent {
        var model: any Module
        var description: ModelDescription
        var sha256: String
    }
    var backbone: BackboneConfiguration
    var preprocessing: Preprocessing
    var parent: Parent?

    /// - Parameter task: what the run is to learn.
    /// - Throws: ``CheckpointError`` and `HDF5Error`, also for a model without a backbone.
    init(_ weights: InitialWeights, for task: ModelTask) throws {
        switch weights {
        case .random(let backbone):
            (self.backbone, preprocessing) = (backbone, Preprocessing(size: backbone.imageSize))
        case .checkpoint(let path):
            let (model, description) = try Checkpoint.load(path, for: .learning)
            guard let backbone = description.configuration.backbone else {
                throw CheckpointError.noBackbone(file: path, description.task)
            }
            (self.backbone, preprocessing) = (backbone, description.preprocessing)
            parent = Parent(
                model: model.module, description: description, sha256: try SHA256.hexDigest(ofFile: path))
            // Fine-tuning has a table in each block, which starts as a copy of the shared one.
            if backbone.position == .relativeShared && task != .mim { self.backbone.position = .relative }
        }
    }
}

/// What of a checkpoint does not simply go to the parameter of the same name and shape.
package struct TransferRules {
    /// Beginnings of the paths of parameters that are not wanted though they would fit, and why.
    package var leavingOut: [(prefix: String, reason: String)] = []
    /// A head whose rows are classes.
    package var head: ClassHead?

    package init() {}
}

/// A head with a row for each class: rows go by the classes' names.
package struct ClassHead {
    /// Beginnings of the paths of its parameters: a model may have several heads of the same classes.
    let prefixes: [String]
    let old, new: [String]
    /// Of the new classes in the old ones.
    let matching: ClassMatching

    /// - Parameters:
    ///   - old: the classes of the checkpoint.
    ///   - new: those of the run.
    init(_ prefixes: [String], old: [String], new: [String]) {
        (self.prefixes, self.old, self.new) = (prefixes, old, new)
        matching = ClassMatching(new, in: old)
    }

    func contains(_ path: String) -> Bool { prefixes.contains { path.hasPrefix($0) } }

    /// For people; empty where every class has its own row, in its old place.
    var lines: [String] {
        if matching.isByPosition && old != new {
            return ["warning: one of the models has no names of classes: rows of the head go by position"]
        }
        if matching.places == Array(old.indices) { return [] }
        let known = zip(new, matching.places).filter { $1 != nil }.map(\.0)
        if known.isEmpty { return ["the head knows none of the classes: it starts at random"] }
        let lost = matching.unused
        return ["the head goes by the names of the classes: \(known.list) taken over"]
            + (matching.isComplete
                ? [] : ["starting at random, because the checkpoint does not know them: \(matching.strangerList)"])
            + (lost.isEmpty ? [] : ["of the checkpoint's classes not learned here: \(lost.list)"])
    }
}

extension [String] {
    /// A few of them, with commas between.
    fileprivate var list: String {
        prefix(8).joined(separator: ", ") + (count > 8 ? " and \(count - 8) more" : "")
    }
}

/// What became of a checkpoint's weights in a model that begins with them.
package struct WeightTransfer {
    /// Parameters that were taken over.
    package var used = 0
    /// Of these, positions that were brought to another grid of patches.
    package var resized = 0
    /// Parameters of the checkpoint that the model has no place for, and of the model that stay as drawn.
    package var leftOut: [String] = [], fresh: [String] = []
    private let rules: TransferRules

    /// Copies every parameter and buffer of `old` whose path and shape `new` has; a shared table of position biases goes to
    /// every block, and rows of a head go by the names of the classes.
    /// - Parameter positions: from the grid of patches of `old` to that of `new`.
    init(
        from old: any Module, to new: any Module, positions: PositionResizing? = nil,
        _ rules: TransferRules = TransferRules()
    ) {
        self.rules = rules
        let positions = positions?.isIdentity == true ? nil : positions
        let shared = "backbone/rel_pos_bias/relative_position_bias_table"
        let stored = Dictionary(uniqueKeysWithValues: old.parameters.map { ($0.path, $0.parameter) })
        var taken: Set<String> = []
        for named in new.parameters {
            let isTable = named.path.hasSuffix("/attn/relative_position_bias_table")
            let source = stored[named.path] != nil || !isTable ? named.path : shared
            guard let parameter = stored[source],
                !rules.leavingOut.contains(where: { named.path.hasPrefix($0.prefix) }),
                copy(parameter, named, positions)
            else {
                fresh.append(named.path)
                continue
            }
            taken.insert(source)
            used += 1
        }
        leftOut = stored.keys.filter { !taken.contains($0) }.sorted()
        copyBuffers(from: old, to: new)
    }

    /// Running statistics belong to the weights whose results they describe: they go where these go.
    private func copyBuffers(from old: any Module, to new: any Module) {
        let stored = Dictionary(uniqueKeysWithValues: old.buffers.map { ($0.path, $0.tensor) })
        for (path, tensor) in new.buffers where !rules.leavingOut.contains(where: { path.hasPrefix($0.prefix) }) {
            guard let source = stored[path], source.shape == tensor.shape else { continue }
            tensor.pointer.update(from: source.pointer, count: source.count)
        }
    }

    /// Whether the parameter has a place in the new model.
    private mutating func copy(_ old: Parameter, _ new: NamedParameter, _ positions: PositionResizing?) -> Bool {
        let shape = new.parameter.fullShape
        if let head = rules.head, head.contains(new.path) { return copyRows(old, new.parameter, head) }
        guard let oldShape = positions?.oldShape(new.path, shape) else {
            guard old.fullShape == shape else { return false }
            new.parameter.assign(old.value)
            return true
        }
        guard old.fullShape == oldShape else { return false }
        let value = Tensor(uninitialized: shape)
        positions?.resize(new.path, old.value, into: value)
        new.parameter.assign(value)
        resized += 1
        return true
    }

    private func copyRows(_ old: Parameter, _ new: Parameter, _ head: ClassHead) -> Bool {
        guard old.fullShape.first == head.old.count, new.fullShape.first == head.new.count,
            old.fullShape.dropFirst() == new.fullShape.dropFirst(), head.matching.places.contains(where: { $0 != nil })
        else { return false }
        for (row, source) in head.matching.places.enumerated() {
            guard let source else { continue }
            let target = new.value.rows(row..<row + 1)
            target.pointer.update(from: old.value.rows(source..<source + 1).pointer, count: target.count)
        }
        return true
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
            + rules.leavingOut.filter { rule in fresh.contains { $0.hasPrefix(rule.prefix) } }.map(\.reason)
            + (rules.head.map { head in leftOut.contains(where: head.contains) ? [] : head.lines } ?? [])
    }
}
