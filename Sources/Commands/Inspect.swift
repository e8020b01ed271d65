import ArgumentParser
import BEiTCheckpoints
import BEiTFiles
import BEiTHDF5
import BEiTImageIO
import BEiTModels
import BEiTSeg
import Foundation

struct Inspect: Command {
    static let configuration = CommandConfiguration(
        commandName: "inspect", abstract: "Say what a model file is.",
        discussion: HelpText.discussion(
            "Reads every weight, so that a damaged or incomplete file is told from a good one.",
            examples: "beit-seg inspect RUN/best.h5 --verbose"))

    @Argument(
        help: "A model of beit-seg, or weights of another program: a file or a folder.",
        completion: .file(extensions: ["h5", "pth", "safetensors"]))
    var file: String?

    @Flag(help: "Inspect the model that ships.")
    var defaultModel = false

    @OptionGroup var output: JSONOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        if (file == nil) != defaultModel { throw ValidationError("name a FILE or give --default-model") }
    }

    func execute() throws {
        let path = try file ?? DefaultModel.path()
        if FileSystem.isFolder(path) { return try inspectForeign(path) }
        do {
            let inspection = try Inspection(path)
            // A file that says what it is may still be damaged: read every weight before vouching for it.
            _ = try Checkpoint.load(path, frozen: false)
            if output.json {
                try Console.print(json: inspection)
            } else {
                Console.print(lines: inspection.text(verbose: common.verbose))
            }
        } catch CheckpointError.foreign {
            if let cache = try CacheInspection(path) {
                return output.json ? try Console.print(json: cache) : Console.print(lines: cache.text)
            }
            try inspectForeign(path)
        } catch HDF5Error.otherFormat {
            try inspectForeign(path)
        }
    }

    private func inspectForeign(_ path: String) throws {
        let weights = try ForeignModel([path])
        // Where `import` must be told more of the architecture, what is missing shows there.
        do { _ = try weights.load() } catch ImportError.undetermined {}
        if output.json {
            try Console.print(json: ForeignInspection(file: path, looksLike: weights.summary))
        } else {
            Console.print(
                lines:
                    "\(path.shown): \(weights.summary)\n`beit-seg import \(path.shown) -o MODEL.h5` makes a model of it."
            )
        }
    }
}

/// Bytes for people.
func fileSize(_ bytes: Int) -> String {
    bytes < 1_000_000 ? "\((bytes + 500) / 1000) kB" : String(format: "%.1f MB", Double(bytes) / 1e6)
}

/// What `inspect` says of a token cache.
private struct CacheInspection: Encodable {
    var file: String
    var format = TokenCache.formatName
    var images: Int
    var grid: [Int]
    var vocabulary: Int
    /// Height and width that the tokenizer saw.
    var size: [Int]
    var tokenizerSHA256: String

    enum CodingKeys: String, CodingKey {
        case file, format, images, grid, vocabulary, size
        case tokenizerSHA256 = "tokenizer_sha256"
    }

    /// Nil where the file is none.
    init?(_ path: String) throws {
        do {
            let cache = try TokenCache.Reader(path)
            (file, images, grid, size) = (path, cache.paths.count, cache.grid, cache.description.size)
            (vocabulary, tokenizerSHA256) = (cache.description.vocabulary, cache.description.tokenizerSHA256)
        } catch CheckpointError.notTokens(_, TokenCache.Reader.isNone) {
            return nil
        }
    }

    var text: String {
        "\(file.shown): visual tokens of \(images.counted("photo")), \(grid[0])×\(grid[1]) of \(vocabulary) words each, from "
            + "\(size[0])×\(size[1]) pixels\ntokenizer  SHA-256 \(tokenizerSHA256)\n"
            + "`beit-seg pretrain --tokens \(file.shown)` learns from them."
    }
}

/// What `inspect` says of weights that are not beit-seg's.
private struct ForeignInspection: Encodable {
    var file: String
    var format = "foreign"
    var looksLike: String

    enum CodingKeys: String, CodingKey {
        case file, format
        case looksLike = "looks_like"
    }
}

/// What `inspect` says of a checkpoint.
private struct Inspection: Encodable {
    struct Parameter: Encodable {
        var path: String
        var shape: [Int]
        var type: String
    }
    var file: String
    var format = "beit-seg"
    var bytes: Int
    var task: ModelTask
    var config: ModelConfiguration
    var classes: [LabelClass]
    var preprocessing: Preprocessing
    var provenance: Provenance
    var parameterCount: Int
    var types: [String]
    var hasTrainingState: Bool
    var parameters: [Parameter]

    enum CodingKeys: String, CodingKey {
        case file, format, bytes, task, config, classes, preprocessing, provenance, types, parameters
        case parameterCount = "parameter_count"
        case hasTrainingState = "training_state"
    }

    init(_ path: String) throws {
        let (description, parameters, training) = try Checkpoint.contents(path)
        file = path
        bytes = FileSystem.status(of: path)?.size ?? 0
        (task, config, classes) = (description.task, description.configuration, description.classes)
        (preprocessing, provenance) = (description.preprocessing, description.provenance)
        self.parameters = parameters.map {
            Parameter(
                path: String($0.path.dropFirst("/model/".count)), shape: $0.shape, type: $0.elementType.description)
        }
        // Running statistics are part of the model, but learned by no gradient.
        let learned = parameters.filter { !$0.path.hasSuffix("/running_mean") && !$0.path.hasSuffix("/running_var") }
        parameterCount = learned.reduce(0) { $0 + ($1.count ?? 0) }
        types = Set(self.parameters.map(\.type)).sorted()
        hasTrainingState = !training.isEmpty
    }

    func text(verbose: Bool) -> String {
        var rows: [(String, String)] = [
            ("file", "\(file.shown) (\(fileSize(bytes)))"), ("task", task.rawValue),
        ]
        rows += architecture
        rows += [
            ("parameters", "\(parameterCount) (\(types.joined(separator: ", ")))"),
            (
                "input",
                "\(preprocessing.size.map(String.init).joined(separator: "×")) pixels, mean \(preprocessing.mean), std \(preprocessing.std)"
            ),
        ]
        if !classes.isEmpty {
            rows.append(("classes", "\(classes.count): \(classes.map(\.name).joined(separator: ", "))"))
        }
        rows += origin
        rows.append(("training state", hasTrainingState ? "yes: a run can be resumed" : "none"))
        var table = TextTable([.left, .left], widths: [14], gap: "  ")
        for row in rows { table.add([row.0.shown, row.1.shown]) }
        var lines = table.lines
        if verbose { lines += parameters.map { "  \($0.path.shown) \($0.shape) \($0.type)" } }
        return lines.joined(separator: "\n")
    }

    private var architecture: [(String, String)] {
        var rows: [(String, String)] = []
        if let b = config.backbone {
            rows.append(
                (
                    "backbone",
                    "\(b.depth) blocks, width \(b.width), \(b.heads) heads, MLP ×\(b.mlpRatio), patches of \(b.patchSize), "
                        + "positions \(b.position.rawValue)"
                ))
        }
        if let decoder = config.decoder { rows.append(("decoder", decoder.summary)) }
        if let c = config.classifier {
            rows.append(("classifier", "\(c.classes) classes, pooling \(c.pooling.rawValue)"))
        }
        if let m = config.mim { rows.append(("head", "\(m.vocabulary) visual words")) }
        if let t = config.tokenizer {
            rows.append(
                (
                    "tokenizer",
                    "\(t.vocabulary) visual words, \(t.groups) groups of \(t.blocks) blocks from \(t.hidden) channels"
                        + (t.hasDecoder ? "" : "; the encoder alone")
                ))
        }
        return rows
    }

    private var origin: [(String, String)] {
        var rows = [("made by", "beit-seg \(provenance.version): \(provenance.command)")]
        if let seed = provenance.seed { rows.append(("seed", "\(seed)")) }
        if let data = provenance.data { rows.append(("data", data.joined(separator: ", "))) }
        if let parent = provenance.parentSHA256 { rows.append(("parent", "SHA-256 \(parent)")) }
        if let tokenizer = provenance.tokenizerSHA256 { rows.append(("tokenizer", "SHA-256 \(tokenizer)")) }
        for (name, value) in (provenance.metrics ?? [:]).sorted(by: { $0.key < $1.key }) {
            rows.append((name, "\(value)"))
        }
        return rows
    }
}
