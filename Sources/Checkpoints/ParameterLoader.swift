import Files
import Foundation
import HDF5
import Layers
import Models
import TensorCore

/// Fills a model from a file, dataset by dataset, and gathers what does not fit.
struct ParameterLoader {
    private(set) var issues: [ParameterIssue] = []
    let reader: HDF5Reader
    /// The dataset of a parameter; nil if the file has none.
    let dataset: (_ parameter: String) -> String?
    private var expected: Set<String> = []

    init(reader: HDF5Reader, dataset: @escaping (String) -> String?) {
        (self.reader, self.dataset) = (reader, dataset)
    }

    /// Module by module; a frozen one is packed before the next is read.
    mutating func load(into module: any Module, at prefix: String = "", frozen: Bool) throws {
        for member in module.members {
            switch member {
            case .parameter(let name, let parameter): try read(prefix + name, into: parameter.value)
            case .buffer(let name, let tensor): try read(prefix + name, into: tensor)
            case .module(let name, let part, _):
                try load(into: part, at: name.isEmpty ? prefix : prefix + name + "/", frozen: frozen)
            }
        }
        if frozen { module.freeze() }
    }

    private mutating func read(_ path: String, into tensor: Tensor) throws {
        guard let dataset = dataset(path) else { return issues.append(.missing(path)) }
        expected.insert(dataset)
        if let refusal = reader.refusals[dataset] { return issues.append(.refused(path, reason: refusal)) }
        guard reader.contains(dataset) else { return issues.append(.missing(path)) }
        let info = try reader.info(dataset)
        guard info.shape == tensor.shape else {
            return issues.append(.wrongShape(path, expected: tensor.shape, found: info.shape))
        }
        guard info.elementType.isFloat else {
            return issues.append(.wrongType(path, found: info.elementType.description))
        }
        try reader.readFloats(dataset, into: tensor.buffer)
        if !tensor.isFinite { issues.append(.notFinite(path)) }
    }

    /// Notes the datasets of `candidates` that no parameter asked for.
    mutating func noteUnexpected(among candidates: [DatasetInfo]) {
        for info in candidates where !expected.contains(info.path) {
            issues.append(.unexpected(String(info.path.dropFirst("/model/".count))))
        }
    }
}

extension Tensor {
    fileprivate var isFinite: Bool {
        // x·0 is 0 for finite x, and NaN otherwise.
        var sum: Float = 0
        for value in buffer { sum += value * 0 }
        return sum == 0
    }
}

extension ModelConfiguration {
    /// Throws ``CheckpointError/impossibleSize(file:reason:)`` if a model of this configuration has far more
    /// parameters than the file can hold. Called before memory is reserved for them.
    func checkFits(_ datasets: [DatasetInfo], file: String) throws {
        if let depth = backbone?.depth, depth > datasets.count {
            throw CheckpointError.impossibleSize(
                file: file,
                reason: "config says \(depth) blocks, but there are \(datasets.count) parameters in the file")
        }
        let declared = datasets.reduce(0.0) { $0 + $1.shape.reduce(1.0) { $0 * Double($1) } }
        let size = try FileManager.default.attributesOfItem(atPath: file)[.size] as? Int ?? 0
        // Float16 inflated by zlib's best ratio. And a file that merely lacks a weight shall be told so.
        let held = min(declared, Double(size) * 1032 / 2)
        guard leastParameterCount <= held * 4 else {
            throw CheckpointError.impossibleSize(
                file: file,
                reason: String(
                    format: "config describes a model of at least %.3g parameters, the file can hold %.3g",
                    leastParameterCount, held))
        }
    }

    /// A lower bound, near the truth where a model is large. In Double: absurd sizes do not fit an integer.
    private var leastParameterCount: Double {
        var sum = 0.0
        if let backbone {
            let (width, depth) = (Double(backbone.width), Double(backbone.depth))
            sum += depth * width * (4 * width + 2 * Double(backbone.hiddenWidth))
            sum += 3 * width * Double(backbone.patchSize * backbone.patchSize)
            let rows = Double(backbone.tableRows) * Double(backbone.heads)
            switch backbone.position {
            case .absolute: sum += width * Double(backbone.patchCount)
            case .relative: sum += depth * rows
            case .relativeShared: sum += rows
            case .none: break
            }
            let outputs = mim?.vocabulary ?? classifier?.classes ?? (decoder?.channels.first.map { 16 * $0 }) ?? 0
            sum += width * Double(outputs)
        }
        if let tokenizer {
            let top = Double(tokenizer.hidden << (tokenizer.groups - 1))
            sum += Double(tokenizer.vocabulary) * (top + Double(tokenizer.codeWidth))
            sum += Double(tokenizer.blocks) * 2 * 18 * (top / 4) * (top / 4)
        }
        return sum
    }
}
