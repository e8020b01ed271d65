import BEiTHDF5
import BEiTImageIO
import BEiTLayers
import BEiTModels
import BEiTOps
import BEiTTensorCore
import Foundation
import Testing

@testable import BEiTCheckpoints

/// Files that are damaged, or made to harm: each is refused with one line that says why.
@Suite struct BrokenFileTests {
    /// Writes a classifier whose parts `change` may replace: attributes, and datasets by their paths.
    private func write(
        _ path: String, _ sample: Sample = .classifier, attributes change: (inout [String: String]) -> Void = { _ in },
        datasets alter: (HDF5Writer, inout [String: (shape: [Int], values: [Float])]) throws -> Void = { _, _ in }
    ) throws {
        let sound = path + ".sound"
        try Checkpoint.save(sample.model().module, sample.description, to: sound)
        let reader = try HDF5Reader(sound), writer = try HDF5Writer(path)
        var attributes: [String: String] = [:]
        for name in ["format", "task", "config", "classes", "preprocessing", "provenance"] {
            attributes[name] = try reader.attribute(name)
        }
        change(&attributes)
        for (name, value) in attributes { try writer.setAttribute(name, value) }
        try writer.setAttribute("format_version", 1)
        var datasets: [String: (shape: [Int], values: [Float])] = [:]
        for info in reader.datasets { datasets[info.path] = try reader.readFloats(info.path) }
        try alter(writer, &datasets)
        for (path, (shape, values)) in datasets { try writer.write(path, shape: shape, floats: values) }
        try writer.commit()
    }

    /// The error of loading, which must be one line.
    private func refusal(_ path: String, sourceLocation: SourceLocation = #_sourceLocation) -> String {
        do {
            _ = try Checkpoint.load(path)
            Issue.record("\(path) was loaded", sourceLocation: sourceLocation)
            return ""
        } catch {
            let text = "\(error)"
            #expect(!text.contains("\n") && text.hasPrefix(path), "\(text)", sourceLocation: sourceLocation)
            return text
        }
    }

    /// Two classes of one name make masks and scores that nobody can tell apart; a classifier's list may have some.
    @Test func classesOfOneNameAreRefused() {
        let classes = LabelClass.named(["sky", "tree", "sky"])
        func problem(_ task: ModelTask, _ configuration: ModelConfiguration) -> String? {
            ModelDescription(
                task: task, configuration: configuration, classes: classes,
                preprocessing: Preprocessing(size: [224, 224]), provenance: Provenance(command: "test")
            ).problem
        }
        let backbone = BackboneConfiguration()
        let decoder = DecoderConfiguration(.deconvolution(.init()), classes: 3)
        #expect(
            problem(.segmentation, .segmentation(backbone, decoder))
                == "classes: class 0 and class 2 are both named sky; give each its own name")
        var head = ClassifierConfiguration()
        head.classes = 3
        #expect(problem(.classification, .classification(backbone, head)) == nil)
    }

    @Test func everyFlawOfTheWeightsAtOnce() throws {
        let folder = try Scratch()
        let path = folder["model.h5"]
        try write(
            path,
            datasets: { writer, datasets in
                datasets["/model/backbone/blocks/1/gamma_2"] = nil
                datasets["/model/head/bias"] = nil
                datasets["/model/backbone/blocks/2/gamma_1"] = ([12], [Float](repeating: 0, count: 12))
                datasets["/model/fc_norm/weight"] = ([13], [Float](repeating: 0, count: 13))
                datasets["/model/backbone/blocks/0/attn/q_bias"]?.values[11] = .nan
                datasets["/model/backbone/patch_embed/proj/weight"]?.values[575] = -.infinity
                datasets["/model/fc_norm/bias"] = nil
                try writer.write("/model/fc_norm/bias", shape: [12], ints: [Int64](repeating: 1, count: 12))
            })
        let issues: [ParameterIssue] = [
            .notFinite("backbone/patch_embed/proj/weight"), .missing("backbone/blocks/1/gamma_2"),
            .notFinite("backbone/blocks/0/attn/q_bias"), .wrongShape("fc_norm/weight", expected: [12], found: [13]),
            .wrongType("fc_norm/bias", found: "int64"), .missing("head/bias"), .unexpected("backbone/blocks/2/gamma_1"),
        ]
        do {
            _ = try Checkpoint.load(path)
            Issue.record("the file was loaded")
        } catch CheckpointError.parameters(let file, let found) {
            #expect(file == path)
            #expect(found.count == issues.count)
            for issue in issues { #expect(found.contains(issue), "\(issue) is not in \(found)") }
        }
        let text = refusal(path)
        #expect(text.contains("fc_norm/weight [13] instead of [12]") && text.contains("NaN"))
    }

    @Test(arguments: ["format", "task", "config", "classes", "preprocessing", "provenance"])
    func aMissingAttribute(_ name: String) throws {
        let folder = try Scratch()
        try write(folder["model.h5"], attributes: { $0[name] = nil })
        #expect(refusal(folder["model.h5"]).contains(name == "format" ? "no beit-seg model" : name))
    }

    @Test(arguments: [
        ("config", #""depth":2"#, #""depth":1000000000"#, "depth"),
        ("config", #""depth":2"#, #""depth":60000"#, "60000 blocks"),
        ("config", #""width":12"#, #""width":60000"#, "parameters"),
        ("config", #""heads":3"#, #""heads":5"#, "heads"),
        ("config", #""heads":3"#, #""heads":0"#, "heads"),
        ("config", #""width":12"#, #""width":-12"#, "width"),
        ("config", #""width":12"#, #""width":1e300"#, "config"),
        ("config", #""mlp_ratio":2.5"#, #""mlp_ratio":1e9"#, "mlp_ratio"),
        ("config", #"[8,12]"#, #"[8]"#, "image_size"),
        ("config", #"[8,12]"#, #"[8,16]"#, "size"),
        ("config", #""classes":7"#, #""classes":8"#, "classes"),
        ("config", "{", "", "JSON"),
        ("task", "classification", "mim", "task"),
        ("task", "classification", "dance", "dance"),
        ("preprocessing", #""std":[0.5,0.25,1]"#, #""std":[0.5,0,1]"#, "std"),
        ("preprocessing", #""resize":"bi"#, #""resize":"tri"#, "is none of nearest"),
        ("preprocessing", #""resize":"bi"#, #""bands":[1,0,2],"resize":"bi"#, "bands 1,0,2 are not three numbers"),
        ("preprocessing", #""resize":"bi"#, #""range":"7,7","resize":"bi"#, "the range 7,7 is not a value"),
        ("preprocessing", #""resize":"bi"#, #""range":"wide","resize":"bi"#, "range makes no sense"),
        ("classes", #"[0,0,0]"#, #"[0,0,256]"#, "classes"),
        ("classes", #"[0,0,0]"#, #"[0,0]"#, "color"),
    ])
    func aHarmfulAttribute(_ name: String, _ old: String, _ new: String, _ word: String) throws {
        let folder = try Scratch()
        try write(folder["model.h5"]) {
            #expect($0[name]?.contains(old) == true, "\($0[name] ?? "")")
            $0[name] = $0[name]?.replacing(old, with: new, maxReplacements: 1)
        }
        #expect(refusal(folder["model.h5"]).contains(word), "\(refusal(folder["model.h5"]))")
    }

    private static var strange: [Any] {
        [
            -1, 0, 1, 7, 65_536, 2_147_483_648, Int.max, 1e300, -0.5, 1e-30, "", "x", "none", NSNull(), true, [Any](),
            [0],
            [1, 2, 3], ["a", "a"], [String: Any](),
        ]
    }

    /// Every value of every JSON text in turn becomes each of many others. The file is refused in one line, or what is
    /// loaded works.
    @Test(
        arguments: [Sample.segmenter, .linearSegmenter, .mim, .tokenizer],
        ["config", "classes", "preprocessing", "provenance"])
    func anyValueOfADescription(_ sample: Sample, _ attribute: String) throws {
        let folder = try Scratch(), path = folder["model.h5"]
        try Checkpoint.save(sample.model().module, sample.description, to: folder["sound.h5"])
        let text = try #require(try HDF5Reader(folder["sound.h5"]).attribute(attribute))
        let value = try JSONSerialization.jsonObject(with: Data(text.utf8))
        for changed in Mutations(of: value).all(Self.strange) {
            let json = try JSONSerialization.data(withJSONObject: changed, options: .fragmentsAllowed)
            try write(path, sample) { $0[attribute] = String(decoding: json, as: UTF8.self) }
            do {
                try run(Checkpoint.load(path).model, size: Checkpoint.describe(path).preprocessing.size)
            } catch {
                let text = "\(error)"
                #expect(!text.contains("\n") && text.hasPrefix(path), "\(text)")
            }
        }
    }

    /// One pass over an image, if it is a small one.
    private func run(_ model: Model, size: [Int]) throws {
        guard size[0] * size[1] <= 1 << 12 else { return }
        let pixels = Variable(Tensor(repeating: 0.5, [1, 3] + size)), tape = Tape(.inference)
        switch model {
        case .segmentation(let model): _ = model(pixels, tape)
        case .classification(let model): _ = model(pixels, tape)
        case .mim(let model):
            _ = model(pixels, mask: [Bool](repeating: true, count: model.backbone.configuration.patchCount), tape)
        case .tokenizer: break
        }
    }

    @Test func weightsThatClaimTerabytes() throws {
        let folder = try Scratch()
        let path = folder["model.h5"]
        try write(
            path, attributes: { $0["config"] = $0["config"]?.replacing(#""classes":7"#, with: #""classes":1048576"#) }
        ) {
            writer, datasets in
            datasets["/model/head/weight"] = nil
            try writer.create("/model/head/weight", shape: [1 << 20, 1 << 20], as: .float32)
        }
        _ = refusal(path)
        try write(
            path + "2",
            datasets: { writer, datasets in
                datasets["/model/head/weight"] = nil
                try writer.create("/model/head/weight", shape: [7, 12], as: .float32)  // its rows are never written
            })
        #expect(refusal(path + "2").contains("head/weight"))
    }

    @Test(arguments: [0.02, 0.5, 0.9, 0.999]) func aTruncatedFile(_ part: Double) throws {
        let folder = try Scratch()
        try write(folder["model.h5"])
        let all = try bytes(folder["model.h5"])
        try Data(all.prefix(Int(Double(all.count) * part))).write(to: URL(fileURLWithPath: folder["cut.h5"]))
        _ = refusal(folder["cut.h5"])
    }

    @Test func aFlippedBit() throws {
        let folder = try Scratch()
        try write(folder["model.h5"])
        var all = try bytes(folder["model.h5"])
        let (_, values) = try HDF5Reader(folder["model.h5"]).readFloats("/model/head/weight")
        let place = try #require(all.firstRange(of: values.withUnsafeBytes { Array($0) }))
        all[place.lowerBound + 5] ^= 4
        try Data(all).write(to: URL(fileURLWithPath: folder["flipped.h5"]))
        #expect(refusal(folder["flipped.h5"]).contains("head/weight"))
    }

    @Test(arguments: ["truncated_half.h5", "signature_only.h5", "keras.h5"]) func foreignAndBroken(_ name: String)
        throws
    {
        _ = refusal(try fixture(name))
    }

    @Test func linksAreNotFollowed() throws {
        let text = refusal(try fixture("external-link.h5"))
        #expect(text.contains("refused encoder/blocks/input/w") && text.contains("missing decoder/blocks/input/w"))
    }

    @Test func theTaskMustFit() throws {
        let folder = try Scratch()
        let path = folder["model.h5"]
        try write(path)
        #expect(throws: CheckpointError.wrongTask(file: path, found: .classification, wanted: .mim)) {
            try Checkpoint.load(path, task: .mim)
        }
    }
}

func bytes(_ path: String) throws -> [UInt8] { try [UInt8](Data(contentsOf: URL(fileURLWithPath: path))) }

/// A JSON value, and those that differ from it in one place.
private struct Mutations {
    private let value: Any
    init(of value: Any) { self.value = value }

    /// Each place becomes each of `others`; each member of an object is also left out.
    func all(_ others: [Any]) -> [Any] {
        var results = others
        if let object = value as? [String: Any] {
            for (key, member) in object {
                results += Mutations(of: member).all(others).map { object.merging([key: $0]) { $1 } }
                results.append(object.filter { $0.key != key })
            }
        } else if let list = value as? [Any] {
            for index in list.indices {
                results += Mutations(of: list[index]).all(others).map { changed in
                    var list = list
                    list[index] = changed
                    return list
                }
            }
        }
        return results
    }
}
