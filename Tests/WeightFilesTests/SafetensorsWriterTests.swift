import BEiTFiles
import BEiTTensorCore
import BEiTWeightFiles
import Foundation
import Testing

@Suite struct SafetensorsWriterTests {
    private let values: [Float] = [
        0, -0.0, 1, -1.5, 3.1415927, 65519.99, -1e-7, 6e-8, 0.1, 1.00390625, 1.01171875, 0x1p-130,
    ]

    private func tensors(_ formats: [(String, OutgoingTensor.Format)]) -> [OutgoingTensor] {
        formats.map { name, format in
            OutgoingTensor(name: name, shape: [3, 4], format: format) { [values] in
                Tensor(format == .int64 ? values.map { ($0 / 100).rounded() } : values, [3, 4])
            }
        }
    }

    private let all: [(String, OutgoingTensor.Format)] = [
        ("z.weight", .float32), ("é", .float32), ("a", .float16), ("b.\"quoted\"/\\", .bfloat16), ("count", .int64),
        ("aa", .float16),
    ]

    /// Bytes of the reference library (safetensors 0.8.0) for the same tensors: `scripts/make-safetensors-fixture.py`.
    @Test func theBytesOfTheReferenceLibrary() throws {
        let folder = try Scratch()
        try Safetensors.write(tensors(all), metadata: ["format": "pt"], to: folder.path("model"))
        #expect(try contents(folder.path("model")) == contents(fixture("reference.safetensors")))
    }

    @Test func whatIsWrittenIsRead() throws {
        let folder = try Scratch()
        try Safetensors.write(tensors(all), metadata: ["b": "2", "a": "\n"], to: folder.path("model"))
        let source = try TensorFile.open(folder.path("model"))
        #expect(source.metadata.entries == ["b": "2", "a": "\n"])
        #expect(source.tensors.map(\.name) == ["count", "z.weight", "é", "b.\"quoted\"/\\", "a", "aa"])
        let found = try source.floats()
        #expect(found["z.weight"]?.values.map(\.bitPattern) == values.map(\.bitPattern))
        #expect(found["a"]?.values == values.map { Float(Float16($0)) })
        let rounded = try #require(found["b.\"quoted\"/\\"]?.values)
        // Of two that are equally near, the one whose last bit is 0.
        #expect(rounded[9] == 1 && rounded[10] == 1.015625)
        for (a, b) in zip(rounded, values) { #expect(abs(a - b) <= abs(b) * 0x1p-8 + 0x1p-134) }
    }

    @Test(arguments: [
        (Float(65520), OutgoingTensor.Format.float16), (-.infinity, .float16), (.nan, .float16), (0.5, .int64),
        (.infinity, .int64), (1e19, .int64),
    ])
    func whatTheTypeCannotHold(_ value: Float, _ format: OutgoingTensor.Format) throws {
        let folder = try Scratch()
        let path = try folder.file("model", "before")
        let tensor = OutgoingTensor(name: "w", shape: [2], format: format) { Tensor([1, value], [2]) }
        do {
            try Safetensors.write([tensor], to: path)
            Issue.record("\(value) was written")
        } catch { #expect("\(error)".contains("w has the value") && "\(error)".hasPrefix(path), "\(error)") }
        #expect(try contents(path) == Array("before".utf8))
        #expect(try FileSystem.names(in: folder.folder.path) == ["model"])
    }

    /// A tensor that cannot be made leaves nothing behind, and tensors are made one after another.
    @Test func madeOneByOne() throws {
        struct Failure: Error {}
        let folder = try Scratch()
        var made: [String] = []
        let tensors = ["b", "a", "c"].map { name in
            OutgoingTensor(name: name, shape: []) {
                made.append(name)
                if name == "c" { throw Failure() }
                return Tensor([1], [])
            }
        }
        #expect(throws: Failure.self) { try Safetensors.write(tensors, to: folder.path("model")) }
        #expect(made == ["a", "b", "c"])
        #expect(try FileSystem.names(in: folder.folder.path).isEmpty)
    }

    @Test func aFileWithoutTensors() throws {
        let folder = try Scratch()
        try Safetensors.write([], to: folder.path("model"))
        #expect(try TensorFile.open(folder.path("model")).tensors.isEmpty)
    }
}
