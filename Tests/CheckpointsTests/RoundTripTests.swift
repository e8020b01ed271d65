import BEiTCheckpoints
import BEiTHDF5
import BEiTLayers
import BEiTModels
import BEiTOps
import BEiTTensorCore
import Foundation
import Testing

@Suite struct RoundTripTests {
    @Test(arguments: Sample.allCases, [false, true]) func sameBits(_ sample: Sample, compressed: Bool) throws {
        let folder = try Scratch()
        let model = sample.model(), path = folder["model.h5"]
        try Checkpoint.save(model.module, sample.description, compress: compressed, to: path)
        let (loaded, description) = try Checkpoint.load(path, task: sample.description.task, for: .learning)
        for (saved, found) in zip(model.module.parameters, loaded.module.parameters) {
            #expect(saved.path == found.path)
            #expect(saved.parameter.value.values.map(\.bitPattern) == found.parameter.value.values.map(\.bitPattern))
        }
        #expect(description.task == sample.description.task)
        #expect(description.configuration == sample.configuration)
        #expect(description.classes == sample.description.classes)
        #expect(description.preprocessing == sample.description.preprocessing)
        #expect(description.provenance == sample.description.provenance)
        #expect(try StoredTrainingState(path) == nil)
    }

    @Test func halvesAreRoundedToEven() throws {
        let folder = try Scratch()
        let model = Sample.segmenter.model(), path = folder["model.h5"]
        try Checkpoint.save(model.module, Sample.segmenter.description, as: .float16, to: path)
        #expect(try HDF5Reader(path).info("/model/backbone/cls_token").elementType == .float16)
        let loaded = try Checkpoint.load(path, for: .learning).model
        for (saved, found) in zip(model.module.parameters, loaded.module.parameters) {
            #expect(saved.parameter.value.values.map { Float(Float16($0)) } == found.parameter.value.values)
        }
    }

    /// float16 ends at 65504, and rounds up to infinity from 65520 on.
    @Test(arguments: [false, true]) func whatHalvesCannotHoldIsNotWritten(flat: Bool) throws {
        let folder = try Scratch(), path = folder["model.h5"], sample = Sample.segmenter
        let model = sample.model()
        let weight = try #require(model.module.parameters.first { $0.path == "decoder/head/bias" }).parameter.value
        func save(_ type: WeightType) throws {
            if flat { return _ = try Export(model, sample.description, for: .flat).write(to: path, as: type) }
            try Checkpoint.save(model.module, sample.description, as: type, to: path)
        }
        for value: Float in [65520, -65520, 1e38] {
            weight.pointer[3] = value
            #expect(throws: CheckpointError.beyondRange(file: path, parameter: "decoder/head/bias", value, .float16)) {
                try save(.float16)
            }
            #expect(!FileManager.default.fileExists(atPath: path))
            try save(.float32)
            try FileManager.default.removeItem(atPath: path)
        }
        weight.pointer[3] = 65519
        try save(.float16)
        let name = flat ? "/decoder.head.bias" : "/model/decoder/head/bias"
        #expect(try HDF5Reader(path).readFloats(name).values[3] == 65504)
    }

    @Test func frozenModelsComputeTheSame() throws {
        let folder = try Scratch()
        let path = folder["model.h5"]
        try Checkpoint.save(Sample.segmenter.model().module, Sample.segmenter.description, to: path)
        var generator = Philox(seed: 9)
        let pixels = Tensor((0..<2 * 3 * 8 * 12).map { _ in generator.normal() }, [2, 3, 8, 12])
        let outputs = try [false, true].map { frozen in
            let use = frozen ? ModelUse.inference() : .learning
            guard case .segmentation(let model) = try Checkpoint.load(path, for: use).model else {
                return [Float]()
            }
            return model(Variable(pixels), Tape(.inference)).value.values
        }
        #expect(outputs[0].count == 2 * 8 * 12 * 5)
        for (plain, packed) in zip(outputs[0], outputs[1]) { #expect(abs(plain - packed) <= 1e-4 + 1e-4 * abs(plain)) }
    }

    @Test func trainingStateComesBack() throws {
        let folder = try Scratch()
        let path = folder["last.h5"]
        let state = TrainingState(
            tensors: [
                ("moments/first/decoder/head/weight", Tensor([1, -0.0, .leastNonzeroMagnitude, 4, 5, 6], [2, 3])),
                ("step", Tensor([7], [])),
            ], json: #"{"step": 12, "Datenplatz": "ä"}"#)
        try Checkpoint.save(Sample.mim.model().module, Sample.mim.description, training: state, to: path)
        let found = try #require(try StoredTrainingState(path))
        #expect(found.json == state.json)
        for (name, tensor) in state.tensors {
            let place = Tensor(repeating: .nan, tensor.shape)
            try found.read(name, into: place)
            #expect(place.values.map(\.bitPattern) == tensor.values.map(\.bitPattern))
        }
        for (name, shape, flaw) in [("step", [2], "has the shape [] instead of [2]"), ("stop", [], "is missing")] {
            #expect(throws: CheckpointError.badTrainingState(file: path, reason: "/training/\(name) \(flaw)")) {
                try found.read(name, into: .zeros(shape))
            }
        }
        _ = try Checkpoint.load(path)  // and the model beside it
    }

    @Test func theSameModelGivesTheSameBytes() throws {
        let folder = try Scratch()
        for name in ["a.h5", "b.h5"] {
            try Checkpoint.save(Sample.classifier.model().module, Sample.classifier.description, to: folder[name])
        }
        #expect(try bytes(folder["a.h5"]) == bytes(folder["b.h5"]))
    }
}
