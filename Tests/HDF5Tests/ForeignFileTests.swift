import Foundation
import Testing

@testable import BEiTHDF5

@Suite struct ForeignFileTests {
    static let sequence = (-7..<8).map { Float($0) / 4 }

    @Test(arguments: [
        "floats/<f2", "floats/>f2", "floats/<f4", "floats/>f4", "floats/<f8", "floats/>f8", "gzip", "tied",
    ])
    func floatsOfEveryKind(_ name: String) throws {
        #expect(try HDF5Reader(fixture("h5py.h5")).readFloats("/" + name) == ([3, 5], Self.sequence))
    }

    @Test(arguments: ["i1", "<i2", ">i4", "<i8", "u1", "<u2", ">u4", "<u8"])
    func integersOfEveryKind(_ name: String) throws {
        let start: Int64 = name.contains("u") ? 0 : -7
        #expect(try HDF5Reader(fixture("h5py.h5")).readInts("/ints/" + name) == ([3, 5], Array(start..<start + 15)))
    }

    @Test func booleansAreIntegers() throws {
        let expected = (-7..<8).map { Int64($0 > 0 ? 1 : 0) }
        #expect(try HDF5Reader(fixture("h5py.h5")).readInts("/bool") == ([3, 5], expected))
    }

    @Test func typesAreNotMixedUp() throws {
        let reader = try HDF5Reader(fixture("h5py.h5"))
        #expect(throws: HDF5Error.self) { try reader.readFloats("/ints/<i8") }
        #expect(throws: HDF5Error.self) { try reader.readInts("/floats/<f4") }
        #expect(throws: HDF5Error.self) { try reader.readBytes("/ints/i1") }
        var narrow = [Int32](repeating: 0, count: 15)
        #expect(throws: HDF5Error.self) {
            try narrow.withUnsafeMutableBufferPointer { try reader.readInts("/ints/<i8", into: $0) }
        }
    }

    @Test func attributesOfH5py() throws {
        let reader = try HDF5Reader(fixture("h5py.h5"))
        #expect(try reader.attribute("variable") == "größer ≥ 3")
        #expect(try reader.attribute("fixed") == "plain")
        #expect(try reader.attribute("empty") == "")
        #expect(try reader.attribute("long", at: "/ints") == String(repeating: "0123456789", count: 20_000))
        #expect(try reader.integerAttribute("integer") == -3)
        #expect(try reader.floatAttribute("float") == 0.25)
        #expect(try reader.floatAttribute("integer") == -3)
        #expect(throws: HDF5Error.self) { try reader.integerAttribute("several") }
        #expect(throws: HDF5Error.self) { try reader.attribute("latin") }
    }

    /// A model that h5py wrote, against the same tensors as a safetensors file holds them, bit for bit.
    @Test func stateDictOfH5py() throws {
        struct Entry: Decodable {
            let shape: [Int]
            let data_offsets: [Int]
        }
        let reader = try HDF5Reader(fixture("deconv-seg.h5"))
        let other = try Data(contentsOf: URL(fileURLWithPath: fixture("deconv-seg.safetensors")))
        let headerSize = Int(other.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) })
        let header = try #require(try JSONSerialization.jsonObject(with: other[8..<8 + headerSize]) as? [String: Any])
        let entries = header.filter { $0.key != "__metadata__" }
        #expect(reader.datasets.map(\.path) == entries.keys.map { "/" + $0 }.sorted())
        #expect(reader.refusals == [:])
        for (name, value) in entries {
            let json = try JSONSerialization.data(withJSONObject: value)
            let entry = try JSONDecoder().decode(Entry.self, from: json)
            let read = try reader.readFloats("/" + name)
            let start = 8 + headerSize
            #expect(read.shape == entry.shape)
            #expect(
                read.values.withUnsafeBytes { Data($0) }
                    == other[start + entry.data_offsets[0]..<start + entry.data_offsets[1]])
        }
    }
}

@Suite struct HostileFileTests {
    static let control = "/block0_attn_qkv/block0_attn_qkv/kernel:0"

    /// What opening a file and reading everything in it as floats complains of, as "path: message".
    private func complaints(_ file: String) -> [String] {
        do {
            let reader = try HDF5Reader(file)
            let unread = reader.datasets.compactMap { info -> String? in
                do {
                    _ = try reader.readFloats(info.path)
                    return nil
                } catch { return "\(info.path): \(error)" }
            }
            return unread + reader.refusals.map { "\($0.key): \($0.value)" }
        } catch { return ["\(error)"] }
    }

    static let sound = [
        "good", "good_big_endian", "good_float64", "good_gzip", "good_latest_format", "float16", "userblock",
        "hard_link_cycle", "deep_groups", "scalar", "zero_rows",
    ]

    @Test(arguments: sound) func soundFilesAreReadWhole(_ name: String) throws {
        #expect(complaints(fixture("hostile/\(name).h5")) == [])
        let datasets = try HDF5Reader(fixture("hostile/\(name).h5")).datasets
        #expect(datasets.count == 23)
    }

    static let flawedDatasets = [
        ("corrupt_gzip_chunk", "version"), ("unknown_filter", "version"), ("virtual_dataset", "version"),
        ("wrong_dtype_compound", "version"), ("wrong_dtype_int", "int32"), ("wrong_dtype_string", "text"),
        ("wrong_dtype_vlen", "variable length"), ("wrong_dtype_reference", "references"),
        ("empty_dataspace", "nothing"), ("external_link_missing", "link"), ("external_link_absolute", "link"),
        ("soft_link_good", "link"), ("soft_link_dangling", "link"), ("external_storage", "another file"),
        ("huge_declared", "declares 105553116266496 bytes, of which the file holds 0"),
    ]

    @Test(arguments: flawedDatasets) func aFlawedDatasetIsNamed(_ name: String, word: String) {
        let complaints = complaints(fixture("hostile/\(name).h5"))
        #expect(complaints.count == 1)
        #expect(complaints.allSatisfy { $0.hasPrefix(Self.control) && $0.contains(word) && !$0.contains("\n") })
    }

    @Test(arguments: [
        ("truncated_half", "truncated"), ("truncated_tail", "truncated"), ("truncated_superblock", "not an HDF5 file"),
        ("zero_bytes", "it ends before"), ("text", "signature"), ("signature_only", "not an HDF5 file"),
    ]) func anUnusableFileDoesNotOpen(_ name: String, word: String) {
        let file = fixture("hostile/\(name).h5"), complaints = complaints(file)
        #expect(complaints.count == 1)
        #expect(complaints.allSatisfy { $0.hasPrefix(file + ": ") && $0.contains(word) && !$0.contains("\n") })
    }

    @Test(
        arguments: [
            ([0x50, 0x4B, 3, 4, 0, 0], .zip), ([0x80, 2, 0x8A, 10], .pickle),
            ([64, 0, 0, 0, 0, 0, 0, 0, 0x7B, 0x22], .safetensors),
        ] as [([UInt8], OtherFormat)]) func weightsInAnotherFormatAreNamed(_ start: [UInt8], _ format: OtherFormat)
        throws
    {
        let scratch = try Scratch(), file = scratch.path("weights")
        try Data(start + [UInt8](repeating: 0, count: 100)).write(to: URL(fileURLWithPath: file))
        #expect(throws: HDF5Error.otherFormat(file: file, format)) { try HDF5Reader(file) }
    }

    /// Whatever they give, they end.
    @Test(arguments: [
        "flipped_bytes_0", "flipped_bytes_1", "flipped_bytes_2", "flipped_bytes_3", "soft_link_loop", "huge_extra",
    ])
    func damageIsSurvived(_ name: String) {
        for complaint in complaints(fixture("hostile/\(name).h5")) { #expect(!complaint.contains("\n")) }
    }

    @Test func eachTrickIsRefused() throws {
        let file = fixture("hostile.h5"), reader = try HDF5Reader(file)
        #expect(try reader.readFloats("/good") == ([3, 5], (0..<15).map(Float.init)))
        let reasons = [
            "/virtual": "another file", "/external": "another file", "/soft": "link", "/group/link": "link",
            "/group/link/<f4": "link", "/compound": "compound", "/sparse": "of which the file holds 4096",
            "/unwritten": "of which the file holds 0", "/bomb": "of which the file holds", "/unknown-filter": "32099",
            "/damaged": "inflate", "/absent": "no /absent", "/group": "no /group", "soft": "no soft",
        ]
        for (path, reason) in reasons {
            let error = #expect(throws: HDF5Error.self) { try reader.readFloats(path) }
            let message = error.map { "\($0)" } ?? ""
            #expect(message.hasPrefix(file + ": ") && message.contains(reason), "\(message)")
        }
        #expect(!reader.contains("/soft") && reader.contains("/good"))
    }

    @Test func whatIsNotAFileIsNamed() throws {
        let scratch = try Scratch(), missing = scratch.path("missing.h5"), pipe = scratch.path("pipe.h5")
        #expect(throws: HDF5Error.notFound(file: missing)) { try HDF5Reader(missing) }
        #expect(throws: HDF5Error.notFound(file: "")) { try HDF5Reader("") }
        #expect(mkfifo(pipe, 0o600) == 0)
        for file in [pipe, scratch.folder.path] {
            #expect(throws: HDF5Error.cannotOpen(file: file, reason: "it is a folder or a device, not a file")) {
                try HDF5Reader(file)
            }
        }
    }

    @Test func aChangedByteIsNoticed() throws {
        let scratch = try Scratch(), file = scratch.path("a.h5")
        let values = (0..<300_000).map { Float($0) }
        let writer = try HDF5Writer(file)
        try writer.write("/w", shape: [300_000], floats: values)
        try writer.commit()
        var bytes = try Data(contentsOf: URL(fileURLWithPath: file))
        let pattern = withUnsafeBytes(of: values[200_000]) { Data($0) }
        let place = try #require(bytes.range(of: pattern))
        bytes[place.lowerBound] ^= 1
        try bytes.write(to: URL(fileURLWithPath: file))
        let reader = try HDF5Reader(file)
        #expect(
            throws: HDF5Error.cannotRead(
                file: file, path: "/w", reason: "data error detected by Fletcher32 checksum")
        ) { try reader.readFloats("/w") }
    }

    @Test func readersOnManyThreadsDoNotMeet() async throws {
        let file = fixture("deconv-seg.h5"), reader = try HDF5Reader(file)
        let expected = try reader.datasets.map { bits(try reader.readFloats($0.path).values) }
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    #expect(throws: HDF5Error.self) { try HDF5Reader(fixture("hostile/text.h5")) }
                    return try reader.datasets.map { bits(try reader.readFloats($0.path).values) } == expected
                }
            }
            for try await isEqual in group { #expect(isEqual) }
        }
    }
}
