import BEiTFiles
import BEiTImageIO
import BEiTTensorCore
import Foundation

/// A photo on its way into a shard, with what is known of it.
package struct ShardItem: Sendable {
    package var photo: String
    /// Below the set's folder; its key is made of it.
    var name: String
    /// The pair of photo and mask.
    var pair: LabelledImage?
    /// The number of its class.
    var label: Int?
}

/// Photos that go into shards of one name.
package struct ShardPart: Sendable {
    /// The split, or `shard`.
    package var name: String
    package var items: [ShardItem]
    /// What was left out, for people.
    package var notes: [String] = []
}

/// How many samples a shard holds: whichever of the two comes first.
package struct ShardSize: Sendable {
    package var samples = 10_000
    package var bytes = 1 << 30

    package init() {}
}

/// Writes photos with their masks or classes as tar shards, the files as they are, and last `classes.txt`.
///
/// The samples of a part are shuffled over its shards, so that each is a sample of the whole. A shard appears under its name
/// when it is whole; the same photos, seed and sizes give the same bytes.
package struct ShardWriter: Sendable {
    /// What was written of a part.
    package struct Written: Codable, Sendable {
        package var name: String
        package var samples = 0
        package var shards = 0
        package var bytes = 0
    }

    private let folder: String
    private let parts: [ShardPart]
    private let keys: [[String]]
    private let classes: String?
    private let size: ShardSize
    private let dataset: SegmentationDataset?
    /// Whether masks are drawn anew, as their values are no indices of the classes.
    private let drawsMasks: Bool
    private let reading: ImageReading

    /// Sees whether all can be written, before anything is.
    ///
    /// - Parameters:
    ///   - seed: of the shuffle; nil to keep the order.
    ///   - sources: folders that are read.
    /// - Throws: `FileError` of status 64 where the folder holds shards already, or something that is read would be written
    ///   to; ``DatasetError`` for classes whose names no list can have.
    package init(
        _ set: ShardSource, to folder: String, size: ShardSize, seed: UInt64?, sources: [String]
    ) throws {
        (self.folder, self.size, dataset, drawsMasks) = (folder, size, set.dataset, set.drawsMasks)
        reading = set.reading
        let list = folder / Shards.classList
        classes = try set.classes.map { try ClassList.text($0, path: list) }
        parts = set.parts.enumerated().map { place, part in
            guard let seed else { return part }
            var (part, generator) = (part, RandomStream.order.generator(seed: seed, place))
            part.items = generator.permutation(part.items.count).map { [items = part.items] in items[$0] }
            return part
        }
        keys = parts.map { Self.keys($0.items.map(\.name)) }
        if let shards = try FileSystem.exists(folder) ? Shards(folder) : nil {
            throw FileError(
                .notAFile, path: folder,
                reason:
                    "it holds shards already, such as \(shards.paths[0].lastName.shown); remove them, or choose another folder"
            )
        }
        var check = OutputCheck(reads: sources + parts.flatMap(\.items).lazy.map(\.photo).files)
        try check.check(writeInto: folder)
        for part in parts where !part.items.isEmpty { try check.check(write: path(part, 0)) }
        if classes != nil { try check.check(write: list) }
    }

    package var count: Int { parts.reduce(0) { $0 + $1.items.count } }

    private func path(_ part: ShardPart, _ number: Int) -> String {
        folder / String(format: "%@-%06d.tar", part.name, number)
    }

    /// Writes all shards.
    ///
    /// - Parameter failed: hears of each photo that is damaged, or whose mask is: it is left out.
    /// - Throws: `FileError` where writing fails, `Interruption.Stop`.
    package func run(
        threads: Int, progress: (_ done: Int) -> Void, failed: (_ photo: String, any Error) -> Void
    ) throws -> [Written] {
        var (result, before) = ([Written](), 0)
        for (place, part) in parts.enumerated() {
            result.append(try write(part, keys[place], threads, { progress(before + $0) }, failed))
            before += part.items.count
        }
        if let classes { try AtomicFile.write(classes, to: folder / Shards.classList) }
        return result
    }

    private typealias Members = [(name: String, bytes: [UInt8])]

    private func write(
        _ part: ShardPart, _ keys: [String], _ threads: Int, _ progress: (Int) -> Void,
        _ failed: (String, any Error) -> Void
    ) throws -> Written {
        var written = Written(name: part.name)
        var (shard, samples): (TarWriter?, Int) = (nil, 0)
        func finish() throws {
            guard let open = shard else { return }
            try open.finish()
            written.bytes += open.size
            (shard, samples) = (nil, 0)
        }
        let cost = { @Sendable [reading] in 2 * decodedBytes(part.items[$0].photo, page: reading.page) }
        let loop = ImageLoop(
            part.items.count, threads: threads, cost: cost,
            size: { (members: Members) in members.reduce(0) { $0 + $1.bytes.count } }
        ) { [self] in try members(part.items[$0], key: keys[$0]) }
        try loop.run(progress: progress, failed: { failed(part.items[$0].photo, $1) }) { _, members in
            let bytes = members.reduce(0) { $0 + $1.bytes.count }
            if samples == size.samples || (samples > 0 && (shard?.size ?? 0) + bytes > size.bytes) { try finish() }
            if shard == nil {
                shard = try TarWriter(path(part, written.shards))
                written.shards += 1
            }
            for member in members { try shard?.add(member.name, member.bytes) }
            (samples, written.samples) = (samples + 1, written.samples + 1)
        }
        try finish()
        return written
    }

    /// Larger files are no photos of a shard.
    private static let mostBytes = 1 << 33

    /// A sample's files, once all of them can be decoded.
    private func members(_ item: ShardItem, key: String) throws -> Members {
        _ = try decodeImage(item.photo, as: reading, shrinkingTo: 1)
        var members = [
            (key + "." + item.photo.ending.lowercased(), try FileSystem.read(item.photo, atMost: Self.mostBytes))
        ]
        if let pair = item.pair, let dataset {
            var mask = try dataset.loadMaskAlone(pair)
            if drawsMasks {
                dataset.prepareForWriting(&mask)
                members.append((key + ".seg.png", try encodePNG(mask, compression: 6)))
            } else {
                members.append(
                    (
                        key + ".seg." + pair.mask.ending.lowercased(),
                        try FileSystem.read(pair.mask, atMost: Self.mostBytes)
                    ))
            }
        }
        if let label = item.label { members.append((key + ".cls", Array(String(label).utf8))) }
        return members
    }

    /// Names without endings. WebDataset's keys end at the first dot: dots become `_`. Where two photos have one key, that
    /// of the later one has its ending, or a number.
    static func keys(_ names: [String]) -> [String] {
        var taken: Set<String> = []
        return names.map { name in
            let folder = name.parent == "." ? "" : name.parent
            let last = { (name: String) in
                folder.joined(name.split(separator: ".", omittingEmptySubsequences: false).joined(separator: "_"))
            }
            let candidates = [last(name.lastName.stem), last(name.lastName)]
            let free = candidates.first { !taken.contains($0) }
            let key =
                free ?? (2...).lazy.map { "\(candidates[1])_\($0)" }.first { !taken.contains($0) } ?? candidates[1]
            taken.insert(key)
            return key
        }
    }
}
