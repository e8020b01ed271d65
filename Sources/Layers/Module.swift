import BEiTOps
import BEiTTensorCore

/// A part of a model: its parameters and the parts that it is made of.
package protocol Module: AnyObject {
    /// In the order of the file; the names are those of the file format.
    var members: [Member] { get }

    /// Prepares for inference: weights are packed for the matrix engine, and no gradient is taken any more.
    func freeze(_ precision: Precision)
}

/// A named member of a module.
package enum Member {
    case parameter(String, Parameter)
    /// Learned by no gradient, but part of the file: running statistics.
    case buffer(String, Tensor)
    /// A module without a name lends its members to the one above. `layer`: the depth for layer-wise learning-rate decay of everything inside, where it has one.
    case module(String, any Module, layer: Int? = nil)

    /// Numbered modules, `name/0`, `name/1`, …
    package static func list(_ name: String, _ modules: [any Module], layer: (Int) -> Int? = { _ in nil }) -> [Member] {
        modules.enumerated().map { .module("\(name)/\($0)", $1, layer: layer($0)) }
    }
}

/// A parameter with its place in the model.
package struct NamedParameter {
    /// The name in a checkpoint below `/model/`, such as `backbone/blocks/0/attn/qkv/weight`.
    package let path: String
    package let parameter: Parameter
    /// 0 for the embeddings, i + 1 for block i; nil for everything behind the last block.
    package let layer: Int?
}

extension Module {
    package func freeze(_ precision: Precision) {
        for member in members {
            switch member {
            case .parameter(_, let parameter): parameter.freeze()
            case .module(_, let module, _): module.freeze(precision)
            case .buffer: break
            }
        }
    }

    /// Every parameter, in file order.
    package var parameters: [NamedParameter] { collectParameters("", nil) }

    /// Every buffer with its path, in file order.
    package var buffers: [(path: String, tensor: Tensor)] { collectBuffers("") }

    /// The values of parameters and buffers with their paths: all that a file keeps.
    /// - Precondition: the module is not frozen.
    package var tensors: [(path: String, tensor: Tensor)] {
        parameters.map { named in
            precondition(!named.parameter.isPacked, "\(named.path): a frozen model has no plain weights")
            return (named.path, named.parameter.value)
        } + buffers
    }

    package var parameterCount: Int { parameters.reduce(0) { $0 + $1.parameter.fullShape.elementCount } }

    private func collectParameters(_ prefix: String, _ layer: Int?) -> [NamedParameter] {
        members.flatMap { member -> [NamedParameter] in
            switch member {
            case .parameter(let name, let parameter):
                [NamedParameter(path: prefix + name, parameter: parameter, layer: layer)]
            case .module(let name, let module, let own):
                module.collectParameters(prefix + name.asFolder, own ?? layer)
            case .buffer: []
            }
        }
    }

    private func collectBuffers(_ prefix: String) -> [(path: String, tensor: Tensor)] {
        members.flatMap { member -> [(path: String, tensor: Tensor)] in
            switch member {
            case .buffer(let name, let tensor): [(prefix + name, tensor)]
            case .module(let name, let module, _): module.collectBuffers(prefix + name.asFolder)
            case .parameter: []
            }
        }
    }
}

extension String {
    fileprivate var asFolder: String { isEmpty ? "" : self + "/" }
}
