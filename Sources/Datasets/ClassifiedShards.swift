import BEiTFiles
import Foundation

/// Shards whose photos have a class each, in `NAME.cls` or `NAME.json` beside `NAME.jpg`.
///
/// A number is that of a line of `classes.txt` beside the shards, from 0; without such a list numbers and names are the
/// names of the classes.
struct ClassifiedShards: Sendable {
    private let samples: [(split: DatasetSplit, samples: ShardSamples)]
    /// Nil without a list.
    let classes: [String]?
    private let known: Set<String>
    private let path: String

    /// Nil for a path that stands for something else: folders of classes among them. Throws ``DatasetError``,
    /// `ArchiveError` and `FileError`.
    init?(_ path: String) throws {
        guard let shards = try Shards(path) else { return nil }
        let root = FoundPhoto.root(path, .train)
        if let root, try FileSystem.names(in: root).contains(where: { FileSystem.isFolder(root.joined($0)) }) {
            return nil
        }
        self.path = path
        samples = try shards.open().map { (Shards.split(of: $0.path) ?? .train, ShardSamples($0)) }
        let list = shards.folder.joined(Shards.classList)
        classes = try FileSystem.exists(list) ? ClassList.read(list).map(\.name) : nil
        known = Set(classes ?? [])
    }

    /// The photos of a split with their classes; none where `val` is missing beside `train`.
    ///
    /// - Parameter warnings: receives what is left out.
    /// - Throws: ``DatasetError`` for a label that is none, where no photo has one, and for another split that is missing.
    func photos(_ split: DatasetSplit, _ warnings: inout [String]) throws -> [FoundPhoto] {
        let shards = samples.filter { $0.split == split }.map(\.samples)
        guard !shards.isEmpty || split == .val else {
            throw DatasetError(.invalid, path: path, reason: "no shard belongs to \(split.rawValue) by its name")
        }
        warnings += ShardNotes(shards).lines + shards.compactMap { $0.cut.map { "left out: \($0)" } }
        var (photos, without): ([FoundPhoto], [String]) = ([], [])
        for shard in shards {
            for (index, sample) in shard.samples.enumerated() {
                if let name = try label(sample, shard) {
                    photos.append(FoundPhoto(path: shard.path(index), className: name))
                } else {
                    without.append(shard.path(index))
                }
            }
        }
        if let first = without.first {
            let text =
                "\(without.count.counted("photo")) without a class (.cls or .json) left out, the first is \(first.shown)"
            guard !photos.isEmpty else { throw DatasetError(.invalid, path: path, reason: text) }
            warnings.append(text)
        }
        return photos
    }

    private func label(_ sample: ShardSample, _ shard: ShardSamples) throws -> String? {
        if let member = sample.label {
            let text = String(decoding: try shard.archive.contents(member, atMost: 4096), as: UTF8.self)
            return try name(text.trimmingCharacters(in: .whitespacesAndNewlines), shard.path(ofMember: member))
        }
        guard let member = sample.description else { return nil }
        let path = shard.path(ofMember: member)
        let bytes = try shard.archive.contents(member, atMost: 1 << 24)
        guard let object = try? JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any] else {
            throw DatasetError(.invalid, path: path, reason: "it is no JSON object; pack the sample again")
        }
        for key in ["label", "class", "cls"] {
            if let text = object[key] as? String { return try name(text, path) }
            if let number = object[key] as? NSNumber { return try name(number.stringValue, path) }
        }
        return nil
    }

    private func name(_ text: String, _ path: String) throws(DatasetError) -> String {
        guard let classes else {
            if text.isEmpty {
                throw DatasetError(.invalid, path: path, reason: "it names no class; pack the sample again")
            }
            return text
        }
        if let number = Int(text), classes.indices.contains(number) { return classes[number] }
        guard known.contains(text) else {
            throw DatasetError(
                .invalid, path: path,
                reason:
                    "its class \(text.shown) is none of the \(classes.count) in \(Shards.classList) beside the shards, "
                    + "whose lines are counted from 0", .classes)
        }
        return text
    }
}
