import BEiTHDF5
import BEiTLayers
import BEiTModels
import BEiTOps
import BEiTTensorCore
import Foundation
import Testing

@testable import BEiTCheckpoints

/// Files whose weights are bytes with scales, or bfloat16.
@Suite struct QuantizedFileTests {
    private func save(_ sample: Sample, as type: WeightType, to path: String) throws -> Model {
        let model = sample.model()
        try Checkpoint.save(model.module, sample.description, as: type, to: path)
        return model
    }

    /// Each weight within half a step of its output; what is no factor of a product to the last bit.
    @Test(arguments: Sample.allCases) func floatsComeBack(_ sample: Sample) throws {
        let folder = try Scratch(), path = folder["model.h5"]
        let model = try save(sample, as: .int8, to: path)
        let reader = try HDF5Reader(path)
        var quantized = 0
        let loaded = try Checkpoint.load(path, for: .learning).model
        for (saved, found) in zip(model.module.parameters, loaded.module.parameters) {
            let (values, dataset) = (saved.parameter.value, "/model/" + saved.path)
            guard saved.parameter.isQuantizable else {
                #expect(try reader.info(dataset).elementType == .float32)
                #expect(found.parameter.value.values == values.values)
                continue
            }
            quantized += 1
            let info = try reader.info(dataset)
            #expect(info.shape == values.shape && info.elementType == .int8)
            let scales = try reader.readFloats(dataset + "_scale")
            #expect(
                scales.shape.enumerated().allSatisfy {
                    $1 == ($0 == saved.parameter.outputAxis ? values.shape[$0] : 1)
                })
            let step = try #require(scales.values.max())
            #expect(zip(values.values, found.parameter.value.values).allSatisfy { abs($0 - $1) <= 0.5001 * step })
        }
        #expect(quantized > 2)
    }

    /// Straight from the bytes, it computes what the float file does in int8; and a second export gives the same bytes.
    @Test(arguments: [Sample.segmenter, .linearSegmenter, .classifier, .mim]) func inferenceInBytes(_ sample: Sample)
        throws
    {
        let folder = try Scratch()
        _ = try save(sample, as: .float32, to: folder["float.h5"])
        _ = try save(sample, as: .int8, to: folder["int8.h5"])
        var generator = Philox(seed: 9)
        let pixels = Tensor((0..<2 * 3 * 8 * 12).map { _ in generator.normal() }, [2, 3, 8, 12])
        func logits(_ name: String, _ precision: Precision?) throws -> [Float] {
            let (model, description) = try Checkpoint.load(folder[name], for: .inference(precision))
            #expect(description.precision == precision ?? .int8)
            switch model {
            case .segmentation(let model): return model(Variable(pixels), Tape(.inference)).value.values
            case .classification(let model): return model(Variable(pixels), Tape(.inference)).value.values
            case .mim(let model):
                let mask = [Bool](repeating: false, count: 12)
                return model(Variable(pixels), mask: mask, Tape(.inference)).value.values
            case .tokenizer: return []
            }
        }
        let (own, file, floats) = try (logits("float.h5", .int8), logits("int8.h5", nil), logits("float.h5", .fp32))
        let expanded = try logits("int8.h5", .fp32)
        let size = floats.map(abs).max() ?? 0
        func error(_ values: [Float], _ wanted: [Float]) -> Float {
            zip(values, wanted).map { abs($0 - $1) }.max() ?? 9
        }
        #expect(own.count == file.count && !own.isEmpty)
        // Kernels cut into phases have finer steps of their own, where they come from floats.
        #expect(error(own, file) < (sample == .segmenter ? 0.05 : 1e-5) * size)
        #expect(error(expanded, floats) < 0.1 * size && error(expanded, floats) > 0)

        let (model, description) = try Checkpoint.load(folder["int8.h5"], for: .learning)
        try Checkpoint.save(model.module, description, as: .int8, to: folder["again.h5"])
        let readers = try ["int8.h5", "again.h5"].map { try HDF5Reader(folder[$0]) }
        #expect(readers[0].datasets == readers[1].datasets)
        for info in readers[0].datasets where info.elementType == .int8 {
            let bytes = try readers.map { reader in
                var bytes = [Int8](repeating: 0, count: info.count ?? 0)
                try bytes.withUnsafeMutableBufferPointer { try reader.readSignedBytes(info.path, into: $0) }
                return bytes
            }
            #expect(bytes[0] == bytes[1])
        }
    }

    /// Of UperNet, whose last convolution goes through the joined maps tap by tap: the bytes of a file, and bytes made of floats
    /// when they are read.
    @Test func upernetInBytes() throws {
        var (description, upernet) = (Sample.segmenter.description, UperNetConfiguration())
        (upernet.channels, upernet.features, upernet.auxiliary) = (8, [0, 0, 0, 1], nil)
        description.configuration.decoder = DecoderConfiguration(.upernet(upernet), classes: 5)
        let model = Model(description.configuration, Initializer(seed: 5, style: .finetuning)), folder = try Scratch()
        try Checkpoint.save(model.module, description, as: .float32, to: folder["float.h5"])
        try Checkpoint.save(model.module, description, as: .int8, to: folder["int8.h5"])
        var generator = Philox(seed: 9)
        let pixels = Tensor((0..<2 * 3 * 8 * 12).map { _ in generator.normal() }, [2, 3, 8, 12])
        func logits(_ name: String, _ precision: Precision?) throws -> [Float] {
            guard case .segmentation(let model) = try Checkpoint.load(folder[name], for: .inference(precision)).model
            else { return [] }
            return model(Variable(pixels), Tape(.inference)).value.values
        }
        let floats = try logits("float.h5", .fp32), size = floats.map(abs).max() ?? 0
        for (name, precision) in [("float.h5", Precision.int8), ("int8.h5", nil), ("int8.h5", .fp32)] {
            let error = zip(try logits(name, precision), floats).map { abs($0 - $1) }.max() ?? 0
            #expect(error > 1e-6 * size && error < 0.05 * size, "\(name) in \(precision ?? .int8)")
        }
    }

    @Test func bfloat16IsRead() throws {
        let folder = try Scratch(), path = folder["model.h5"]
        let model = try save(.segmenter, as: .bfloat16, to: path)
        let (loaded, _) = try Checkpoint.load(path, for: .learning)
        for (saved, found) in zip(model.module.parameters, loaded.module.parameters) {
            #expect(
                zip(saved.parameter.value.values, found.parameter.value.values).allSatisfy {
                    Float(bitPattern: UInt32(bfloat16Bits($0)) << 16) == $1
                })
        }
        #expect(try Checkpoint.load(path).description.precision == (Precision.bf16.problem == nil ? .bf16 : .fp32))
        let weight = try #require(model.module.parameters.first).parameter.value
        weight.pointer[0] = 3.4e38
        #expect(throws: CheckpointError.self) {
            try Checkpoint.save(model.module, Sample.segmenter.description, as: .bfloat16, to: path)
        }
    }

    @Test func importTakesItToo() throws {
        let folder = try Scratch(), path = folder["model.h5"]
        _ = try save(.classifier, as: .int8, to: path)
        let (model, _, report) = try ForeignModel([path]).load()
        let wanted = try Checkpoint.load(path, for: .learning).model
        for (a, b) in zip(wanted.module.parameters, model.module.parameters) {
            #expect(a.parameter.value.values == b.parameter.value.values)
        }
        #expect(report.leftOut.isEmpty && report.converted.contains("head/weight"))
    }

    // MARK: Damage

    private typealias Datasets = [String: (shape: [Int], bytes: [Int8]?, floats: [Float])]

    /// A file of int8 whose datasets `change` alters.
    private func write(_ path: String, _ change: (inout Datasets) -> Void) throws {
        let sound = path + ".sound"
        _ = try save(.classifier, as: .int8, to: sound)
        let reader = try HDF5Reader(sound), writer = try HDF5Writer(path)
        for name in ["format", "task", "config", "classes", "preprocessing", "provenance"] {
            try writer.setAttribute(name, reader.attribute(name) ?? "")
        }
        try writer.setAttribute("format_version", 1)
        var datasets: Datasets = [:]
        for info in reader.datasets {
            guard info.elementType == .int8 else {
                let (shape, values) = try reader.readFloats(info.path)
                datasets[info.path] = (shape, nil, values)
                continue
            }
            var bytes = [Int8](repeating: 0, count: info.count ?? 0)
            try bytes.withUnsafeMutableBufferPointer { try reader.readSignedBytes(info.path, into: $0) }
            datasets[info.path] = (info.shape, bytes, [])
        }
        change(&datasets)
        for (path, (shape, bytes, floats)) in datasets {
            if let bytes {
                try bytes.withUnsafeBufferPointer { try writer.write(path, shape: shape, signedBytes: $0) }
            } else {
                try writer.write(path, shape: shape, floats: floats)
            }
        }
        try writer.commit()
    }

    private static let weight = "/model/head/weight", scale = "/model/head/weight_scale"

    static let flaws: [(name: String, issue: ParameterIssue)] = [
        ("missing", .missing("head/weight_scale")),
        ("alone", .unexpected("head/weight_scale")),
        ("flat", .wrongShape("head/weight_scale", expected: [7, 1], found: [7])),
        ("nan", .notFinite("head/weight_scale")),
        ("huge", .notFinite("head/weight_scale")),
        ("negative", .refused("head/weight_scale", reason: "not every scale is above 0")),
        ("zero", .refused("head/weight_scale", reason: "not every scale is above 0")),
        ("bytes", .wrongType("head/weight_scale", found: "int8")),
        ("low", .refused("head/weight", reason: "its bytes are not all -127 to 127")),
        ("shape", .wrongShape("head/weight", expected: [7, 12], found: [12, 7])),
        ("bias", .wrongType("head/bias", found: "int8")),
    ]

    @Test(arguments: flaws) func isRefused(_ flaw: (name: String, issue: ParameterIssue)) throws {
        let folder = try Scratch(), path = folder["model.h5"]
        try write(path) { datasets in
            switch flaw.name {
            case "missing": datasets[Self.scale] = nil
            case "alone":
                datasets[Self.weight] = ([7, 12], nil, [Float](repeating: 0, count: 84))
            case "flat": datasets[Self.scale]?.shape = [7]
            case "nan": datasets[Self.scale]?.floats[3] = .nan
            case "huge": datasets[Self.scale]?.floats[3] = 1e37
            case "negative": datasets[Self.scale]?.floats[6] *= -1
            case "zero": datasets[Self.scale]?.floats[0] = 0
            case "bytes": datasets[Self.scale]?.bytes = [Int8](repeating: 1, count: 7)
            case "low": datasets[Self.weight]?.bytes?[83] = -128
            case "shape": datasets[Self.weight]?.shape = [12, 7]
            default: datasets["/model/head/bias"] = ([7], [Int8](repeating: 1, count: 7), [])
            }
        }
        for use in [ModelUse.learning, .inspection, .inference(), .inference(.fp32)] {
            #expect(throws: CheckpointError.parameters(file: path, [flaw.issue])) {
                try Checkpoint.load(path, for: use)
            }
        }
    }
}
