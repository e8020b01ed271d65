import BEiTTensorCore
import BEiTWeightFiles
import Foundation
import Testing

/// Files that PyTorch wrote, against dumps of the same tensors as HDF5, bit for bit, and against what was put into them.
@Suite struct TorchTests {
    private static let models = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("ModelsTests/Fixtures/").path

    @Test(arguments: [
        ("unilm-pth/classifier.pth", "unilm-pth/classifier.h5", "PyTorch (zip)"),
        ("unilm-pth/classifier-legacy.pth", "unilm-pth/classifier.h5", "PyTorch (legacy)"),
        ("unilm-pth/classifier-training.pth", "unilm-pth/classifier.h5", "PyTorch (zip)"),
        ("unilm-pth/pretrain.pth", "unilm-pth/pretrain.h5", "PyTorch (zip)"),
        ("dvae/encoder_state.pth", "dvae/encoder_state.h5", "PyTorch (zip)"),
        ("dvae/encoder.pkl", "dvae/encoder_state.h5", "a pickled module"),
        ("dvae/encoder-legacy.pkl", "dvae/encoder_state.h5", "a pickled module"),
        ("dvae/decoder.pkl", "dvae/decoder_state.h5", "a pickled module"),
        ("dvae/decoder_state.pth", "dvae/decoder_state.h5", "PyTorch (zip)"),
    ])
    func tensorsOfTheDump(_ name: String, _ dump: String, _ format: String) throws {
        let source = try TensorFile.open(fixture("torch/" + name))
        #expect(source.format == format && source.refusals.isEmpty)
        try expectEqual(source, try TensorFile.open(Self.models + "/" + dump))
    }

    @Test func halvesAreTheDumpRounded() throws {
        let halves = try TensorFile.open(fixture("torch/unilm-pth/classifier-bare-float16.pth")).floats()
        let dump = try TensorFile.open(Self.models + "/unilm-pth/classifier.h5").floats()
        #expect(Set(halves.keys) == Set(dump.keys))
        for (name, tensor) in dump {
            #expect(halves[name]?.values == tensor.values.map { Float(Float16($0)) }, "\(name)")
        }
    }

    @Test func mmsegmentationAndItsClasses() throws {
        let source = try TensorFile.open(fixture("torch/upernet/official.pth"))
        try expectEqual(source, try TensorFile.open(fixture("torch/upernet/official.h5")))
        let names = (0..<6).map { "thing \($0)" }
        let newer = try TensorFile.open(fixture("torch/upernet/mmseg1.pth"))
        for metadata in [source.metadata, newer.metadata] {
            #expect(metadata.classNames == names && metadata.palette?.count == 6)
            #expect(metadata.palette?.prefix(3) == [[0, 60, 20], [37, 151, 171], [74, 242, 66]])
        }
        #expect(newer.tensors.contains { $0.name.hasPrefix("backbone.layers.0.") })
    }

    // MARK: What scripts/make-torch-fixtures.py made

    private func made(_ name: String) throws -> any TensorSource { try TensorFile.open(fixture("torch/made/" + name)) }

    /// The values of arange(count) / 4 - 1 at these places.
    private func numbers(_ places: some Sequence<Int>) -> [Float] { places.map { Float($0) / 4 - 1 } }

    @Test(arguments: [
        "views.pth", "views-legacy.pth", "views-big-endian.pth", "protocol3.pth", "protocol4.pth", "protocol5.pth",
    ])
    func viewsOfSharedStorages(_ name: String) throws {
        let found = try made(name).floats()
        let expected: [String: ([Int], [Float])] = [
            "whole": ([4, 6], numbers(0..<24)),
            "transposed": ([6, 4], numbers((0..<6).flatMap { j in (0..<4).map { $0 * 6 + j } })),
            "columns": ([4, 2], numbers([1, 3, 7, 9, 13, 15, 19, 21])),
            "tail": ([2, 6], numbers(12..<24)), "row": ([6], numbers(6..<12)), "last": ([1, 1], numbers([23])),
            "permuted": (
                [5, 2, 3],
                numbers((0..<5).flatMap { k in (0..<2).flatMap { i in (0..<3).map { i * 15 + $0 * 5 + k } } })
            ),
            "expanded": ([3, 4], numbers([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2])),
            "scalar": ([], [2.5]), "empty": ([0, 3], []),
        ]
        #expect(Set(found.keys) == Set(expected.keys))
        for (name, (shape, values)) in expected {
            #expect(found[name]?.shape == shape && found[name]?.values == values, "\(name)")
        }
    }

    @Test(arguments: ["types.pth", "types-legacy.pth"]) func elementTypes(_ name: String) throws {
        let source = try made(name)
        let types = Dictionary(uniqueKeysWithValues: source.tensors.map { ($0.name, $0.elementType) })
        #expect(
            types == [
                "float64": .float64, "float32": .float32, "float16": .float16, "bfloat16": .bfloat16, "int64": .int64,
                "bool": .uint8, "uint16": .uint16,
            ])
        let floats = try source.floats()
        #expect(floats.count == 4)
        for (name, tensor) in floats { #expect(tensor.shape == [2, 3] && tensor.values == numbers(0..<6), "\(name)") }
        #expect(throws: WeightFileError.self) { try source.tensor("int64").values() }
    }

    @Test(arguments: ["module.pth", "module-protocol3.pkl", "module-protocol5.pkl"])
    func wholeModules(_ name: String) throws {
        let source = try made(name)
        #expect(source.format == "a pickled module")
        #expect(
            source.tensors.map(\.name) == [
                "first.weight", "first.bias", "second.0.weight", "second.0.bias", "second.0.running_mean",
                "second.0.running_var", "second.0.num_batches_tracked",
            ])
        #expect(try source.tensor("first.weight").values() == numbers(0..<6))
        #expect(try source.tensor("second.0.running_mean").values() == numbers(0..<2))
    }

    @Test(arguments: ["training-protocol2.pth", "training-protocol4.pth"])
    func aCheckpointOfARun(_ name: String) throws {
        let source = try made(name)
        #expect(source.tensors.count == 7 && source.tensors[1].name == "first.bias")
        #expect(
            source.metadata == SourceMetadata(classNames: ["sky", "tree"], palette: [[1, 2, 3], [4, 5, 6]]))
    }

    @Test func placesOfWeights() throws {
        let two = try made("two.pth")
        #expect(try two.floats().mapValues(\.values) == ["weight": numbers(0..<2)])
        #expect(two.notes.count == 1 && two.notes[0].contains("`model`") && two.notes[0].contains("`teacher`"))
        let nested = try made("nested.pth")
        #expect(nested.tensors.map(\.name) == ["backbone.weight", "head.0.bias"] && nested.notes.isEmpty)
    }

    @Test(arguments: [
        ("optimizer.pth", "optimizer"), ("optimizer-bare.pth", "optimizer"), ("nothing.pth", "no tensors"),
        ("script.pt", "TorchScript"), ("arrays.npz", "NumPy"),
    ])
    func othersAreNamed(_ name: String, _ word: String) {
        #expect(refusal(fixture("torch/made/" + name)).contains(word), "\(refusal(fixture("torch/made/" + name)))")
    }

    /// Beside the result there is a block in memory, no copy: measured in a process of its own.
    @Test func memoryBesideTheResult() async throws {
        let folder = try Scratch()
        let path = folder.path("large.safetensors"), count = 32 << 20
        let header = #"{"a":{"dtype":"BF16","shape":[\#(count)],"data_offsets":[0,\#(2 * count)]}}"#
        let start = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian, Array.init) + Array(header.utf8)
        _ = try folder.file("large.safetensors", start)
        #expect(truncate(path, off_t(start.count + 2 * count)) == 0)
        await #expect(processExitsWith: .success) { [path = path as String, count = count as Int] in
            let before = peakMemory()
            let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: count)
            try TensorFile.open(path).tensors[0].read(values)
            let used = peakMemory() - before
            guard used > 4 * count, used < 4 * count * 12 / 10 else { exit(1) }
        }
    }
}
