import BEiTImageIO
import BEiTFiles
import Foundation
import BEiTHDF5
import BEiTLayers
import BEiTModels
import BEiTTensorCore
import BEiTWeightFiles

/// What became of the tensors of a foreign file.
package struct ImportReport: Codable, Equatable, Sendable {
    /// Parameters that took over their values.
    package var used: [String] = []
    /// Of those, the ones with another element type than float32.
    package var converted: [String] = []
    /// Tensors of the file that the model has no place for.
    package var leftOut: [String] = []
    /// Of the used, the positions that were brought to another grid of patches.
    package var resized: [String] = []
    /// What no source told, and what was taken for it.
    package var assumed: [String] = []

    enum CodingKeys: String, CodingKey {
        case used, converted, resized, assumed
        case leftOut = "left_out"
    }
}

/// Weights under official names, as flat HDF5 dumps of PyTorch state dicts hold them, or beit-seg's own.
package struct ForeignModel {
    package let files: [String]
    private let tensors: [StoredTensor]
    /// By the path of the parameter, where its name is known.
    private let refusals: [String: String]
    /// By the path of the parameter.
    private let placed: [String: StoredTensor]
    private let inference: ArchitectureInference
    private let companion: Companion?
    /// In files of beit-seg.
    private let native: ModelDescription?

    /// Looks at names and shapes; values are read by ``load(settings:classes:command:)``.
    ///
    /// - Parameter files: one, or the two halves of a tokenizer.
    ///
    /// Throws ``ImportError`` or `HDF5Error`.
    package init(_ files: [String]) throws {
        self.files = files
        var all: [StoredTensor] = [], placed: [String: StoredTensor] = [:], refusals: [String: String] = [:]
        var native: ModelDescription?
        for file in files {
            let reader = try HDF5Reader(file)
            if try reader.attribute("format") == Checkpoint.formatName { native = try Checkpoint.describe(reader) }
            let source = HDF5Source(reader)
            let tensors = source.tensors
            let half = OfficialNames.half(tensors)
            for tensor in tensors {
                guard let path = OfficialNames.path(tensor.name, half: half) else { continue }
                guard placed.updateValue(tensor, forKey: path) == nil else {
                    throw ImportError.twice(name: tensor.name, files: files)
                }
            }
            all += tensors
            for (name, reason) in source.refusals {
                refusals[OfficialNames.path(name, half: half) ?? name] = reason
            }
        }
        let file = files.joined(separator: ", ")
        let marks = ["backbone/patch_embed/proj/weight", "encoder/blocks/input/w", "decoder/blocks/input/w"]
        guard marks.contains(where: { placed[$0] != nil }) else {
            throw ImportError.unknownNames(file: file, examples: (all.map(\.name) + refusals.keys).prefix(3).map { $0 })
        }
        guard let inference = ArchitectureInference(placed.mapValues(\.shape)) else {
            throw ImportError.noHead(file: file)
        }
        (tensors, self.placed, self.refusals, self.inference) = (all, placed, refusals, inference)
        self.native = native
        companion = try native == nil ? Companion(beside: files[0]) : nil
    }

    /// Reads the weights into a new model.
    ///
    /// - Parameters:
    ///   - settings: what the user says of the architecture; overrules everything else.
    ///   - classes: nil for those that the files or their `config.json` name.
    ///   - size: another input size, height and width in pixels: positions are resized to it (``PositionResizing``).
    ///   - command: for the provenance.
    package func load(
        settings: Settings, classes: [LabelClass]?, size: [Int]? = nil, command: String
    ) throws -> (model: Model, description: ModelDescription, report: ImportReport) {
        let file = files.joined(separator: ", ")
        var report = ImportReport()
        var description = try describe(settings, classes, command, &report)
        try description.configuration.checkFits(tensors, in: files)
        let positions = try size.flatMap { try description.resize(to: $0, file: file) }
        let model = Model(description.configuration, .unset)
        var loader = ParameterLoader(placed, refusals: refusals, positions: positions)
        try loader.load(into: model.module, frozen: false)
        guard loader.issues.isEmpty else { throw ImportError.parameters(file: file, loader.issues) }
        let used = placed.filter { loader.rest[$0.key] == nil }
        report.used = used.keys.sorted()
        report.converted = used.filter { $0.value.elementType != .float32 }.keys.sorted()
        report.resized = loader.resized.sorted()
        let names = Set(used.values.map(\.name))
        report.leftOut = tensors.map(\.name).filter { !names.contains($0) }
        return (model, description, report)
    }

    private func describe(
        _ settings: Settings, _ classes: [LabelClass]?, _ command: String, _ report: inout ImportReport
    ) throws -> ModelDescription {
        let file = files.joined(separator: ", ")
        var all = inference.settings
        if let native { try all.merge(Settings(native.configuration)) }
        if let companion { all.merge(companion.settings) }
        all.merge(settings)
        if let stray = settings.sections.first(where: { !(inference.sections + ["preprocessing"]).contains($0) }) {
            throw ImportError.badSetting("\(stray).…", reason: "the weights are those of a model without \(stray)")
        }
        let missing = inference.missing(from: all)
        guard missing.isEmpty else { throw ImportError.undetermined(file: file, missing) }
        noteAssumptions(all, settings, &report)
        guard let configuration = try? all.decode(inference.sections, as: ModelConfiguration.self) else {
            throw ImportError.impossible(file: file, reason: "the architecture is incomplete: \(all.text)")
        }
        if let problem = configuration.problem { throw ImportError.impossible(file: file, reason: problem) }
        guard let task = configuration.task else { throw ImportError.noHead(file: file) }
        let result = ModelDescription(
            task: task, configuration: configuration, classes: self.classes(classes, configuration, &report),
            preprocessing: try preprocessing(configuration, settings, &report), provenance: try provenance(command))
        if let problem = result.problem { throw ImportError.impossible(file: file, reason: problem) }
        return result
    }

    private func noteAssumptions(_ all: Settings, _ given: Settings, _ report: inout ImportReport) {
        guard native == nil, inference.sections.contains("backbone") else { return }
        if all["backbone.norm_eps"] == nil {
            report.assumed.append("backbone.norm_eps = 1e-06, as in the official release")
        }
        if given["backbone.image_size"] ?? companion?.settings["backbone.image_size"] == nil {
            report.assumed.append("backbone.image_size = \(all["backbone.image_size"] ?? ""), from a square grid")
        }
    }

    private func classes(
        _ given: [LabelClass]?, _ configuration: ModelConfiguration, _ report: inout ImportReport
    ) -> [LabelClass] {
        let count = configuration.decoder?.classes ?? configuration.classifier?.classes ?? 0
        if let given { return given }
        if let native, native.classes.count == count { return native.classes }
        if let names = companion?.classNames, names.count == count {
            return LabelClass.named(names)
        }
        if count > 0 { report.assumed.append("class names (--classes FILE gives them)") }
        return LabelClass.unnamed(count)
    }

    private func preprocessing(
        _ configuration: ModelConfiguration, _ settings: Settings, _ report: inout ImportReport
    ) throws -> Preprocessing {
        var standard = Preprocessing(size: configuration.backbone?.imageSize ?? [112, 112])
        if configuration.tokenizer != nil { standard = .tokenizer(size: standard.size) }
        if configuration.classifier != nil { standard.resize = "bicubic" }
        if var own = native?.preprocessing {
            own.size = configuration.backbone?.imageSize ?? own.size
            standard = own
        } else if settings["preprocessing.mean"] == nil || settings["preprocessing.std"] == nil {
            report.assumed.append("preprocessing.mean = \(standard.mean), preprocessing.std = \(standard.std)")
        }
        var all = try Settings(standard, below: "preprocessing")
        all.merge(settings)
        guard let result = try? all.decode("preprocessing", as: Preprocessing.self) else {
            throw ImportError.impossible(
                file: files[0], reason: "preprocessing needs mean and std of three numbers, and a size")
        }
        return result
    }

    private func provenance(_ command: String) throws -> Provenance {
        var result = native?.provenance ?? Provenance(command: command)
        (result.version, result.command) = (beitSegVersion, command)
        result.parentSHA256 = try SHA256.hexDigest(ofFile: files[0])
        return result
    }
}

/// The `config.json` that Hugging Face puts beside weights.
private struct Companion {
    var settings = Settings()
    /// In the order of their indices.
    var classNames: [String]?

    private struct Fields: Decodable {
        var model_type: String?
        var num_attention_heads: Int?
        var image_size: Size?
        var layer_norm_eps: Double?
        var id2label: [String: String]?
    }

    /// One side or two.
    private struct Size: Decodable {
        let text: String
        init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            let sides = try (try? value.decode(Int.self)).map { [$0, $0] } ?? value.decode([Int].self)
            text = "\(sides)"
        }
    }

    /// Nil if there is none, or one of another kind of model.
    init?(beside file: String) throws {
        let path = file.parent.joined("config.json")
        guard FileSystem.exists(path) else { return nil }
        let data = try FileSystem.read(path)
        let fields: Fields
        do { fields = try JSONText.decode(from: data, of: path) } catch {
            throw ImportError.badConfig(file: path, reason: error.reason)
        }
        guard fields.model_type == "beit" else { return nil }
        settings["backbone.heads"] = fields.num_attention_heads.map { "\($0)" }
        settings["backbone.image_size"] = fields.image_size?.text

        // 1e-12 is what their code takes where the key is missing.
        settings["backbone.norm_eps"] = "\(fields.layer_norm_eps ?? 1e-12)"
        classNames = fields.id2label.map { labels in
            (0..<labels.count).map { labels[String($0)] ?? "class \($0)" }
        }
    }
}

extension Settings {
    /// All of them in one line.
    fileprivate var text: String { values.sorted { $0.key < $1.key }.map { "\($0)=\($1)" }.joined(separator: " ") }
}

extension ForeignModel {
    /// What the weights look like, in one line.
    package var summary: String {
        let kind =
            switch inference.sections.last {
            case "decoder": "a segmentation model"
            case "classifier": "a classification model"
            case "mim": "a model of masked image modeling"
            default: "a tokenizer"
            }
        return "weights of \(kind) under official names (\(inference.settings.text))"
    }
}
