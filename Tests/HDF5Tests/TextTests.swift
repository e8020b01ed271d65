import Foundation
import Testing

@testable import BEiTHDF5

/// Texts of every length and kind, sound and damaged.
@Suite struct TextTests {
    @Test(arguments: [0, 1, 5, 65_000, 65_499, 65_536, 70_001, 3_000_000]) func textsOfEveryLength(_ length: Int) throws
    {
        let scratch = try Scratch(), file = scratch.path("a.h5")
        let text = String(String(repeating: "größer ≥ 3, ", count: length / 12 + 1).prefix(length))
        let writer = try HDF5Writer(file)
        try writer.setAttribute("before", "b")
        try writer.setAttribute("text", text)
        for index in 0..<9 { try writer.setAttribute("other \(index)", "\(index)") }
        try writer.write("/w", shape: [2], floats: [1, 2])
        try writer.setAttribute("text", text, at: "/w")
        try writer.commit()
        let reader = try HDF5Reader(file)
        #expect(try reader.attribute("text") == text && reader.attribute("text", at: "/w") == text)
        #expect(try reader.attribute("before") == "b" && reader.attribute("other 8") == "8")
        #expect(try !Data(contentsOf: URL(fileURLWithPath: file)).contains("GCOL".utf8), "a text of variable length")
    }

    @Test func longTextsGiveSameBytes() throws {
        let scratch = try Scratch()
        let files = try ["one.h5", "two.h5"].map { name in
            let writer = try HDF5Writer(scratch.path(name))
            try writer.setAttribute("classes", String(repeating: "a class ", count: 100_000))
            try writer.commit()
            return try Data(contentsOf: URL(fileURLWithPath: scratch.path(name)))
        }
        #expect(files[0] == files[1])
    }

    /// The length in a reference, or the size in the heap, is not the text's.
    @Test(arguments: [("vlen_size", nil), ("vlen_length", "segmentation")]) func aDamagedReferenceIsRefused(
        _ name: String, task: String?
    ) throws {
        let file = fixture("hostile/\(name).h5"), reader = try HDF5Reader(file)
        let error = try #require(throws: HDF5Error.self) { try reader.attribute("format") }
        #expect("\(error)".hasPrefix("\(file): cannot read / attribute format: ") && !"\(error)".contains("\n"))
        // Sizes chain the objects of a heap: behind a damaged one nothing is found.
        #expect((try? reader.attribute("task")) == task)
    }

    /// Every byte of the heap and of the references, set to each of a few values, in a file that h5py wrote.
    @Test func noDamageToAHeapDoesHarm() throws {
        let scratch = try Scratch(), file = scratch.path("a.h5")
        let sound = try Data(contentsOf: URL(fileURLWithPath: fixture("hostile/vlen_size.h5")))
        let heap = try #require(sound.range(of: Data("GCOL".utf8))).lowerBound
        let names = try #require(sound.range(of: Data("format\0".utf8))).lowerBound
        for place in Array(heap..<heap + 160) + Array(names..<names + 300) {
            for value: UInt8 in [0, 1, 0x7F, 0xFF] {
                var bytes = sound
                bytes[place] = value
                try bytes.write(to: URL(fileURLWithPath: file))
                guard let reader = try? HDF5Reader(file) else { continue }
                for name in ["format", "task", "config"] {
                    if let text = try? reader.attribute(name) { #expect(text.utf8.count < bytes.count) }
                }
            }
        }
    }

    @Test func textsBehindAUserBlock() throws {
        let scratch = try Scratch(), file = scratch.path("a.h5")
        // A user block of 512 bytes before a file that h5py wrote: all addresses count from behind it.
        let inner = try Data(contentsOf: URL(fileURLWithPath: fixture("h5py.h5")))
        try (Data(repeating: 7, count: 512) + inner).write(to: URL(fileURLWithPath: file))
        let reader = try HDF5Reader(file)
        #expect(try reader.attribute("variable") == "größer ≥ 3" && reader.attribute("empty") == "")
        #expect(try reader.attribute("long", at: "/ints") == String(repeating: "0123456789", count: 20_000))
    }
}
