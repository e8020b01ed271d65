import BEiTFiles
import BEiTTensorCore

/// The weights in a file of PyTorch: an archive (since 1.6), a stream of pickles (before), or a bare pickle; a state dict,
/// something that contains one, or a whole module. It is read as data: nothing that it says is executed.
///
/// Source: `torch/serialization.py` of PyTorch.
package struct TorchSource: TensorSource {
    package let files: [String]
    package let format: String
    package private(set) var tensors: [StoredTensor] = []
    package private(set) var refusals: [String: String] = [:]
    package let metadata: SourceMetadata
    package let notes: [String]

    /// Throws ``WeightFileError`` or `FileError`.
    init(archive file: OpenFile) throws {
        let archive = try TorchArchive(file)
        var machine = PickleMachine(try archive.pickle())
        let value = try machine.run()
        try machine.input.finish()
        try self.init(file, value, machine.heap, form: "zip", isBigEndian: archive.isBigEndian) {
            storage throws(Refusal) in
            switch storage.place {
            case .key(let key): try archive.storage(key, byteCount: storage.byteCount)
            case .file: throw Refusal(reason: "its storage is not in the archive")
            }
        }
    }

    /// Throws ``WeightFileError`` or `FileError`.
    init(stream file: OpenFile) throws {
        let stream = try TorchStream(PickleInput(file, 0..<file.size))
        try self.init(
            file, stream.value, stream.heap, form: stream.isBare ? "pickle" : "legacy", isBigEndian: false
        ) { storage throws(Refusal) in
            let place: Int? =
                switch storage.place {
                case .key(let key): stream.places[key]
                case .file(let place): place
                }
            guard let place else { throw Refusal(reason: "its storage is not in the file") }
            return { FileStream(file, at: place) }
        }
    }

    /// Why a tensor cannot be read, in half a line.
    struct Refusal: Error {
        let reason: String
    }

    typealias OpenStream = @Sendable () throws -> any ByteStream

    private init(
        _ file: OpenFile, _ value: PickleValue, _ heap: PickleHeap, form: String, isBigEndian: Bool,
        open: (PickledStorage) throws(Refusal) -> OpenStream
    ) throws {
        let weights: StateDict
        do throws(StateDict.Absence) { weights = try StateDict(value, heap) } catch {
            throw WeightFileError.noWeights(file: file.path, reason: error.reason)
        }
        files = [file.path]
        format = weights.isModule ? "a pickled module" : "PyTorch (\(form))"
        metadata = SourceMetadata(value, heap, file)
        notes = weights.notes
        var names: Set<String> = []
        for (name, index) in weights.tensors {
            guard names.insert(name).inserted else {
                throw WeightFileError.damaged(file: file.path, reason: "\(name.brief) is there twice")
            }
            do throws(Refusal) {
                tensors.append(
                    try Self.tensor(name, heap.tensors[index], heap, file, isBigEndian: isBigEndian, open: open))
            } catch {
                refusals[name] = error.reason
            }
        }
    }

    private static func tensor(
        _ name: String, _ tensor: PickledTensor, _ heap: PickleHeap, _ file: OpenFile, isBigEndian: Bool,
        open: (PickledStorage) throws(Refusal) -> OpenStream
    ) throws(Refusal) -> StoredTensor {
        let storage = heap.storages[tensor.storage]
        let type = tensor.type ?? storage.type
        guard let size = type.byteCount, let unit = storage.type.byteCount else {
            throw Refusal(reason: "its type \(type) is not known")
        }
        guard storage.byteCount != nil else { throw Refusal(reason: "its storage has more bytes than can be counted") }
        let layout: TensorLayout
        do throws(TensorLayout.Problem) {
            layout = try TensorLayout(
                shape: tensor.shape, strides: tensor.strides, offset: tensor.offset,
                storage: storage.part.count * unit / size)
        } catch { throw Refusal(reason: error.reason) }
        let stream = try open(storage)
        let start = storage.part.lowerBound * unit
        return StoredTensor(name: name, shape: tensor.shape, elementType: type) { values in
            guard let decoder = ElementDecoder(type, isBigEndian: isBigEndian) else {
                throw WeightFileError.wrongType(file: file.path, tensor: name, found: type)
            }
            var stream = try stream()
            try stream.skip(start)
            try stream.read(layout, decoder, into: values)
        }
    }
}

extension PickledStorage {
    /// Nil where it is more than can be counted.
    var byteCount: Int? {
        let (bytes, overflow) = count.multipliedReportingOverflow(by: type.byteCount ?? 1)
        return overflow ? nil : bytes
    }
}

extension SourceMetadata {
    /// mmsegmentation's `meta`: `CLASSES` and `PALETTE` (0.x), or both below `dataset_meta` (1.x).
    fileprivate init(_ top: PickleValue, _ heap: PickleHeap, _ file: OpenFile) {
        self.init()
        guard let meta = heap.member("meta", of: top) else { return }
        let inner = heap.member("dataset_meta", of: meta) ?? meta
        func entry(_ name: String) -> PickleValue? {
            heap.member(name, of: inner) ?? heap.member(name.uppercased(), of: inner)
        }
        if let names = entry("classes").flatMap({ heap.items($0) }) {
            let texts = names.compactMap { if case .string(let name) = $0 { name } else { nil } }
            if texts.count == names.count, !texts.isEmpty { classNames = texts }
        }
        if let colors = entry("palette").flatMap({ Self.rows($0, heap, file) }),
            !colors.isEmpty, colors.allSatisfy({ $0.count == 3 && $0.allSatisfy { (0...255).contains($0) } })
        {
            palette = colors
        }
    }

    /// Lists of numbers, or an array with two sides.
    private static func rows(_ value: PickleValue, _ heap: PickleHeap, _ file: OpenFile) -> [[Int]]? {
        if let array = PickledArray(value, in: heap, of: file), array.shape.count == 2 {
            let numbers = array.values.compactMap { Int(exactly: $0) }
            guard numbers.count == array.values.count else { return nil }
            return (0..<array.shape[0]).map { Array(numbers[$0 * array.shape[1]..<($0 + 1) * array.shape[1]]) }
        }
        guard let items = heap.items(value) else { return nil }
        let rows = items.compactMap { heap.integers($0) }
        return rows.count == items.count ? rows : nil
    }
}
