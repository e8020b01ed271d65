import BEiTFiles

/// The archive in which `torch.save` puts a pickle and its storages: `NAME/data.pkl`, `NAME/data/0`, …
struct TorchArchive {
    private let archive: ZipArchive
    private let pickleEntry: ZipArchive.Entry
    private let folder: String
    let isBigEndian: Bool

    private static let pickleName = "data.pkl"

    /// Throws ``WeightFileError``, also for an archive of another kind.
    init(_ file: OpenFile) throws {
        archive = try ZipArchive(file)
        let names = archive.entries.map(\.name)
        let isScript = names.contains { $0.hasSuffix("/constants.pkl") || $0.contains("/code/") }
        guard !isScript, let entry = archive.entries.first(where: { $0.name.hasSuffix("/" + Self.pickleName) }) else {
            throw Self.foreign(file, names, isScript: isScript)
        }
        pickleEntry = entry
        folder = String(entry.name.dropLast(Self.pickleName.count))
        guard let order = archive.entry(folder + "byteorder") else {
            isBigEndian = false
            return
        }
        var input = PickleInput(file, try ZipStream(archive, order), count: order.size)
        let word = order.size <= 16 ? String(decoding: try input.bytes(order.size), as: UTF8.self) : ""
        guard ["little", "big"].contains(word) else {
            throw WeightFileError.damaged(file: file.path, reason: "it does not say how its numbers are stored")
        }
        isBigEndian = word == "big"
    }

    private static func foreign(_ file: OpenFile, _ names: [String], isScript: Bool) -> WeightFileError {
        let (what, remedy) =
            if isScript {
                ("a TorchScript program", "save its weights: torch.save(torch.jit.load(FILE).state_dict(), …)")
            } else if names.contains(where: { $0.hasSuffix(".npy") }) {
                ("an archive of NumPy arrays (.npz)", "save its tensors as safetensors or HDF5")
            } else if names.contains("model.weights.h5") {
                ("a model of Keras 3 (.keras)", "save its weights: model.save_weights(\"model.weights.h5\")")
            } else {
                ("a zip archive without PyTorch's data.pkl", "unpack it and give the file of weights in it")
            }
        return .notWeights(file: file.path, what: what, remedy: remedy)
    }

    /// Pickles past the size of the file and this are refused.
    private static let room = 16 << 20

    func pickle() throws -> PickleInput {
        let entry = pickleEntry, file = archive.file
        guard entry.size <= file.size + Self.room else {
            throw archive.damaged(entry, "it declares \(entry.size) bytes")
        }
        return PickleInput(file, try ZipStream(archive, entry), count: entry.size)
    }

    /// The way to the bytes of a storage.
    func storage(_ key: String, byteCount: Int?) throws(TorchSource.Refusal) -> TorchSource.OpenStream {
        guard let entry = archive.entry(folder + "data/" + key) else {
            throw TorchSource.Refusal(reason: "its storage data/\(key.brief) is not in the archive")
        }
        guard entry.size == byteCount else {
            throw TorchSource.Refusal(
                reason: "its storage has \(entry.size) bytes instead of \(byteCount.map(String.init) ?? "very many")")
        }
        guard entry.size <= 2 * archive.file.size + Self.room else {
            throw TorchSource.Refusal(reason: "its storage would inflate to \(entry.size) bytes")
        }
        return { [archive] in try ZipStream(archive, entry) }
    }
}
