import BEiTLayers
import BEiTModels
import BEiTOps
import BEiTTensorCore
import BEiTWeightFiles
import Synchronization

/// Fills a model from a file, tensor by tensor, and gathers what does not fit.
struct ParameterLoader {
    private(set) var issues: [ParameterIssue] = []
    /// Tensors that no parameter has asked for yet, by the path of the parameter they are for.
    private(set) var rest: [String: StoredTensor]
    /// Parameters that were brought to another grid of patches.
    private(set) var resized: [String] = []
    private let refusals: [String: String]
    private let positions: PositionResizing?
    private let keepsValues: Bool

    /// - Parameters:
    ///   - refusals: paths, also of groups, that must not be read, with the reasons.
    ///   - positions: from the file's grid of patches to the model's.
    ///   - keepsValues: false where they are only looked at; the model then has none.
    init(
        _ tensors: [String: StoredTensor], refusals: [String: String] = [:], positions: PositionResizing? = nil,
        keepsValues: Bool = true
    ) {
        (rest, self.refusals, self.positions) = (tensors, refusals, positions?.isIdentity == true ? nil : positions)
        self.keepsValues = keepsValues
    }

    /// Module by module.
    /// - Parameter precision: of inference, for which a module is packed before the next is read; nil for learning.
    mutating func load(into module: any Module, at prefix: String = "", freezing precision: Precision?) throws {
        for member in module.members {
            switch member {
            case .parameter(let name, let parameter): try read(prefix + name, into: parameter, precision)
            case .buffer(let name, let tensor): try read(prefix + name, into: tensor)
            case .module(let name, let part, _):
                try load(into: part, at: name.isEmpty ? prefix : prefix + name + "/", freezing: precision)
            }
        }
        if let precision { module.freeze(precision) }
    }

    /// What products in bytes multiply by may be stored so.
    private mutating func read(_ path: String, into parameter: Parameter, _ precision: Precision?) throws {
        guard let axis = parameter.outputAxis, let stored = rest[path], stored.elementType == .int8,
            stored.shape == parameter.fullShape
        else {
            if precision != nil { parameter.renew() }
            return try read(path, into: parameter.value)
        }
        rest[path] = nil
        guard let quantized = stored.quantized else {
            return issues.append(missing(path + StoredQuantization.suffix))
        }
        guard let weight = try read(path, quantized, shape: stored.shape, axis: axis), keepsValues else { return }
        if precision == .int8 { return parameter.hold(weight) }
        if precision != nil { parameter.renew() }
        weight.expand(into: parameter.value)
    }

    /// Nil where there is an issue.
    private mutating func read(
        _ path: String, _ stored: StoredQuantization, shape: [Int], axis: Int
    ) throws -> QuantizedWeight? {
        let (scalePath, wanted) = (path + StoredQuantization.suffix, QuantizedWeight.scaleShape(shape, axis: axis))
        func flaw(_ issue: ParameterIssue) -> QuantizedWeight? {
            issues.append(issue)
            return nil
        }
        guard stored.scales.shape == wanted else {
            return flaw(.wrongShape(scalePath, expected: wanted, found: stored.scales.shape))
        }
        guard stored.scales.elementType.isFloat else {
            return flaw(.wrongType(scalePath, found: stored.scales.elementType.description))
        }
        let scales = Tensor(uninitialized: wanted)
        try stored.scales.read(scales.buffer)
        guard scales.buffer.allSatisfy({ ($0 * 127).isFinite }) else { return flaw(.notFinite(scalePath)) }
        guard scales.buffer.allSatisfy({ $0 >= .leastNormalMagnitude }) else {
            return flaw(.refused(scalePath, reason: "not every scale is above 0"))
        }
        let bytes = Tensor(uninitialized: shape, .int8)
        let buffer = UnsafeMutableBufferPointer(start: bytes.signedBytes, count: bytes.count)
        try stored.read(buffer)
        guard !bytes.hasLeastByte else { return flaw(.refused(path, reason: "its bytes are not all -127 to 127")) }
        return QuantizedWeight(bytes: bytes, scales: scales, axis: axis)
    }

    private func missing(_ path: String) -> ParameterIssue {
        let refusal = refusals.first { path == $0.key || path.hasPrefix($0.key + "/") }
        return refusal.map { .refused(path, reason: $0.value) } ?? .missing(path)
    }

    private mutating func read(_ path: String, into tensor: Tensor) throws {
        guard let stored = rest.removeValue(forKey: path) else { return issues.append(missing(path)) }
        let oldShape = positions?.oldShape(path, tensor.shape)
        let shape = oldShape ?? tensor.shape
        guard stored.shape == shape else {
            return issues.append(.wrongShape(path, expected: shape, found: stored.shape))
        }
        guard stored.elementType.isFloat else {
            return issues.append(.wrongType(path, found: stored.elementType.description))
        }
        guard keepsValues else {
            if try !stored.areFinite() { issues.append(.notFinite(path)) }
            return
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

extension Tensor {
    /// Whether −128 is among bytes from −128 to 127.
    fileprivate var hasLeastByte: Bool {
        let bytes = signedBytes, isFound = Atomic(false)
        WorkerPool.current.run(count, grain: 1 << 18) {
            var least: Int8 = 0
            for index in $0 { least = min(least, bytes[index]) }
            if least == -128 { isFound.store(true, ordering: .relaxed) }
        }
        return isFound.load(ordering: .relaxed)
    }
}
