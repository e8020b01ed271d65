import BEiTFiles
import BEiTImageIO

/// Shards whose photos have masks: a data set for segmentation.
struct LabelledShards: Sendable {
    private let shards: Shards
    private let samples: [(split: DatasetSplit, samples: ShardSamples)]
    /// The classes of `classes.txt` beside the shards.
    let classes: [LabelClass]

    /// Throws ``DatasetError``, `ArchiveError` and `FileError`.
    init(_ shards: Shards) throws {
        self.shards = shards
        // Without a word of splits all is to be learned from.
        samples = try shards.open().map { (Shards.split(of: $0.path) ?? .train, ShardSamples($0)) }
        let list = shards.folder / Shards.classList
        guard FileSystem.exists(list) else {
            throw DatasetError(
                .missing, path: list,
                reason: "there is no list of the classes beside the shards; write one, a line `name R G B` for each "
                    + "value of the masks from 0", .classes)
        }
        classes = try ClassList.read(list)
    }

    func has(_ split: DatasetSplit) -> Bool { samples.contains { $0.split == split } }

    /// None where all photos belong together.
    var splits: [String] {
        shards.paths.contains { Shards.split(of: $0) != nil } ? Set(samples.map(\.split.rawValue)).sorted() : []
    }

    /// The photos with their masks; nil where there is no such split. Throws ``DatasetError`` where none has a mask.
    func files(_ split: DatasetSplit, source: Int) throws -> PairedFiles? {
        let samples = samples.filter { $0.split == split }.map(\.samples)
        guard let first = samples.first else { return nil }
        var result = PairedFiles()
        for shard in samples {
            for (index, sample) in shard.samples.enumerated() {
                guard let mask = sample.mask else {
                    result.incomplete.append(shard.path(index))
                    continue
                }
                result.pairs.append(
                    LabelledImage(image: shard.path(index), mask: shard.path(ofMember: mask), source: source))
            }
        }
        result.notes = (ShardNotes(samples).lines + samples.compactMap { $0.cut.map { "left out: \($0)" } }).map {
            LabelNote($0, isWarning: true)
        }
        if result.pairs.isEmpty {
            throw DatasetError(
                .invalid, path: first.archive.path,
                reason: "no photo has a mask (a member NAME.seg.png, or NAME.png beside NAME.jpg)")
        }
        return result
    }
}
