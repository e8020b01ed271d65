import BEiTFiles
import BEiTTensorCore
import BEiTWeightFiles

/// The tensors of a file, under the paths that their layout gives them.
struct ForeignTensors {
    let source: any TensorSource
    let layout: WeightLayout
    /// By the path of the parameter: as it would lie in a file of beit-seg.
    private(set) var placed: [String: StoredTensor] = [:]
    /// By the path of the parameter, where its name is known.
    private(set) var refusals: [String: String] = [:]
    /// By the name in the file, with the reason.
    private(set) var leftOut: [String: String] = [:]
    /// The names in the file of each placed tensor.
    private(set) var names: [String: [String]] = [:]

    /// Recognises the layout. Throws ``ImportError``.
    init(_ source: any TensorSource) throws {
        self.source = source
        if let words = OtherModels.words(source.tensors.map(\.name)) {
            throw ImportError.otherModel(file: source.files[0], words)
        }
        let candidates = WeightLayout.all.map { ($0, Self.places(of: source.tensors, in: $0)) }
        let best = candidates.max { $0.1 < $1.1 }?.1 ?? 0
        guard best > 0, let layout = candidates.first(where: { $0.1 == best })?.0 else {
            throw ImportError.unknownNames(
                file: source.files[0], examples: Array((source.tensors.map(\.name) + source.refusals.keys).prefix(3)))
        }
        self.layout = layout
        for (name, reason) in source.refusals {
            refusals[layout.path(of: Self.bare(name))?.path ?? Self.bare(name).replacing(".", with: "/")] = reason
        }
        try place()
    }

    /// How many parameters a layout finds, 0 where it does not find the first layer of a model.
    private static func places(of tensors: [StoredTensor], in layout: WeightLayout) -> Int {
        var paths: Set<String> = [], hasInput = false
        let inputs: Set = [
            "backbone/patch_embed/proj/weight", "encoder/blocks/input/w", "decoder/blocks/input/w",
        ]
        for tensor in tensors {
            guard let path = layout.path(of: bare(tensor.name))?.path else { continue }
            paths.insert(path)
            if inputs.contains(path), layout.inputKernel == nil || layout.inputKernel == tensor.shape.last {
                hasInput = true
            }
        }
        return hasInput ? paths.count : 0
    }

    private mutating func place() throws {
        var parts: [String: [Int: StoredTensor]] = [:], rules: [String: NameRule] = [:]
        for tensor in source.tensors {
            if let reason = Self.useless(tensor.name) {
                leftOut[tensor.name] = reason
            } else if let (path, part, rule) = layout.path(of: Self.bare(tensor.name)) {
                guard parts[path]?[part] == nil else {
                    throw ImportError.twice(name: tensor.name, files: source.files)
                }
                parts[path, default: [:]][part] = tensor
                rules[path] = rule
            } else {
                leftOut[tensor.name] = "\(layout.name) names have no such parameter of BEiT"
            }
        }
        for (path, found) in parts {
            guard let rule = rules[path] else { continue }
            let tensors = rule.names.indices.compactMap { found[$0] }
            names[path] = tensors.map(\.name)
            guard tensors.count == rule.names.count else {
                let missing = layout.names(of: path)?.names.enumerated().filter { found[$0.offset] == nil }.map(
                    \.element)
                refusals[path] = "\((missing ?? []).joined(separator: ", ")) is missing"
                continue
            }
            placed[path] = tensors.joined(as: path, rule.order)
        }
    }

    /// Why a tensor is of no use to any model; nil if it may be.
    private static func useless(_ name: String) -> String? {
        if name.hasPrefix("optimizer_weights") { return "it belongs to an optimizer" }
        return switch name.split(whereSeparator: { "./".contains($0) }).last {
        case "relative_position_index": "it is computed anew"
        case "num_batches_tracked": "nothing depends on it"
        default: nil
        }
    }

    private static let wrappers = ["module.", "model.", "state_dict.", "image_codebook."]

    /// The name with dots, also where it is spread over groups, and without what wrappers put before it. Of Keras' names
    /// the layer and the variable are left.
    private static func bare(_ name: String) -> String {
        var name = name.replacing("/", with: ".")
        if name.hasSuffix(":0") { return name.dropLast(2).split(separator: ".").suffix(2).joined(separator: ".") }
        while let wrapper = wrappers.first(where: name.hasPrefix) { name.removeFirst(wrapper.count) }
        return name
    }
}

extension [StoredTensor] {
    /// One tensor of equal parts of its rows, its axes in our order.
    fileprivate func joined(as path: String, _ order: AxisOrder) -> StoredTensor {
        guard let first else { preconditionFailure("\(path) of no tensor") }
        if count == 1, case .same = order { return first }
        let name = map(\.name).joined(separator: ", ")
        // Unequal parts, or another rank, have no shape here: the shape in the file is then what is wrong with it.
        guard let axes = order.axes(rank: first.shape.count), allSatisfy({ $0.shape == first.shape }) else {
            let odd = self.first { $0.shape != first.shape } ?? first
            return StoredTensor(name: name, shape: odd.shape, elementType: odd.elementType, read: odd.read)
        }
        var shape = axes.map { first.shape[$0] }
        if count > 1 { shape[0] *= count }
        // One part may be of a type that is not read.
        let type = self.first { !$0.elementType.isFloat }?.elementType ?? first.elementType
        return StoredTensor(name: name, shape: shape, elementType: type) { [self] buffer in
            let size = buffer.count / count
            for (index, part) in enumerated() {
                let target = UnsafeMutableBufferPointer(rebasing: buffer[index * size..<(index + 1) * size])
                guard axes != Array<Int>(axes.indices) else {
                    try part.read(target)
                    continue
                }
                let stored = Tensor(uninitialized: part.shape)
                try part.read(stored.buffer)
                let turned = stored.transposed(axes)
                target.baseAddress?.update(from: turned.pointer, count: size)
            }
        }
    }
}
