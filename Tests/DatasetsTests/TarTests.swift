import BEiTImageIO
import BEiTMutants
import Foundation
import Testing

@testable import BEiTDatasets
@testable import BEiTFiles

/// Tar archives as Python's tarfile and webdataset write them, their indexes, and what is damaged.
@Suite struct TarTests {
    struct Member: Decodable {
        var name, sha256: String
        var offset, size: Int
    }

    struct Sample: Decodable {
        var key, cls: String
        var endings: [String]
    }

    struct Expected: Decodable {
        var archives: [String: [Member]] = [:]
        var samples: [Sample] = []

        init(from decoder: any Decoder) throws {
            struct Name: CodingKey {
                var stringValue: String
                var intValue: Int? { nil }
                init(stringValue: String) { self.stringValue = stringValue }
                init?(intValue: Int) { nil }
            }
            let values = try decoder.container(keyedBy: Name.self)
            for key in values.allKeys {
                if key.stringValue == "samples" {
                    samples = try values.decode([Sample].self, forKey: key)
                } else {
                    archives[key.stringValue] = try values.decode([Member].self, forKey: key)
                }
            }
        }
    }

    static let fixtures = Bundle.module.resourceURL?.appendingPathComponent("Fixtures/shards")

    static func expected() throws -> Expected {
        let url = try #require(fixtures).appendingPathComponent("members.json")
        return try JSONDecoder().decode(Expected.self, from: Data(contentsOf: url))
    }

    /// A copy of an archive, beside which an index may be.
    static func copy(_ name: String, into set: GeneratedSet) throws -> String {
        let from = try #require(fixtures).appendingPathComponent(name).path, to = set.path + "/" + name
        try FileManager.default.copyItem(atPath: from, toPath: to)
        return to
    }

    @Test(arguments: ["ustar.tar", "gnu.tar", "pax.tar", "webdataset.tar"])
    func membersAreThoseOfTarfile(_ name: String) throws {
        let set = try GeneratedSet()
        let archive = try TarArchive.at(Self.copy(name, into: set))
        let members = try #require(Self.expected().archives[name])
        #expect((0..<archive.index.count).map(archive.index.name) == members.map(\.name))
        for (number, member) in members.enumerated() {
            #expect(archive.index.find(member.name) == number)
            #expect((archive.index.offset(number), archive.index.size(number)) == (member.offset, member.size))
            let bytes = try archive.contents(number, atMost: 1 << 20)
            try AtomicFile.write(bytes, to: set.path + "/member")
            #expect(try SHA256.hexDigest(ofFile: set.path + "/member") == member.sha256)
        }
        #expect(archive.index.find("cats") == nil && archive.index.find("zzz") == nil)
        #expect(archive.index.others == (name == "webdataset.tar" ? 0 : 1))
        // The index is read back as it was.
        let kept = try FileSystem.read(TarIndex.path(of: archive.path))
        #expect(TarIndex(encoded: kept) == archive.index && archive.obstacle == nil)
    }

    @Test func samplesAreThoseOfWebDataset() throws {
        let set = try GeneratedSet()
        let samples = ShardSamples(try TarArchive.at(Self.copy("webdataset.tar", into: set)))
        let expected = try Self.expected().samples
        #expect((0..<samples.count).map(samples.key) == expected.map(\.key))
        for (sample, wanted) in zip(samples.samples, expected) {
            #expect(sample.mask != nil && sample.label != nil && sample.description != nil)
            let text = try samples.archive.contents(#require(sample.label), atMost: 100)
            #expect(String(decoding: text, as: UTF8.self) == wanted.cls)
        }
    }

    /// The writer's archives: its own reader finds what went in, whatever the lengths.
    @Test func whatIsWrittenIsRead() throws {
        let set = try GeneratedSet()
        let names =
            [1, 99, 100, 101, 155, 256, 300, 3000].map { String(repeating: "n", count: $0) } + [
                "ä/b.jpg", "\u{10F0E9}.jpg",
            ]
        let contents = [0, 1, 511, 512, 513, 10, 70_000, 3, 4, 5].map {
            (0..<$0).map { UInt8(truncatingIfNeeded: $0 * 7) }
        }
        for path in ["a.tar", "b.tar"] {
            let writer = try TarWriter(set.path + "/" + path)
            for (name, bytes) in zip(names, contents) { try writer.add(name, bytes) }
            try writer.finish()
        }
        let archive = try TarArchive.at(set.path + "/a.tar")
        for (name, bytes) in zip(names, contents) {
            let member = try #require(archive.index.find(name))
            #expect(try archive.contents(member, atMost: 1 << 20) == bytes)
        }
        #expect(try FileSystem.read(set.path + "/a.tar") == FileSystem.read(set.path + "/b.tar"))
    }

    /// A header with its checksum.
    private func header(_ name: String, size: String = "00000000000", type: Character = "0") -> [UInt8] {
        var header = [UInt8](repeating: 0, count: 512)
        func put(_ text: some Collection<UInt8>, at place: Int) {
            header.replaceSubrange(place..<place + text.count, with: text)
        }
        put(name.utf8, at: 0)
        put(size.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }, at: 124)
        put("        ".utf8, at: 148)
        put(String(type).utf8, at: 156)
        put("ustar\u{0}00".utf8, at: 257)
        put(String(header.reduce(0) { $0 + Int($1) }, radix: 8).utf8 + [0], at: 148)
        return header
    }

    private func refusal(_ bytes: [UInt8]) throws -> String? {
        let set = try GeneratedSet()
        try AtomicFile.write(bytes, to: set.path + "/a.tar")
        return #expect(throws: ArchiveError.self) { try TarArchive.at(set.path + "/a.tar") }.map { "\($0)" }
    }

    @Test func whatIsHostileIsRefusedInOneLine() throws {
        let end = [UInt8](repeating: 0, count: 1024)
        let cases: [(bytes: [UInt8], text: String)] = [
            (header("../a.jpg") + end, "a.tar:../a.jpg: its name leads out of the archive"),
            (header("a/../../b.jpg") + end, "leads out of the archive"),
            (header("a.jpg") + header("./a.jpg") + end, "a.tar:a.jpg: two members have this name"),
            (header("a.jpg", size: "0000000000x") + end, "a.tar:a.jpg: its size makes no sense"),
            (header("a.jpg", size: String(repeating: "\u{FF}", count: 12)) + end, "its size makes no sense"),
            (
                header("a.jpg", size: "\u{80}\u{0}\u{0}\u{0}" + String(repeating: "\u{FF}", count: 8)) + end,
                "makes no sense"
            ),
            (header("a.jpg", type: "S") + end, "it is stored with holes"),
            (header("x", size: "77777777777", type: "x") + end, "its attributes take 8589934591 bytes"),
            (
                header("x", size: "00000000003", type: "x") + Array("9 x".utf8) + [UInt8](repeating: 0, count: 509)
                    + end,
                "its attributes make no sense"
            ),
            (header("a.jpg") + [UInt8](repeating: 7, count: 512) + end, "is damaged at byte 512"),
            ([0x1F, 0x8B] + end, "compressed by gzip; decompress it first"),
            (Array("hello".utf8) + end, "no tar archive"),
        ]
        for (bytes, text) in cases {
            let error = try #require(try refusal(bytes))
            #expect(error.contains(text) && !error.contains("\n"), "\(error)")
        }
        let long = String(repeating: "n/", count: 3000) + "a.jpg"
        let name = header("././@LongLink", size: String(long.utf8.count, radix: 8), type: "L") + Array(long.utf8)
        let padded = name + [UInt8](repeating: 0, count: 512 - long.utf8.count % 512)
        #expect(try refusal(padded + header("a.jpg") + end)?.contains("its name is longer than 4096 bytes") == true)
        // Numbers in bytes are as good as digits; a size beyond the end cuts the member off.
        let set = try GeneratedSet()
        let binary =
            header("a.jpg", size: "\u{80}" + String(repeating: "\u{0}", count: 10) + "\u{3}") + Array("abc".utf8)
        try AtomicFile.write(
            binary + [UInt8](repeating: 0, count: 509) + header("b.jpg", size: "77777777777"), to: set.path + "/a.tar")
        let archive = try TarArchive.at(set.path + "/a.tar")
        #expect(archive.index.count == 1 && archive.index.size(0) == 3 && archive.index.cut == "b.jpg")
        let again = try #require(TarIndex(encoded: archive.index.encoded))
        #expect(again == archive.index)
        #expect(ShardSamples(archive).cut?.path == set.path + "/a.tar:b.jpg")
    }

    @Test func anIndexIsMadeAgainWhereTheArchiveHasChanged() throws {
        let set = try GeneratedSet()
        let path = set.path + "/a.tar", index = path + ".index"
        func write(_ name: String) throws {
            let writer = try TarWriter(path)
            try writer.add(name, Array("x".utf8))
            try writer.finish()
        }
        try write("a.jpg")
        // As another process finds it, by another path.
        let other = set.path + "/./a.tar"
        #expect(try TarArchive.at(path).index.name(0) == "a.jpg")
        let first = try FileSystem.read(index)
        try write("b.jpg")
        #expect(try TarArchive.at(other).index.name(0) == "b.jpg")
        #expect(try FileSystem.read(index) != first)
        // Who has begun with the former one does not go on with this.
        let error = #expect(throws: FileError.self) { try imageHeader(path + ":a.jpg") }
        #expect(error?.reason.contains("has changed since the run began") == true)
        // A damaged index is made again, a file of something else stays.
        try AtomicFile.write(Array(try FileSystem.read(index).dropLast(3)), to: index)
        #expect(try TarArchive.at(set.path + "/././a.tar").index.name(0) == "b.jpg")
        #expect(TarIndex(encoded: try FileSystem.read(index)) != nil)
        try AtomicFile.write("0 512\n", to: index)
        #expect(try TarArchive.at(set.path + "//a.tar").obstacle?.contains("a file of something else") == true)
        #expect(try FileSystem.read(index) == Array("0 512\n".utf8))
    }

    /// `BEIT_SEG_MUTATIONS=100000` tries so many.
    @Test func mutantsDoNoHarm() throws {
        let count = ProcessInfo.processInfo.environment["BEIT_SEG_MUTATIONS"].flatMap { Int($0) } ?? 300
        let set = try GeneratedSet()
        let sound = try ["ustar.tar", "gnu.tar", "pax.tar", "webdataset.tar"].map {
            try FileSystem.read(#require(Self.fixtures).appendingPathComponent($0).path)
        }
        let path = set.path + "/a.tar"
        var refused = 0
        for number in 0..<count {
            let mutant = Mutant(of: sound[number % sound.count], number: number, seed: "tar")
            try Data(mutant.bytes).write(to: URL(fileURLWithPath: path))
            let descriptor = open(path, O_RDONLY)
            defer { close(descriptor) }
            do {
                let index = try TarIndex(descriptor, path: path, FileSystem.requireStatus(of: path))
                for member in 0..<index.count {
                    #expect(index.offset(member) + index.size(member) <= mutant.bytes.count)
                    #expect(!index.name(member).contains(".."))
                }
                index.forEachSample { _ in }
                #expect(TarIndex(encoded: index.encoded) == index)
            } catch is ArchiveError { refused += 1 }
            // An index that was damaged is none, or leads nowhere.
            if number % 4 == 0, let index = try? TarIndex(descriptor, path: path, FileSystem.requireStatus(of: path)) {
                let damaged = Mutant(of: index.encoded, number: number, seed: "index").bytes
                if damaged != index.encoded { #expect(TarIndex(encoded: damaged) == nil) }
            }
        }
        #expect(refused > count / 20 && refused < count)
    }
}
