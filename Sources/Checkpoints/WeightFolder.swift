import BEiTFiles

/// A folder as Hugging Face or timm publish it: which of its files holds the weights.
enum WeightFolder {
    /// The names that are taken first, in this order.
    private static let usual = [
        "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json",
    ]
    private static let endings = [".safetensors", ".pth", ".pt", ".bin", ".pkl", ".h5", ".hdf5"]

    /// Throws ``ImportError/noWeights(folder:names:)`` and ``ImportError/severalWeights(folder:names:)``.
    static func weights(in folder: String) throws -> String {
        let names = try FileSystem.names(in: folder)
        if let name = usual.first(where: names.contains) { return folder.joined(name) }
        let likely = names.filter { name in endings.contains { name.lowercased().hasSuffix($0) } }
        guard let name = likely.first else { throw ImportError.noWeights(folder: folder, names: names) }
        guard likely.count == 1 else { throw ImportError.severalWeights(folder: folder, names: likely) }
        return folder.joined(name)
    }
}
