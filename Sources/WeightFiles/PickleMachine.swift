import BEiTFiles

/// Reads one pickle, of protocol 0 to 5, as data: containers, numbers, texts, tensors, and objects of known classes as
/// what was said of them. Nothing is called, nothing is imported. A name that is not known ends it (``PickleClasses``).
///
/// Source: `pickletools` of Python's standard library, which describes each instruction; `torch/_weights_only_unpickler.py`
/// for what files of weights contain.
struct PickleMachine {
    var input: PickleInput
    let isNested: Bool
    var heap = PickleHeap()
    private var stack: [PickleValue] = []
    private var marks: [Int] = []
    private var memo: [Int: PickleValue] = [:]

    /// Of values on the stack, in the memo, of marks, and of containers: more than any file of weights has.
    private static let most = 500_000

    /// - Parameter isNested: whether the pickle lies within another one, and may not have one within it.
    init(_ input: PickleInput, isNested: Bool = false) { (self.input, self.isNested) = (input, isNested) }

    var file: String { input.file.path }

    func damaged(_ reason: String) -> WeightFileError { .damaged(file: file, reason: reason) }

    /// Runs until STOP and gives the value that it leaves. Throws ``WeightFileError``.
    mutating func run() throws -> PickleValue {
        (stack, marks, memo) = ([], [], [:])
        while true {
            let code = try input.byte()
            if code == UInt8(ascii: ".") { return try pop() }
            try execute(Character(Unicode.Scalar(code)), code)
            guard max(stack.count, marks.count, memo.count, heap.nodes.count) <= Self.most else {
                throw damaged("its pickle has more objects than a model")
            }
        }
    }

    /// One instruction. Those of printable codes are as old as protocol 0 or 1, the others came later.
    private mutating func execute(_ code: Character, _ byte: UInt8) throws {
        switch code {
        case "(": marks.append(stack.count)
        case "0": _ = try pop()
        case "1": _ = try popToMark()
        case "2": stack.append(try top())
        case "N", "I", "L", "F", "K", "M", "J", "G": try pushNumber(code)
        case "S", "T", "U", "V", "X", "B", "C": try pushText(code)
        case "]": push(PickleNode(kind: .list))
        case "l": push(PickleNode(kind: .list, values: try popToMark()))
        case ")": push(PickleNode(kind: .tuple))
        case "t": push(PickleNode(kind: .tuple, values: try popToMark()))
        case "}": push(PickleNode(kind: .dict))
        case "d": push(PickleNode(kind: .dict, values: try evenly(popToMark())))
        case "a": try append([try pop()])
        case "e": try append(try popToMark())
        case "s": try setItems(try pop(2))
        case "u": try setItems(try evenly(popToMark()))
        case "g": try get(try decimal())
        case "h": try get(try input.length(1))
        case "j": try get(try input.length(4))
        case "p": try put(try decimal())
        case "q": try put(try input.length(1))
        case "r": try put(try input.length(4))
        case "P": try pushStorage(.string(try text(input.line())))
        case "Q": try pushStorage(try pop())
        case "c": stack.append(try global(module: text(input.line()), name: text(input.line())))
        case "R":
            let (function, arguments) = try popPair()
            stack.append(try call(function, arguments))
        case "b": try build(try pop())
        case "i":
            let type = try global(module: text(input.line()), name: text(input.line()))
            try instantiate(type, try popToMark())
        case "o":
            let values = try popToMark()
            guard let type = values.first else { throw damaged("its pickle makes an object of no class") }
            try instantiate(type, Array(values.dropFirst()))
        default: try executeLater(byte)
        }
    }

    /// Instructions since protocol 2.
    private mutating func executeLater(_ byte: UInt8) throws {
        switch byte {
        case 0x80: _ = try input.byte()  // PROTO
        case 0x81:  // NEWOBJ
            let (type, arguments) = try popPair()
            stack.append(try call(type, arguments))
        case 0x85...0x87: push(PickleNode(kind: .tuple, values: try pop(Int(byte) - 0x84)))  // TUPLE1 to TUPLE3
        case 0x88, 0x89: stack.append(.bool(byte == 0x88))
        case 0x8A: stack.append(Self.integer(try input.bytes(try input.length(1))))  // LONG1
        case 0x8B: stack.append(Self.integer(try input.bytes(try input.length(4))))  // LONG4
        case 0x8C: stack.append(.string(try text(input.bytes(try input.length(1)))))
        case 0x8D: stack.append(.string(try text(input.bytes(try input.length(8)))))
        case 0x8E, 0x96: try pushBytes(try input.length(8))  // BINBYTES8, BYTEARRAY8
        case 0x8F: push(PickleNode(kind: .set))
        case 0x90: try append(try popToMark())  // ADDITEMS
        case 0x91: push(PickleNode(kind: .set, values: try popToMark()))
        case 0x92:  // NEWOBJ_EX
            let values = try pop(3)
            stack.append(try call(values[0], values[1]))
        case 0x93:  // STACK_GLOBAL
            guard case (.string(let module), .string(let name)) = try popPair() else {
                throw damaged("its pickle asks for a class without a name")
            }
            stack.append(try global(module: module, name: name))
        case 0x94: try put(memo.count)  // MEMOIZE
        case 0x95: _ = try input.number(8)  // FRAME
        default: throw damaged("its pickle has the instruction \(byte), which is none that weights need")
        }
    }

    // MARK: Stack and memo

    private func top() throws -> PickleValue {
        guard let value = stack.last, stack.count > marks.last ?? 0 else {
            throw damaged("its pickle takes from an empty stack")
        }
        return value
    }

    private mutating func pop() throws -> PickleValue {
        let value = try top()
        stack.removeLast()
        return value
    }

    private mutating func pop(_ count: Int) throws -> [PickleValue] {
        guard stack.count - (marks.last ?? 0) >= count else { throw damaged("its pickle takes from an empty stack") }
        defer { stack.removeLast(count) }
        return Array(stack.suffix(count))
    }

    private mutating func popPair() throws -> (PickleValue, PickleValue) {
        let second = try pop()
        return (try pop(), second)
    }

    private mutating func popToMark() throws -> [PickleValue] {
        guard let mark = marks.popLast() else { throw damaged("its pickle has no mark where one is needed") }
        defer { stack.removeLast(stack.count - mark) }
        return Array(stack[mark...])
    }

    private func evenly(_ values: [PickleValue]) throws -> [PickleValue] {
        guard values.count.isMultiple(of: 2) else { throw damaged("its pickle has a key without a value") }
        return values
    }

    mutating func make(_ node: PickleNode) -> PickleValue {
        heap.nodes.append(node)
        return .node(heap.nodes.count - 1)
    }

    private mutating func push(_ node: PickleNode) { stack.append(make(node)) }

    private mutating func get(_ place: Int) throws {
        guard let value = memo[place] else { throw damaged("its pickle refers to nothing") }
        stack.append(value)
    }

    private mutating func put(_ place: Int) throws { memo[place] = try top() }

    // MARK: Filling containers

    private func topNode() throws -> Int {
        guard case .node(let index) = try top() else { throw damaged("its pickle fills what is no container") }
        return index
    }

    private mutating func append(_ values: [PickleValue]) throws {
        let index = try topNode()
        // An object that is filled (a deque) keeps what it is given as a dict does, in turn.
        guard [.list, .set].contains(heap.nodes[index].kind) else {
            throw damaged("its pickle appends to what is no list")
        }
        heap.nodes[index].values += values
    }

    private mutating func setItems(_ values: [PickleValue]) throws {
        let index = try topNode()
        switch heap.nodes[index].kind {
        case .dict, .record: heap.nodes[index].values += values
        case .list, .tuple, .set: throw damaged("its pickle sets a key of what is no dict")
        }
    }

    private mutating func build(_ state: PickleValue) throws {
        // What has no attributes that matter here (an OrderedDict, a tensor) ignores them.
        guard case .node(let index) = try top(), case .record = heap.nodes[index].kind else { return }
        heap.nodes[index].state = state
    }

    private mutating func instantiate(_ type: PickleValue, _ arguments: [PickleValue]) throws {
        stack.append(try call(type, make(PickleNode(kind: .tuple, values: arguments))))
    }

    // MARK: Numbers and texts

    func text(_ bytes: [UInt8]) throws -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw damaged("a text in its pickle is not UTF-8")
        }
        return text
    }

    private mutating func decimal() throws -> Int {
        guard let number = Int(try text(input.line())) else {
            throw damaged("its pickle has no number where one is needed")
        }
        return number
    }

    private mutating func pushNumber(_ code: Character) throws {
        switch code {
        case "K": stack.append(.int(Int(try input.number(1))))
        case "M": stack.append(.int(Int(try input.number(2))))
        case "J": stack.append(.int(Int(Int32(truncatingIfNeeded: try input.number(4)))))
        case "G": stack.append(.float(Double(bitPattern: try input.number(8).byteSwapped)))
        case "N": stack.append(.none)
        default: stack.append(try writtenNumber(code, text(input.line())))
        }
    }

    /// INT, LONG and FLOAT of protocol 0.
    private func writtenNumber(_ code: Character, _ text: String) throws -> PickleValue {
        if code == "F", let number = Double(text) { return .float(number) }
        if code == "I", text == "00" || text == "01" { return .bool(text == "01") }
        let digits = text.hasSuffix("L") ? String(text.dropLast()) : text
        guard code != "F", let number = Int(digits) else {
            throw damaged("its pickle has no number where one is needed")
        }
        return .int(number)
    }

    /// An integer of any length, little-endian in two's complement.
    private static func integer(_ bytes: [UInt8]) -> PickleValue {
        guard bytes.count <= 8 else { return .long(bytes) }
        let isNegative = bytes.last.map { $0 & 0x80 != 0 } ?? false
        let filled = bytes + [UInt8](repeating: isNegative ? 0xFF : 0, count: 8 - bytes.count)
        return .int(Int(truncatingIfNeeded: filled.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }))
    }

    private mutating func pushText(_ code: Character) throws {
        switch code {
        case "V": stack.append(.string(try text(input.line())))
        case "X": stack.append(.string(try text(input.bytes(try input.length(4)))))
        case "S": pushNative(try unquoted(input.line()))
        case "T": pushNative(try input.bytes(try input.length(4)))
        case "U": pushNative(try input.bytes(try input.length(1)))
        case "B": try pushBytes(try input.length(4))
        default: try pushBytes(try input.length(1))
        }
    }

    /// A string of Python 2: a text, or any bytes.
    private mutating func pushNative(_ bytes: [UInt8]) {
        stack.append(String(validating: bytes, as: UTF8.self).map { .string($0) } ?? .bytes(bytes))
    }

    private func unquoted(_ line: [UInt8]) throws -> [UInt8] {
        let quotes = [UInt8(ascii: "'"), UInt8(ascii: "\"")]
        guard line.count >= 2, let quote = line.first, quotes.contains(quote), line.last == quote,
            !line.contains(UInt8(ascii: "\\"))
        else { throw damaged("a text in its pickle makes no sense") }
        return Array(line.dropFirst().dropLast())
    }

    private mutating func pushBytes(_ count: Int) throws {
        guard let start = input.start else { return stack.append(.bytes(try input.bytes(count))) }
        let place = start + input.position
        try input.skip(count)
        stack.append(.span(place..<place + count))
    }

    // MARK: Storages

    private mutating func pushStorage(_ identifier: PickleValue) throws {
        let parts = heap.items(identifier) ?? []
        if parts.first == .string("module"), parts.count >= 2 {  // a class with its source, which is left where it is
            return stack.append(parts[1])
        }
        guard parts.count >= 5, parts[0] == .string("storage"), case .global(let name) = parts[1],
            let type = PickleClasses.storageType(name), case .string(let key) = parts[2],
            case .int(let count) = parts[4], count >= 0
        else { throw damaged("its pickle describes a storage that makes no sense") }
        var part = 0..<count
        if parts.count > 5, parts[5] != .none {  // a view, as versions before 0.4 wrote it
            guard let view = heap.items(parts[5]), view.count == 3, case .int(let start) = view[1],
                case .int(let length) = view[2], start >= 0, length >= 0, start <= count, length <= count - start
            else { throw damaged("its pickle describes a part of a storage that makes no sense") }
            part = start..<start + length
        }
        stack.append(makeStorage(PickledStorage(place: .key(key), type: type, count: count, part: part)))
    }

    mutating func makeStorage(_ storage: PickledStorage) -> PickleValue {
        heap.storages.append(storage)
        return .storage(heap.storages.count - 1)
    }
}
