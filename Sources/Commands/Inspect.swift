import ArgumentParser
import BEiTCheckpoints
import BEiTFiles
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
        let inspection = try Inspection(try file ?? DefaultModel.path())
        if output.json {
            try Console.print(json: inspection)
        } else {
            Console.print(lines: inspection.text(verbose: common.verbose))
        }
    }
}

/// Bytes for people.
func fileSize(_ bytes: Int) -> String {
    bytes < 1_000_000 ? "\((bytes + 500) / 1000) kB" : String(format: "%.1f MB", Double(bytes) / 1e6)
}

extension Inspection {
    fileprivate func text(verbose: Bool) -> String {
        switch self {
        case .checkpoint(let facts): facts.text(verbose: verbose)
        case .tokens(let facts): facts.text
        case .foreign(let facts):
            "\(facts.file.shown): \(facts.looksLike)\n`beit-seg import \(facts.file.shown) -o MODEL.h5` makes a model of it."
        }
    }
}

extension TokenFacts {
    fileprivate var text: String {
        "\(file.shown): visual tokens of \(images.counted("photo")), \(grid[0])×\(grid[1]) of \(vocabulary) words each, from "
            + "\(size[0])×\(size[1]) pixels\(reading.map { " (\($0))" } ?? "")\ntokenizer  SHA-256 \(tokenizerSHA256)\n"
            + "`beit-seg pretrain --tokens \(file.shown)` learns from them."
    }
}

extension CheckpointFacts {
    fileprivate func text(verbose: Bool) -> String {
        var rows: [(String, String)] = [
            ("file", "\(file.shown) (\(fileSize(bytes)))"), ("task", task.rawValue),
        ]
        rows += architecture
        rows += [
            (
                "parameters",
                "\(parameterCount) (\(types.joined(separator: ", ")))"
                    + (isQuantized ? ", quantised: int8 with a scale for each output" : "")
            ),
            (
                "input",
                "\(preprocessing.size.map(String.init).joined(separator: "×")) pixels, mean \(preprocessing.mean), std \(preprocessing.std)"
            ),
        ]
        if let reading = preprocessing.reading.summary { rows.append(("images", reading)) }
        if !classes.isEmpty {
            rows.append(("classes", "\(classes.count): \(classes.map(\.name).joined(separator: ", "))"))
            if preprocessing.sharesBackground == true {
                rows.append(("background", "of one data set it may be a class of another"))
            }
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
