import BEiTFiles
import BEiTImageIO

/// A photo of a shard, and what is known of it, by the numbers of the members.
struct ShardSample {
    /// The photo, its mask, its label, its description; -1 for none. There may be millions.
    private let members: SIMD4<Int32>

    init(photo: Int, mask: Int?, label: Int?, description: Int?) {
        members = SIMD4(Int32(photo), Int32(mask ?? -1), Int32(label ?? -1), Int32(description ?? -1))
    }

    var photo: Int { Int(members[0]) }
    /// An image of exact values beside the photo: `.seg.png`, or `.png` beside `.jpg`.
    var mask: Int? { member(1) }
    /// `.cls`
    var label: Int? { member(2) }
    /// `.json`
    var description: Int? { member(3) }

    private func member(_ place: Int) -> Int? { members[place] < 0 ? nil : Int(members[place]) }
}

/// The photos of a shard.
package struct ShardSamples: Sendable {
    package let archive: TarArchive
    /// In the order of the archive.
    let samples: [ShardSample]
    /// Images of samples beside the photo and the mask.
    fileprivate let spare: (count: Int, first: String)

    package init(_ archive: TarArchive) {
        self.archive = archive
        var (samples, spare): ([ShardSample], (count: Int, first: String)) = ([], (0, ""))
        archive.index.forEachSample { members in
            let images = members.filter { ImageCodec.endings.contains($0.ending.lastEnding) }
            let plain = images.filter { !$0.ending.isOfMask }
            let exact = { (ending: String) in ImageCodec.exactEndings.contains(ending.lastEnding) }
            // Of a JPEG and a PNG the latter is the mask.
            guard let photo = plain.first(where: { !exact($0.ending) }) ?? plain.first else { return }
            let mask =
                images.first { $0.ending.isOfMask && exact($0.ending) }
                ?? plain.first { $0.member != photo.member && exact($0.ending) }
            samples.append(
                ShardSample(
                    photo: photo.member, mask: mask?.member,
                    label: members.first { $0.ending == "cls" }?.member,
                    description: members.first { $0.ending == "json" }?.member))
            if let other = images.first(where: { $0.member != photo.member && $0.member != mask?.member }) {
                spare = (spare.count + 1, spare.count == 0 ? archive.index.name(other.member) : spare.first)
            }
        }
        self.samples = samples.sorted { $0.photo < $1.photo }
        self.spare = spare
    }

    package var count: Int { samples.count }
    /// What results of a photo are named after.
    package func key(_ sample: Int) -> String { name(sample).sampleKey }
    /// The photo's name in the shard.
    package func name(_ sample: Int) -> String { archive.index.name(samples[sample].photo) }
    /// By which the photo is opened.
    package func path(_ sample: Int) -> String { path(ofMember: samples[sample].photo) }

    func path(ofMember member: Int) -> String { archive.path + ":" + archive.index.name(member) }

    /// The photo that the archive ends within, if it does so.
    package var cut: ImageError? {
        archive.index.cut.map { name in
            ImageError(
                path: name.isEmpty ? archive.path : archive.path + ":" + name,
                .unreachable("the archive ends within it; copy the archive again, or leave it out"))
        }
    }
}

/// What was left out of shards and found odd in them, counted.
package struct ShardNotes: Sendable {
    private struct Tally {
        var count = 0
        var first = ""

        mutating func add(_ count: Int, _ first: @autoclosure () -> String) {
            if count > 0, self.count == 0 { self.first = first() }
            self.count += count
        }
    }
    private var others = Tally(), spare = Tally(), empty = Tally(), unkept = Tally()

    package init(_ shards: some Sequence<ShardSamples> = []) { for shard in shards { add(shard) } }

    mutating func add(_ shard: ShardSamples) {
        let archive = shard.archive
        others.add(archive.index.others, archive.path)
        spare.add(shard.spare.count, archive.path + ":" + shard.spare.first)
        empty.add(shard.count == 0 ? 1 : 0, archive.path)
        unkept.add(archive.obstacle == nil ? 0 : 1, archive.obstacle ?? "")
    }

    /// For people.
    package var lines: [String] {
        [
            (others, "links and other things that are no files in shards left out: \(others.count), the first"),
            (spare, "samples with more images than a photo and a mask, which are left out: \(spare.count), the first"),
            (empty, "shards without a photo: \(empty.count), the first"),
            (unkept, "shards whose index is not kept, and will be made again: \(unkept.count), the first as"),
        ].filter { $0.0.count > 0 }.map { "\($1) \($0.first.shown)" }
    }
}

extension String {
    /// Up to the first dot of the last name.
    fileprivate var sampleKey: String {
        let name = utf8
        let last = name.lastIndex(of: UInt8(ascii: "/")).map { name.index(after: $0) } ?? name.startIndex
        return String(Substring(name[..<(name[last...].firstIndex(of: UInt8(ascii: ".")) ?? name.endIndex)]))
    }

    /// Of what follows a key's dot: `png` of `seg.png`.
    fileprivate var lastEnding: String { split(separator: ".").last.map(String.init) ?? self }
    fileprivate var isOfMask: Bool { hasPrefix("seg.") }
}
