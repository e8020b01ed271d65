/// The weights among all that a pickle holds: a dict of tensors, as it is, nested, below a name such as `model`, or as the
/// parameters and buffers of a whole module.
struct StateDict {
    /// Names and numbers of tensors, in the order of the pickle.
    private(set) var tensors: [(name: String, tensor: Int)] = []
    /// Whether a module was pickled instead of its state dict.
    private(set) var isModule = false
    private(set) var notes: [String] = []

    /// Names under which weights are kept beside other things, the preferred ones first.
    private static let wrappers = [
        "model", "module", "state_dict", "model_state_dict", "model_state", "net", "network", "student", "teacher",
        "model_ema", "state_dict_ema", "ema",
    ]
    /// Names of what a run keeps beside its weights.
    private static let training: Set<String> = [
        "optimizer", "optimizers", "optimizer_state_dict", "optimizer_states", "optim", "param_groups", "scaler", "amp",
        "amp_scaler", "loss_scaler", "grad_scaler", "scheduler", "lr_scheduler", "lr_schedulers", "param_schedulers",
        "message_hub", "meta", "args", "config", "cfg", "hparams", "hyper_parameters", "callbacks", "loops",
        "rng_state",
    ]

    /// Why there are no weights, in half a line.
    struct Absence: Error {
        let reason: String
    }

    /// Throws ``Absence``.
    init(_ top: PickleValue, _ heap: PickleHeap) throws(Absence) {
        var (place, path) = (top, [String]())
        while let (name, inner) = try choose(place, heap) {
            path.append(name)
            place = inner
        }
        isModule = heap.attributes(place).map { heap.member("_modules", of: $0) != nil } ?? false
        let isOptimizer = heap.member("param_groups", of: place) != nil && heap.member("state", of: place) != nil
        if !isOptimizer { tensors = try Self.flatten(place, heap, skipping: path.isEmpty ? Self.training : []) }
        guard tensors.isEmpty else { return }
        let others = try Self.flatten(place, heap)
        if isOptimizer || !others.isEmpty {
            throw Absence(reason: "it holds the state of an optimizer and no model")
        }
        throw Absence(reason: "it holds no tensors by name")
    }

    /// The value below the first wrapper that has tensors; nil where the tensors are at hand.
    private mutating func choose(
        _ place: PickleValue, _ heap: PickleHeap
    ) throws(Absence) -> (String, PickleValue)? {
        guard case .node(let index) = place, heap.nodes[index].kind == .dict else { return nil }
        var found: [(String, PickleValue)] = []
        for name in Self.wrappers {
            guard let inner = heap.member(name, of: place), inner != place else { continue }
            let tensors = try Self.flatten(inner, heap)
            if !tensors.isEmpty { found.append((name, inner)) }
        }
        if found.count > 1 {
            let others = found.dropFirst().map { "`\($0.0)`" }.joined(separator: ", ")
            notes.append("weights are below `\(found[0].0)`; there are others below \(others)")
        }
        return found.first
    }

    // MARK: Names

    private struct Step {
        let name: String
        let value: PickleValue
        let depth: Int
    }

    /// More names, or deeper ones, are no model's.
    private static let mostSteps = 200_000, deepest = 100

    /// The tensors below a value, by their names joined with points.
    private static func flatten(
        _ value: PickleValue, _ heap: PickleHeap, skipping skipped: Set<String> = []
    ) throws(Absence) -> [(name: String, tensor: Int)] {
        var (tensors, pending, steps) = ([(name: String, tensor: Int)](), [Step(name: "", value: value, depth: 0)], 0)
        while let step = pending.popLast() {
            if case .tensor(let tensor) = step.value, !step.name.isEmpty { tensors.append((step.name, tensor)) }
            let members = members(step.value, heap)
            steps += members.count
            guard steps <= mostSteps, step.depth < deepest else {
                throw Absence(reason: "its dicts are nested without end")
            }
            for (name, inner) in members.reversed() where step.depth > 0 || !skipped.contains(name) {
                let full = step.name.isEmpty ? name : step.name + "." + name
                pending.append(Step(name: full, value: inner, depth: step.depth + 1))
            }
        }
        return tensors
    }

    /// What a dict or a module has below it, by name: of a module its parameters, buffers and modules.
    private static func members(_ value: PickleValue, _ heap: PickleHeap) -> [(name: String, value: PickleValue)] {
        let attributes = heap.attributes(value) ?? .none
        let parts = ["_parameters", "_buffers", "_modules"].compactMap { heap.member($0, of: attributes) }
        return (parts.isEmpty ? [value] : parts).flatMap { place in
            (heap.pairs(place) ?? []).compactMap { pair in
                switch (pair.key, pair.value) {
                case (.string(let name), .tensor), (.string(let name), .node): (name, pair.value)
                case (.int(let number), .tensor), (.int(let number), .node): (String(number), pair.value)
                default: nil
                }
            }
        }
    }
}
