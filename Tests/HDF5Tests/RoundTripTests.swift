import Foundation
import Testing

@testable import BEiTHDF5

@Suite struct RoundTripTests {
    /// A file of what `fill` writes.
    private func file(_ scratch: Scratch, _ name: String = "a.h5", fill: (HDF5Writer) throws -> Void) throws -> String {
        let writer = try HDF5Writer(scratch.path(name))
        try fill(writer)
        try writer.commit()
        return scratch.path(name)
    }

    static let shapes = [
        [], [1], [7], [0, 24], [2, 3, 5], [1, 1, 8], [13, 1, 4, 4], [700_001], [3, 300_007], [3, 5, 70_001],
    ]

    @Test(arguments: shapes, [false, true]) func float32KeepsEveryBit(_ shape: [Int], compress: Bool) throws {
        let scratch = try Scratch(), values = sampleFloats(shape.reduce(1, *))
        let file = try file(scratch) {
            try $0.write("/model/a/weight", shape: shape, floats: values, compress: compress)
        }
        let reader = try HDF5Reader(file)
        let read = try reader.readFloats("/model/a/weight")
        #expect(read.shape == shape)
        #expect(bits(read.values) == bits(values))
        #expect(reader.datasets == [DatasetInfo(path: "/model/a/weight", shape: shape, elementType: .float32)])
    }

    @Test(arguments: shapes) func float16RoundsToNearest(_ shape: [Int]) throws {
        let scratch = try Scratch(), values = sampleFloats(shape.reduce(1, *))
        let file = try file(scratch) { try $0.write("w", shape: shape, floats: values, as: .float16) }
        let reader = try HDF5Reader(file)
        let read = try reader.readFloats("/w")
        #expect(bits(read.values) == bits(values.map { Float(Float16($0)) }))
        #expect(try reader.info("/w") == DatasetInfo(path: "/w", shape: shape, elementType: .float16))
    }

    /// The upper half of the bits, rounded to even; told from halves by its fields.
    @Test(arguments: shapes) func bfloat16RoundsToNearest(_ shape: [Int]) throws {
        let scratch = try Scratch(), values = sampleFloats(shape.reduce(1, *))
        let file = try file(scratch) { try $0.write("w", shape: shape, floats: values, as: .bfloat16) }
        let reader = try HDF5Reader(file)
        let read = try reader.readFloats("/w")
        for (found, value) in zip(read.values, values) {
            let up = value.bitPattern.addingReportingOverflow(0x8000).partialValue & 0xFFFF_0000
            let isTie = value.bitPattern & 0xFFFF == 0x8000
            let even = isTie ? up & 0xFFFE_0000 : up
            #expect(value.isNaN ? found.isNaN : found.bitPattern == even, "\(value) became \(found)")
        }
        #expect(read.values.count == values.count)
        #expect(try reader.info("/w") == DatasetInfo(path: "/w", shape: shape, elementType: .bfloat16))
    }

    @Test(arguments: shapes) func signedBytes(_ shape: [Int]) throws {
        let scratch = try Scratch(), values = (0..<shape.reduce(1, *)).map { Int8(truncatingIfNeeded: $0 * 7) }
        let file = try file(scratch) { writer in
            try values.withUnsafeBufferPointer { try writer.write("q", shape: shape, signedBytes: $0) }
        }
        let reader = try HDF5Reader(file)
        var found = [Int8](repeating: 0, count: values.count)
        try found.withUnsafeMutableBufferPointer { try reader.readSignedBytes("/q", into: $0) }
        #expect(found == values)
        #expect(try reader.info("/q").elementType == .int8)
        #expect(throws: HDF5Error.self) { try reader.readFloats("/q") }
    }

    @Test func everyHalfBecomesItsFloat() {
        for half in UInt16.min ... .max {
            let expected = Float(Float16(bitPattern: half)), found = float(fromHalf: half)
            #expect(found.bitPattern == expected.bitPattern || (found.isNaN && expected.isNaN))
        }
    }

    @Test func integersAndBytes() throws {
        let scratch = try Scratch()
        let wide: [Int64] = [.min, -1, 0, 1, .max, 7], narrow: [Int32] = [.min, -1, 0, .max, 5],
            bytes = [UInt8](0...255)
        let file = try file(scratch) {
            try $0.write("/i/wide", shape: [2, 3], ints: wide)
            try $0.write("/i/narrow", shape: [5], ints: narrow, compress: true)
            try $0.write("/bytes", shape: [256], bytes: bytes)
        }
        let reader = try HDF5Reader(file)
        #expect(try reader.readInts("/i/wide") == ([2, 3], wide))
        #expect(try reader.readInts("/i/narrow") == ([5], narrow.map(Int64.init)))
        #expect(try reader.readBytes("/bytes") == ([256], bytes))
        #expect(reader.datasets.map(\.path) == ["/bytes", "/i/narrow", "/i/wide"])
    }

    @Test(arguments: [StoredType.float32, .float16]) func rowsComeAndGoInPieces(_ format: StoredType) throws {
        let scratch = try Scratch(), shape = [11, 3, 9001], rowSize = 3 * 9001
        let values = (0..<shape.reduce(1, *)).map { Float($0 % 2039) }
        let file = try file(scratch) { writer in
            try writer.create("/logits", shape: shape, as: format)
            for rows in [4..<11, 0..<1, 1..<4] {
                try values[rows.lowerBound * rowSize..<rows.upperBound * rowSize].withUnsafeBufferPointer {
                    try writer.writeRows("/logits", rows, floats: $0)
                }
            }
        }
        let reader = try HDF5Reader(file)
        #expect(try reader.readFloats("/logits") == (shape, values))
        for rows in [0..<11, 3..<5, 10..<11, 6..<6] {
            var part = [Float](repeating: -1, count: rows.count * rowSize)
            try part.withUnsafeMutableBufferPointer { try reader.readFloats("/logits", rows: rows, into: $0) }
            #expect(part == Array(values[rows.lowerBound * rowSize..<rows.upperBound * rowSize]))
        }
    }

    @Test func integerRows() throws {
        let scratch = try Scratch(), tokens = (0..<7 * 196).map { Int32($0 * 37 % 8192) }
        let file = try file(scratch) { writer in
            try writer.create("/tokens", shape: [7, 14, 14], as: .int32)
            for row in 0..<7 {
                try tokens[row * 196..<row * 196 + 196].withUnsafeBufferPointer {
                    try writer.writeRows("/tokens", row..<row + 1, ints: $0)
                }
            }
        }
        let reader = try HDF5Reader(file)
        var part = [Int32](repeating: -1, count: 2 * 196)
        try part.withUnsafeMutableBufferPointer { try reader.readInts("/tokens", rows: 3..<5, into: $0) }
        #expect(part == Array(tokens[3 * 196..<5 * 196]))
        #expect(throws: HDF5Error.self) {
            try part.withUnsafeMutableBufferPointer { try reader.readInts("/tokens", rows: 6..<8, into: $0) }
        }
        #expect(throws: HDF5Error.self) {
            try part.withUnsafeMutableBufferPointer { try reader.readInts("/tokens", rows: 0..<3, into: $0) }
        }
    }

    @Test func attributes() throws {
        let scratch = try Scratch(), long = String(repeating: "größer ≥ 3, ", count: 20_000)
        let file = try file(scratch) { writer in
            try writer.write("/model/w", shape: [], floats: [1])
            try writer.setAttribute("config", "first")
            try writer.setAttribute("config", long)
            try writer.setAttribute("empty", "", at: "/model")
            try writer.setAttribute("step", -12, at: "/model/w")
            try writer.setAttribute("loss", 0.1)
        }
        let reader = try HDF5Reader(file)
        #expect(try reader.attribute("config") == long)
        #expect(try reader.attribute("empty", at: "/model") == "")
        #expect(try reader.integerAttribute("step", at: "/model/w") == -12)
        #expect(try reader.floatAttribute("loss") == 0.1)
        #expect(try reader.attribute("absent") == nil)
        #expect(throws: HDF5Error.self) { try reader.attribute("loss") }
        #expect(throws: HDF5Error.noDataset(file: file, path: "/x")) { try reader.attribute("config", at: "/x") }
    }

    @Test func sameContentsGiveSameBytes() throws {
        let scratch = try Scratch()
        func make(_ name: String) throws -> Data {
            let file = try file(scratch, name) {
                try $0.write("/a/b/c", shape: [3, 300_007], floats: sampleFloats(900_021), compress: true)
                try $0.setAttribute("config", "{}", at: "/a")
            }
            return try Data(contentsOf: URL(fileURLWithPath: file))
        }
        let first = try make("one.h5")
        Thread.sleep(forTimeInterval: 1.1)  // HDF5's clock counts seconds
        #expect(try make("two.h5") == first)
    }

    @Test func withoutCommitThereIsNoFile() throws {
        let scratch = try Scratch()
        do {
            let writer = try HDF5Writer(scratch.path("a.h5"))
            try writer.write("/w", shape: [5], floats: [1, 2, 3, 4, 5])
            try writer.create("/rows", shape: [5, 3], as: .float32)
            #expect(!scratch.names.contains("a.h5"))
        }
        #expect(scratch.names == [])
    }

    @Test(arguments: ["/w", "/w/below", "a text for /nowhere"]) func whatCannotBeWrittenEndsTheFile(_ path: String)
        throws
    {
        let scratch = try Scratch(), writer = try HDF5Writer(scratch.path("a.h5"))
        try writer.write("/w", shape: [1], floats: [1])
        let error = try #require(throws: HDF5Error.self) {
            if path.hasPrefix("/") { try writer.write(path, shape: [1], floats: [2]) }
            try writer.setAttribute("a", "b", at: "/nowhere")
        }
        #expect(throws: error) { try writer.write("/v", shape: [1], floats: [2]) }
        #expect(throws: error) { try writer.commit() }
        #expect(!scratch.names.contains("a.h5"))
    }

    @Test(
        arguments: [
            ([], 4, nil), ([0, 24], 4, nil), ([7], 4, [7]), ([600_000], 4, [200_000]),
            ([3, 5, 70_001], 4, [1, 3, 70_001]),
            ([2, 300_007], 4, [1, 150_004]), ([50_265, 768], 4, [340, 768]), ([300, 1024], 2, [300, 1024]),
        ] as [([Int], Int, [Int]?)])
    func chunksAreEvenAndSmall(_ shape: [Int], bytes: Int, expected: [Int]?) {
        #expect(chunkShape(shape, bytesPerElement: bytes) == expected)
    }
}
