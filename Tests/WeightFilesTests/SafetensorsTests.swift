import BEiTHDF5
import BEiTTensorCore
import BEiTWeightFiles
import Foundation
import Testing

@Suite struct SafetensorsTests {
    /// A file with this header, filled up with spaces to `padding`, and these values.
    private func bytes(_ header: String, _ values: [UInt8] = []) -> [UInt8] {
        withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian, Array.init) + Array(header.utf8) + values
    }

    private func open(_ header: String, _ values: [UInt8]) throws -> any TensorSource {
        let folder = try Scratch()
        return try TensorFile.open(try folder.file("model.bin", bytes(header, values)))
    }

    /// The control of the fixtures, in other types: rounding aside the same values.
    @Test(arguments: [("padded_header", 0), ("bfloat16", Float(0x1p-8)), ("float16", Float(0x1p-11))])
    func typesOfTheFixtures(_ name: String, _ error: Float) throws {
        let good = try TensorFile.open(fixture("safetensors/good/model.safetensors")).floats()
        let other = try TensorFile.open(fixture("safetensors/\(name)/model.safetensors")).floats()
        #expect(good.count > 15 && Set(good.keys) == Set(other.keys))
        for (name, tensor) in good {
            let found = try #require(other[name])
            #expect(found.shape == tensor.shape)
            for (a, b) in zip(found.values, tensor.values) {
                #expect(abs(a - b) <= error * abs(b) + 0x1p-24, "\(name)")
            }
        }
    }

    /// The values of the control, read with h5py's help: the same tensors in the file beside it.
    @Test func metadataAndOrder() throws {
        let source = try TensorFile.open(fixture("safetensors/good/model.safetensors"))
        #expect(source.format == "safetensors" && source.metadata.entries == ["format": "pt"])
        #expect(source.tensors.first?.name == "beit.embeddings.cls_token" && source.tensors.first?.shape == [1, 1, 8])
    }

    @Test func everyTypeOfFloat() throws {
        let header =
            #"{"a":{"dtype":"F64","shape":[2],"data_offsets":[0,16]},"b":{"dtype":"F32","shape":[],"data_offsets":[16,20]},"#
            + #""c\u00e9\ud83d\ude00":{"dtype":"F16","shape":[2,1],"data_offsets":[20,24]},"#
            + #""d":{"dtype":"BF16","shape":[1],"data_offsets":[24,26]},"e":{"dtype":"I8","shape":[2],"data_offsets":[26,28]}}"#
        var values = withUnsafeBytes(of: (1.0 / 3, -2.5e300), Array.init)
        values += withUnsafeBytes(of: Float(0.1), Array.init)
        values += [0x00, 0x3C, 0x01, 0x80, 0x81, 0xBF, 7, 0xFF]
        let source = try open(header, values)
        #expect(source.tensors.map(\.name) == ["a", "b", "cé😀", "d", "e"])
        #expect(try source.tensor("a").values() == [Float(1.0 / 3), -.infinity])
        #expect(try source.tensor("b").values() == [0.1])
        #expect(try source.tensor("cé😀").values() == [1, -0x1p-24])
        #expect(try source.tensor("d").values() == [-1.0078125])
        #expect(source.tensors[4].elementType == .int8)
        #expect(throws: WeightFileError.self) { try source.tensor("e").values() }
    }

    @Test(arguments: [
        "overlapping", "out_of_range", "end_before_begin", "negative_offset", "fraction_offset", "string_offset",
        "offset_2e63", "three_offsets", "shape_mismatch", "shape_overflow", "shape_negative", "unknown_dtype",
        "missing_shape", "missing_tensor", "hole", "trailing_bytes", "truncated", "truncated_header", "header_huge",
        "header_minus_one", "header_zero", "header_not_json", "header_array", "header_deep", "header_not_utf8",
        "duplicate_key", "zero_bytes", "seven_bytes", "integer_weights",
    ])
    func hostileFilesAreRefused(_ name: String) {
        _ = refusal(fixture("safetensors/\(name)/model.safetensors"))
    }

    @Test func halfADownloadSaysBothSizes() throws {
        let text = refusal(fixture("safetensors/truncated/model.safetensors"))
        #expect(text.contains("8170") && text.contains("8120") && text.contains("half a download"))
        #expect(refusal(fixture("safetensors/truncated_header/model.safetensors")).contains("200"))
    }

    @Test func jsonOfAnyDepth() throws {
        let deep = String(repeating: "[", count: 50_000)
        #expect(throws: WeightFileError.self) { try open(#"{"a":\#(deep)"#, []) }
        let folder = try Scratch()
        let closed = deep + String(repeating: "]", count: 50_000)
        #expect(refusal(try folder.file("model.json", #"{"metadata":\#(closed)}"#)).contains("weight_map"))
    }

    /// A file that loses its end while it is open gives an error, not a signal.
    @Test func aFileThatShrinks() throws {
        let folder = try Scratch()
        let path = try folder.file("model", try contents(fixture("safetensors/good/model.safetensors")))
        let source = try TensorFile.open(path)
        #expect(truncate(path, 3000) == 0)
        #expect(throws: WeightFileError.self) { for tensor in source.tensors { _ = try tensor.values() } }
    }

    // MARK: Parts

    private func part(_ name: String, _ value: Float) -> [UInt8] {
        bytes(
            #"{"\#(name)":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, withUnsafeBytes(of: value, Array.init))
    }

    @Test func partsThatAnIndexNames() throws {
        let folder = try Scratch()
        _ = try folder.file("model-1.safetensors", part("a", 1.5))
        _ = try folder.file("model-2.safetensors", part("b", 2.5))
        let index = try folder.file(
            "model.safetensors.index.json",
            #"{"metadata": {"total_size": 8}, "weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}"#)
        let source = try TensorFile.open(index)
        #expect(source.format == "safetensors in 2 parts" && source.files.count == 3 && source.files[0] == index)
        #expect(try source.floats().mapValues(\.values) == ["a": [1.5], "b": [2.5]])
    }

    @Test(arguments: [
        (#"{"weight_map": {"a": "../model-1.safetensors"}}"#, "would not lie beside"),
        (#"{"weight_map": {"a": "/etc/passwd"}}"#, "would not lie beside"),
        (#"{"weight_map": {"a": ".."}}"#, "would not lie beside"),
        (#"{"weight_map": {"a": "model-2.safetensors"}}"#, "model-2.safetensors"),
        (#"{"weight_map": {"c": "model-1.safetensors"}}"#, "c is not in"),
        (#"{"weight_map": {"a": "index.json"}}"#, "JSON"),
        (#"{"weight_map": {"a": "model-1.safetensors", "a": "model-1.safetensors"}}"#, "twice"),
        (#"{"weight_map": {"a": 1}}"#, "JSON"), (#"{"weight_map": {}}"#, "weight_map"), ("{", "JSON"),
    ])
    func indicesThatMakeNoSense(_ text: String, _ word: String) throws {
        let folder = try Scratch()
        _ = try folder.file("model-1.safetensors", part("a", 1.5))
        let index = try folder.file("index.json", text)
        do {
            _ = try TensorFile.open(index)
            Issue.record("it was read")
        } catch { #expect("\(error)".contains(word), "\(error)") }
    }
}
