import BEiTFiles

/// A model in parts: `model.safetensors.index.json` or `pytorch_model.bin.index.json`, and the files beside it that it
/// names, one for each tensor.
///
/// Source: `_load_state_dict` and `get_checkpoint_shard_files` of Hugging Face's transformers.
package struct ShardedSource: TensorSource {
    package let files: [String]
    package let format: String
    package let tensors: [StoredTensor]
    package let refusals: [String: String]
    package let metadata: SourceMetadata
    package let notes: [String]

    /// Larger ones are no index.
    private static let longestIndex = 64 << 20
    private static let mostParts = 1000

    init(_ index: OpenFile) throws {
        let places = try Self.weightMap(index)
        let names = Set(places.values).sorted()
        guard names.count <= Self.mostParts else {
            throw WeightFileError.damaged(file: index.path, reason: "it names \(names.count) files")
        }
        let parts = try names.map { ($0, try Self.part($0, beside: index.path)) }
        files = [index.path] + parts.flatMap { $0.1.files }
        format = "\(parts.first?.1.format ?? "nothing") in \(parts.count) parts"
        tensors = parts.flatMap { name, part in part.tensors.filter { places[$0.name] == name } }
        refusals = parts.reduce(into: [:]) { all, part in
            for (name, reason) in part.1.refusals where places[name] == part.0 { all[name] = reason }
        }
        metadata = parts.first?.1.metadata ?? SourceMetadata()
        notes = parts.flatMap { $0.1.notes }
        let found = Set(tensors.map(\.name)).union(refusals.keys)
        if let (name, part) = places.filter({ !found.contains($0.key) }).min(by: { $0.key < $1.key }) {
            throw WeightFileError.damaged(
                file: index.path, reason: "\(name.brief) is not in \(part.brief), which it names")
        }
    }

    /// The file of each tensor.
    private static func weightMap(_ index: OpenFile) throws -> [String: String] {
        let foreign = WeightFileError.notWeights(
            file: index.path, what: "JSON without a weight_map, not weights",
            remedy: "give the file that holds the weights")
        guard index.size <= longestIndex else { throw foreign }
        var scanner = JSONScanner(try index.bytes(at: 0, count: index.size))
        var map: [String: String] = [:]
        do {
            try scanner.object { scanner, key in
                guard key == "weight_map" else { return try scanner.skip() }
                try scanner.object { scanner, name in
                    guard map.updateValue(try scanner.string(), forKey: name) == nil else {
                        throw JSONScanner.Problem("\(name.brief) is there twice")
                    }
                }
            }
            try scanner.end()
        } catch let problem as JSONScanner.Problem {
            throw WeightFileError.damaged(file: index.path, reason: "its JSON makes no sense: \(problem.reason)")
        }
        guard !map.isEmpty else { throw foreign }
        return map
    }

    private static func part(_ name: String, beside index: String) throws -> any TensorSource {
        guard !name.utf8.contains(UInt8(ascii: "/")), !name.utf8.contains(0), !["", ".", ".."].contains(name) else {
            throw WeightFileError.damaged(
                file: index, reason: "it names the file \(name.brief), which would not lie beside it")
        }
        let path = index.parent == "." && !index.hasPrefix("./") ? name : index.parent.joined(name)
        guard FileSystem.exists(path) else {
            throw WeightFileError.incomplete(
                file: index, reason: "the part \(name.brief) that it names is not beside it")
        }
        let file = try OpenFile(path)
        return try TensorFile.open(file, FileKind(file))
    }
}
