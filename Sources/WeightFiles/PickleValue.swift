import BEiTTensorCore

/// A value of a pickle. What holds other values stands in a ``PickleHeap`` and is named by its number: so a value may hold
/// itself, or be nested to any depth, and nothing that walks or frees it recurses.
enum PickleValue: Equatable {
    case none
    case bool(Bool)
    case int(Int)
    /// An integer past 64 bits, little-endian in two's complement.
    case long([UInt8])
    case float(Double)
    case string(String)
    case bytes([UInt8])
    /// Bytes that were left in the file: where they are, counted from its beginning.
    case span(Range<Int>)
    /// A class or function, by its full name. It is a name and nothing more.
    case global(String)
    case node(Int)
    case tensor(Int)
    case storage(Int)
}

/// What holds other values.
struct PickleNode {
    enum Kind: Equatable {
        case list, tuple, set
        /// Keys and values in turn.
        case dict
        /// An object of a known class, of which its name, arguments and state are kept. Its values are those of a dict.
        case record(String)
    }
    var kind: Kind
    var values: [PickleValue] = []
    var arguments = PickleValue.none
    var state = PickleValue.none
}

/// A tensor as a pickle describes it: nothing of it has been checked.
struct PickledTensor {
    let storage: Int
    let offset: Int
    let shape, strides: [Int]
    /// Where it is another than the storage's.
    let type: ElementType?
}

/// The memory of tensors as a pickle describes it.
struct PickledStorage {
    enum Place: Equatable {
        /// An entry of the archive, or one of the storages behind the pickle, by its name.
        case key(String)
        /// Behind this byte of the file.
        case file(Int)
    }
    let place: Place
    let type: ElementType
    /// Of the whole storage.
    let count: Int
    /// The elements of it that are meant.
    let part: Range<Int>
}

/// All that a pickle holds.
struct PickleHeap {
    var nodes: [PickleNode] = []
    var tensors: [PickledTensor] = []
    var storages: [PickledStorage] = []

    /// The values of a list, tuple or set; nil for anything else.
    func items(_ value: PickleValue) -> [PickleValue]? {
        guard case .node(let index) = value else { return nil }
        return [.list, .tuple, .set].contains(nodes[index].kind) ? nodes[index].values : nil
    }

    /// Keys and values of a dict, in its order; nil for anything else. A key that is there twice is there twice.
    func pairs(_ value: PickleValue) -> [(key: PickleValue, value: PickleValue)]? {
        guard case .node(let index) = value, [.list, .tuple, .set].contains(nodes[index].kind) == false else {
            return nil
        }
        let values = nodes[index].values
        return stride(from: 0, to: values.count - 1, by: 2).map { (values[$0], values[$0 + 1]) }
    }

    /// The value of the last `key` of a dict.
    func member(_ key: String, of value: PickleValue) -> PickleValue? {
        pairs(value)?.last { $0.key == .string(key) }?.value
    }

    /// The attributes of an object, a dict; nil for anything else.
    func attributes(_ value: PickleValue) -> PickleValue? {
        guard case .node(let index) = value, case .record = nodes[index].kind else { return nil }
        // With slots, the state is a pair of two dicts.
        return items(nodes[index].state)?.first ?? nodes[index].state
    }

    /// The numbers of a list or tuple; nil if there is anything else in it.
    func integers(_ value: PickleValue) -> [Int]? {
        guard let items = items(value) else { return nil }
        let numbers = items.compactMap { if case .int(let number) = $0 { number } else { nil } }
        return numbers.count == items.count ? numbers : nil
    }
}
