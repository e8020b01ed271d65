import BEiTFiles
import BEiTHDF5
import BEiTImageIO
import BEiTLayers
import BEiTModels
import BEiTWeightFiles

/// What became of the tensors of a foreign file.
package struct ImportReport: Codable, Equatable, Sendable {
    /// A tensor that the model has no place for.
    package struct LeftOut: Codable, Equatable, Sendable {
        package var name: String
        package var reason: String
    }

    /// Of the file: "HDF5", "safetensors", ...
    package var format: String
    /// Whose names the tensors have.
    package var layout: String
    /// Parameters that took over their values.
    package var used: [String] = []
    /// Of those, the ones with another element type than float32.
    package var converted: [String] = []
    package var leftOut: [LeftOut] = []
    /// Of the used, the positions that were brought to another grid of patches.
    package var resized: [String] = []
    /// What no source told, and what was taken for it.
    package var assumed: [String] = []
    /// How the model compares with another framework's logits, where that was asked for.
    package var check: String?

    enum CodingKeys: String, CodingKey {
        case format, layout, used, converted, resized, assumed, check
        case leftOut = "left_out"
    }
}

/// What the user says of weights from elsewhere.
package struct ImportOptions: Sendable {
    /// Of the architecture and of the preprocessing; overrules everything else.
    package var settings = ConfigurationPatch()
    /// Nil for those that the files name.
    package var classes: [LabelClass]?
    /// Another input size, height and width in pixels: positions are resized to it (``PositionResizing``).
    package var size: [Int]?
    /// For the provenance.
    package var command = ""

    package init() {}

    /// - Parameter settings: `name=value`.
    ///
    /// Throws ``ImportError/badSetting(_:reason:)``.
    package init(settings: [String], size: [Int]? = nil) throws {
        self.settings = try ConfigurationPatch(settings: settings)
        self.size = size
    }
}

/// Weights of another program, or of beit-seg.
package struct ForeignModel {
    /// What was read, the files of weights first.
    package var files: [String] { halves.flatMap(\.source.files) + (companion?.files ?? []) }
    /// One, or the two halves of a tokenizer.
    private let halves: [ForeignTensors]
    /// By the path of the parameter.
    private let placed: [String: StoredTensor]
    private let inference: ArchitectureInference
    private let companion: Companion?
    /// In files of beit-seg.
    private let native: ModelDescription?
    /// As the user named them.
    private let sources: [String]
    private var name: String { sources.joined(separator: ", ") }

    /// Looks at names and shapes; values are read by ``load(_:)``.
    ///
    /// - Parameter sources: a file or a folder as it is published, or the two files of a tokenizer.
    ///
    /// Throws ``ImportError``, `WeightFileError`, `HDF5Error` or `FileError`.
    package init(_ sources: [String]) throws {
        self.sources = sources
        let paths = try sources.map { FileSystem.isFolder($0) ? try WeightFolder.weights(in: $0) : $0 }
        halves = try paths.map { try ForeignTensors(TensorFile.open($0)) }
        var placed: [String: StoredTensor] = [:]
        for half in halves {
            for (path, tensor) in half.placed {
                guard placed.updateValue(tensor, forKey: path) == nil else {
                    throw ImportError.twice(name: half.names[path]?.first ?? path, files: sources)
                }
            }
        }
        self.placed = placed
        let readers = halves.compactMap { ($0.source as? HDF5Source)?.reader }
        native = try readers.first { try $0.attribute("format") == Checkpoint.formatName }.map(Checkpoint.describe)
        var shapes = placed.mapValues(\.shape)
        for path in halves.flatMap(\.refusals.keys) where shapes[path] == nil { shapes[path] = [] }
        guard let inference = ArchitectureInference(shapes) else {
            throw ImportError.noHead(file: sources.joined(separator: ", "))
        }
        self.inference = inference
        companion =
            native == nil && inference.sections.contains("backbone") ? try Companion(beside: paths[0]) : nil
    }

    /// Reads the weights into a new model.
    ///
    /// Throws ``ImportError``, ``CheckpointError``, `WeightFileError` or `HDF5Error`.
    package func load(
        _ options: ImportOptions = ImportOptions()
    ) throws -> (model: Model, description: ModelDescription, report: ImportReport) {
        var report = ImportReport(
            format: halves.map(\.source.format).joined(separator: ", "),
            layout: halves.map(\.layout.name).joined(separator: ", "))
        var description = try describe(options, &report)
        try description.configuration.checkFits(halves.flatMap(\.source.tensors), in: halves.flatMap(\.source.files))
        let positions = try options.size.flatMap { try description.resize(to: $0, file: name) }
        let model = Model(description.configuration, .unset)
        let refusals = Dictionary(halves.flatMap(\.refusals)) { first, _ in first }
        var loader = ParameterLoader(placed, refusals: refusals, positions: positions)
        try loader.load(into: model.module, freezing: nil)
        guard loader.issues.isEmpty else {
            throw ImportError.parameters(file: name, loader.issues.map { $0.named(halves[0].layout) })
        }
        let used = placed.filter { loader.rest[$0.key] == nil }
        report.used = used.keys.sorted()
        report.converted = used.filter { $0.value.elementType != .float32 }.keys.sorted()
        report.resized = loader.resized.sorted()
        report.leftOut = leftOut(loader.rest)
        return (model, description, report)
    }

    /// - Parameter rest: what has a path, but no parameter.
    private func leftOut(_ rest: [String: StoredTensor]) -> [ImportReport.LeftOut] {
        let known = halves.flatMap(\.leftOut).map { ImportReport.LeftOut(name: $0.key, reason: $0.value) }
        let others = rest.keys.flatMap { path in
            (halves.lazy.compactMap { $0.names[path] }.first ?? []).map {
                ImportReport.LeftOut(name: $0, reason: Self.reason(path, inference.sections.last ?? ""))
            }
        }
        return (known + others).sorted { $0.name < $1.name }
    }

    private static func reason(_ path: String, _ section: String) -> String {
        switch path {
        case "backbone/mask_token": "only masked image modeling needs it"
        case "backbone/norm/weight", "backbone/norm/bias": "this kind of model does not use the final norm"
        case "fc_norm/weight", "fc_norm/bias": "only a classifier needs it"
        default: "a model with a \(section) has no such parameter"
        }
    }
}

extension ParameterIssue {
    /// What is missing goes by the name that the file would have for it.
    fileprivate func named(_ layout: WeightLayout) -> ParameterIssue {
        guard case .missing(let path) = self, let names = layout.names(of: path)?.names else { return self }
        return .missing(names.joined(separator: ", "))
    }
}

// MARK: What is said of the model

extension ForeignModel {
    private func describe(_ options: ImportOptions, _ report: inout ImportReport) throws -> ModelDescription {
        let known = inference.sections + ["preprocessing"]
        if let stray = options.settings.sections.first(where: { !known.contains($0) }) {
            let argument = options.settings.arguments.first { $0.hasPrefix(stray + ".") } ?? stray
            throw ImportError.badSetting(argument, reason: "the weights are those of a model without \(stray)")
        }
        let all = try merged(options.settings)
        let missing = inference.missing(from: all)
        guard missing.isEmpty else { throw ImportError.undetermined(file: name, missing) }
        noteAssumptions(all, options.settings, &report)
        guard let configuration = try? all.configuration() else {
            throw ImportError.impossible(
                file: name, reason: "the architecture is incomplete: \(all.arguments.joined(separator: " "))")
        }
        if let problem = configuration.problem { throw ImportError.impossible(file: name, reason: problem) }
        guard let task = configuration.task else { throw ImportError.noHead(file: name) }
        let result = ModelDescription(
            task: task, configuration: configuration, classes: classes(options, configuration, &report),
            preprocessing: try preprocessing(options, configuration, &report),
            provenance: try provenance(options.command))
        if let problem = result.problem { throw ImportError.impossible(file: name, reason: problem) }
        return result
    }

    /// All sources, the more certain ones later. Throws where they contradict each other.
    private func merged(_ given: ConfigurationPatch) throws -> ConfigurationPatch {
        var all = inference.patch
        if let native { all.merge(ConfigurationPatch(native.configuration)) }
        if let companion {
            for setting in Setting.all {
                guard let claim = setting.text(companion.claims), let found = setting.text(inference.patch),
                    claim != found
                else { continue }
                throw ImportError.badConfig(
                    file: companion.files.first ?? name,
                    reason: "it says \(setting.name) = \(claim), and the weights have \(found)")
            }
            var known = companion.patch
            if inference.patch.backbone?.layerScale == 0 { known.backbone?.layerScale = nil }
            if inference.patch.decoder?.kind != "upernet" { known.decoder = nil }
            known.preprocessing = nil
            all.merge(known)
        }
        all.merge(given)
        all.preprocessing = nil
        return all
    }

    private func noteAssumptions(
        _ all: ConfigurationPatch, _ given: ConfigurationPatch, _ report: inout ImportReport
    ) {
        guard native == nil, inference.sections.contains("backbone") else { return }
        if all.backbone?.normEps == nil {
            report.assumed.append("backbone.norm_eps = 1e-06, as in the official release")
        }
        if given.backbone?.imageSize == nil, companion?.patch.backbone?.imageSize == nil {
            report.assumed.append(
                "backbone.image_size = \(all.backbone?.imageSize?.setting ?? ""), from a square grid")
        }
        guard all.decoder?.kind == "upernet", given.decoder?.features == nil else { return }
        if let companion, companion.patch.decoder?.features != nil {
            report.assumed += companion.notes
        } else if let features = all.decoder?.features {
            report.assumed.append("decoder.features = \(features.values), the blocks of the official release")
        }
    }

    private func classes(
        _ options: ImportOptions, _ configuration: ModelConfiguration, _ report: inout ImportReport
    ) -> [LabelClass] {
        let count = configuration.decoder?.classes ?? configuration.classifier?.classes ?? 0
        if let given = options.classes { return given }
        if let native, native.classes.count == count { return native.classes }
        let metadata = halves[0].source.metadata
        if let names = metadata.classNames ?? companion?.classNames, names.count == count, !names.contains("") {
            return Self.colored(names, metadata.palette)
        }
        guard count > 0 else { return [] }
        let lists = KnownClasses.names.filter { KnownClasses.list($0)?.count == count }
        let usual = lists.map { "; `classes` \($0) takes that list" }.joined()
        report.assumed.append("class names \"class 0\" to \"class \(count - 1)\" (`classes` FILE gives them\(usual))")
        return LabelClass.unnamed(count)
    }

    /// With the file's colours, or the usual ones of a list that is known.
    private static func colored(_ names: [String], _ palette: [[Int]]?) -> [LabelClass] {
        if let palette, palette.count == names.count {
            let colors = palette.map { $0.compactMap { UInt8(exactly: $0) } }
            if colors.allSatisfy({ $0.count == 3 }) {
                return zip(names, colors).map { LabelClass(name: $0, color: RGBColor($1[0], $1[1], $1[2])) }
            }
        }
        return names == KnownClasses.ade20k.map(\.name) ? KnownClasses.ade20k : LabelClass.named(names)
    }

    private func preprocessing(
        _ options: ImportOptions, _ configuration: ModelConfiguration, _ report: inout ImportReport
    ) throws -> Preprocessing {
        var standard = Preprocessing(size: configuration.backbone?.imageSize ?? [112, 112])
        if configuration.tokenizer != nil { standard = .tokenizer(size: standard.size) }
        if configuration.classifier != nil { standard.resize = "bicubic" }
        var said = companion?.patch.preprocessing ?? ConfigurationPatch.Pixels()
        if let own = native?.preprocessing {
            standard = own
            standard.size = configuration.backbone?.imageSize ?? own.size
        } else if inference.patch.decoder?.kind == "upernet", companion?.patch.preprocessing == nil {
            // The authors' segmentation takes ImageNet's statistics, although the backbone was pre-trained with 0.5.
            (standard.mean, standard.std) = (Preprocessing.imageNetMean, Preprocessing.imageNetStd)
        }
        said.size = nil
        var all = ConfigurationPatch()
        all.preprocessing = said
        all.merge(options.settings)
        if native == nil, all.preprocessing?.mean == nil || all.preprocessing?.std == nil {
            report.assumed.append("preprocessing.mean = \(standard.mean), preprocessing.std = \(standard.std)")
        }
        do { return try all.applied(to: standard) } catch {
            throw ImportError.impossible(
                file: name, reason: "preprocessing needs mean and std of three numbers, and a size")
        }
    }

    private func provenance(_ command: String) throws -> Provenance {
        var result = native?.provenance ?? Provenance(command: command)
        (result.version, result.command) = (beitSegVersion, command)
        result.parentSHA256 = try SHA256.hexDigest(ofFile: halves[0].source.files[0])
        return result
    }

    /// What the weights look like, in one line.
    package var summary: String {
        let kind =
            switch inference.sections.last {
            case "decoder": "a segmentation model"
            case "classifier": "a classification model"
            case "mim": "a model of masked image modeling"
            default: "a tokenizer"
            }
        let form = "\(halves[0].source.format), \(halves[0].layout.name) names"
        return "weights of \(kind) (\(form): \(inference.patch.arguments.joined(separator: " ")))"
    }
}
