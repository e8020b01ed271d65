import BEiTTensorCore

/// A file that `torch.save` wrote before there were archives (1.5 and earlier): a magic number, a version, facts about the
/// machine, the object, the names of its storages, each a pickle; then the storages, each its length and its values,
/// little-endian whatever the machine.
/// Or a bare pickle, which is the object and nothing else.
///
/// Source: `_legacy_save` and `_legacy_load` in `torch/serialization.py`.
struct TorchStream {
    let value: PickleValue
    let heap: PickleHeap
    /// Where the values of each storage begin, in bytes of the file.
    private(set) var places: [String: Int] = [:]
    let isBare: Bool

    /// 0x1950a86a20f9469cfc6c
    private static let magic: [UInt8] = [0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19]

    /// - Parameter isNested: whether the stream lies within a pickle.
    init(_ input: PickleInput, isNested: Bool = false) throws {
        var machine = PickleMachine(input, isNested: isNested)
        let first = try machine.run()
        isBare = first != .long(Self.magic)
        if isBare {
            (value, heap) = (first, machine.heap)
            return
        }
        guard try machine.run() == .int(1001) else {
            throw machine.damaged("it is of a version of PyTorch's format that is not known")
        }
        _ = try machine.run()
        value = try machine.run()
        let keys = try machine.run()
        heap = machine.heap
        guard let keys = heap.items(keys) else { throw machine.damaged("it does not name its storages") }
        try findStorages(keys, &machine)
    }

    private mutating func findStorages(_ keys: [PickleValue], _ machine: inout PickleMachine) throws {
        let sizes = Dictionary(
            heap.storages.compactMap { storage in
                if case .key(let key) = storage.place { (key, storage) } else { nil }
            }, uniquingKeysWith: { first, _ in first })
        for key in keys {
            guard case .string(let key) = key, let storage = sizes[key], let size = storage.type.byteCount,
                let start = machine.input.start
            else { throw machine.damaged("it has a storage that nothing asks for") }
            let number = try machine.input.number(8)
            guard number == storage.count else {
                throw machine.damaged("storage \(key.brief) has \(number) elements instead of \(storage.count)")
            }
            places[key] = start + machine.input.position
            let (bytes, overflow) = storage.count.multipliedReportingOverflow(by: size)
            guard !overflow, bytes <= machine.input.count - machine.input.position else {
                throw WeightFileError.incomplete(
                    file: machine.file, reason: "it ends within storage \(key.brief), at byte \(machine.input.count)")
            }
            try machine.input.skip(bytes)
        }
    }
}
