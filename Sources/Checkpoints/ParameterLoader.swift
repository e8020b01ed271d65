import BEiTLayers
import BEiTModels
import BEiTOps
import BEiTTensorCore
import BEiTWeightFiles

/// Fills a model from a file, tensor by tensor, and gathers what does not fit.
struct ParameterLoader {
    private(set) var issues: [ParameterIssue] = []
    /// Tensors that no parameter has asked for yet, by the path of the parameter they are for.
    private(set) var rest: [String: StoredTensor]
    /// Parameters that were brought to another grid of patches.
    private(set) var resized: [String] = []
    private let refusals: [String: String]
    private let positions: PositionResizing?

    /// - Parameters:
    ///   - refusals: paths, also of groups, that must not be read, with the reasons.
    ///   - positions: from the file's grid of patches to the model's.
    init(
        _ tensors: [String: StoredTensor], refusals: [String: String] = [:], positions: PositionResizing? = nil
    ) {
        (rest, self.refusals, self.positions) = (tensors, refusals, positions?.isIdentity == true ? nil : positions)
    }

    /// Module by module.
    /// - Parameter precision: of inference, for which a module is packed before the next is read; nil for learning.
    mutating func load(into module: any Module, at prefix: String = "", freezing precision: Precision?) throws {
        for member in module.members {
            switch member {
            case .parameter(let name, let parameter):
                if precision != nil { parameter.renew() }
                try read(prefix + name, into: parameter.value)
            case .buffer(let name, let tensor): try read(prefix + name, into: tensor)
            case .module(let name, let part, _):
                try load(into: part, at: name.isEmpty ? prefix : prefix + name + "/", freezing: precision)
            }
        }
        if let precision { module.freeze(precision) }
    }

    private mutating func read(_ path: String, into tensor: Tensor) throws {
        guard let stored = rest.removeValue(forKey: path) else {
            let refusal = refusals.first { path == $0.key || path.hasPrefix($0.key + "/") }
            issues.append(refusal.map { .refused(path, reason: $0.value) } ?? .missing(path))
            return
        }
        let oldShape = positions?.oldShape(path, tensor.shape)
        let shape = oldShape ?? tensor.shape
        guard stored.shape == shape else {
            return issues.append(.wrongShape(path, expected: shape, found: stored.shape))
        }
        guard stored.elementType.isFloat else {
            return issues.append(.wrongType(path, found: stored.elementType.description))
        }
        let target = oldShape.map { Tensor(uninitialized: $0) } ?? tensor
        try stored.read(target.buffer)
        guard target.isFinite else { return issues.append(.notFinite(path)) }
        guard oldShape != nil else { return }
        positions?.resize(path, target, into: tensor)
        resized.append(path)
    }

    /// Makes an issue of each tensor that nobody asked for.
    mutating func refuseRest() { issues += rest.keys.sorted().map { .unexpected($0) } }
}
