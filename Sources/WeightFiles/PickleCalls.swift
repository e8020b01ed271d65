import BEiTTensorCore

/// What stands in the place of calls: the names that a pickle may have in it, and what each of them makes of its arguments.
extension PickleMachine {
    func global(module: String, name: String) throws -> PickleValue {
        let full = module + "." + name
        guard PickleClasses.meaning(of: full) != nil else {
            throw WeightFileError.foreignObject(file: file, name: full)
        }
        return .global(full)
    }

    /// What REDUCE and NEWOBJ leave.
    mutating func call(_ function: PickleValue, _ arguments: PickleValue) throws -> PickleValue {
        guard case .global(let name) = function, let meaning = PickleClasses.meaning(of: name) else {
            throw damaged("its pickle calls what is no function")
        }
        guard let values = heap.items(arguments) else {
            throw damaged("its pickle calls \(name.brief) without arguments")
        }
        switch meaning {
        case .tensor: return try tensor(name, values, type: nil)
        case .typedTensor: return try tensor(name, values, type: try dtype(values))
        case .parameter: return try first(values, of: name)
        case .subclass: return try rebuilt(name, values)
        case .list, .tuple, .set:
            return make(PickleNode(kind: meaning.container, values: try elements(values, of: name)))
        case .dict: return make(PickleNode(kind: .dict, values: try members(values, of: name)))
        case .same: return try first(values, of: name)
        case .bytes: return encoded(values)
        case .scalar: return try scalar(values)
        case .array: return make(PickleNode(kind: .record("numpy.ndarray"), arguments: arguments))
        case .object:
            guard case .global(let type)? = values.first else {
                throw damaged("its pickle makes an object of no class")
            }
            return make(PickleNode(kind: .record(type), arguments: arguments))
        case .storageBytes: return try nestedStorage(values)
        case .record: return make(PickleNode(kind: .record(name), arguments: arguments))
        }
    }

    private func first(_ values: [PickleValue], of name: String) throws -> PickleValue {
        guard let value = values.first else { throw damaged("its pickle calls \(name.brief) without arguments") }
        return value
    }

    // MARK: Tensors

    /// `_rebuild_tensor(storage, offset, shape, strides, …)`
    private mutating func tensor(_ name: String, _ values: [PickleValue], type: ElementType?) throws -> PickleValue {
        guard values.count >= 4, case .storage(let storage) = values[0], case .int(let offset) = values[1],
            let shape = heap.integers(values[2]), let strides = heap.integers(values[3])
        else { throw damaged("its pickle describes a tensor that makes no sense") }
        heap.tensors.append(
            PickledTensor(storage: storage, offset: offset, shape: shape, strides: strides, type: type))
        return .tensor(heap.tensors.count - 1)
    }

    /// The type in `_rebuild_tensor_v3(storage, offset, shape, strides, requires_grad, hooks, dtype, …)`.
    private func dtype(_ values: [PickleValue]) throws -> ElementType {
        guard values.count >= 7, case .global(let name) = values[6], let type = PickleClasses.dtype(name) else {
            throw damaged("its pickle describes a tensor without a type")
        }
        return type
    }

    /// `_rebuild_from_type_v2(function, type, arguments, state)`: a tensor with attributes, which are left out.
    private mutating func rebuilt(_ name: String, _ values: [PickleValue]) throws -> PickleValue {
        guard values.count >= 3, case .global(let function) = values[0],
            PickleClasses.meaning(of: function).map({ [.tensor, .typedTensor, .parameter].contains($0) }) == true
        else { throw damaged("its pickle describes a tensor that makes no sense") }
        return try call(values[0], values[2])
    }

    /// A storage as `pickle` writes it: its bytes are a file of `torch.save`, within this one.
    private mutating func nestedStorage(_ values: [PickleValue]) throws -> PickleValue {
        guard !isNested, values.count == 1, case .span(let range) = values[0] else {
            throw damaged("its storages cannot be reached; save its state_dict with torch.save")
        }
        let stream = try TorchStream(PickleInput(input.file, range), isNested: true)
        guard case .storage(let index) = stream.value, case .key(let key) = stream.heap.storages[index].place,
            let place = stream.places[key]
        else { throw damaged("a storage within its pickle makes no sense") }
        let storage = stream.heap.storages[index]
        return makeStorage(
            PickledStorage(place: .file(place), type: storage.type, count: storage.count, part: storage.part))
    }

    // MARK: Containers

    /// What `list(values)` would hold.
    private func elements(_ arguments: [PickleValue], of name: String) throws -> [PickleValue] {
        guard let source = arguments.first else { return [] }
        guard let items = heap.items(source) else {
            throw damaged("its pickle calls \(name.brief) with what is no list")
        }
        return items
    }

    /// What `dict(pairs)` would hold.
    private func members(_ arguments: [PickleValue], of name: String) throws -> [PickleValue] {
        guard let source = arguments.first else { return [] }
        if let pairs = heap.pairs(source) { return pairs.flatMap { [$0.key, $0.value] } }
        return try elements(arguments, of: name).flatMap { pair in
            guard let pair = heap.items(pair), pair.count == 2 else {
                throw damaged("its pickle calls \(name.brief) with what are no pairs")
            }
            return pair
        }
    }

    // MARK: Bytes and numbers

    /// `_codecs.encode(text, "latin1")`, how protocol 2 writes bytes.
    private func encoded(_ values: [PickleValue]) -> PickleValue {
        guard case .string(let text)? = values.first else { return .none }
        return .bytes(text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) })
    }

    /// `scalar(dtype, bytes)`, a number of NumPy; one of no simple type is left out.
    private func scalar(_ values: [PickleValue]) throws -> PickleValue {
        guard values.count == 2, let type = PickledArray.Element(values[0], in: heap),
            let bytes = try PickledArray.bytes(values[1], in: input.file), let number = type.numbers(bytes).first
        else { return .none }
        return Int(exactly: number).map { type.isInteger ? .int($0) : .float(number) } ?? .float(number)
    }
}

extension PickleClasses.Meaning {
    fileprivate var container: PickleNode.Kind {
        switch self {
        case .tuple: .tuple
        case .set: .set
        default: .list
        }
    }
}
