import BEiTFiles
import BEiTModels

/// What is wrong with one parameter of a file.
package enum ParameterIssue: Equatable, Sendable {
    case missing(String)
    case unexpected(String)
    case wrongShape(String, expected: [Int], found: [Int])
    /// Integers, text, ...
    case wrongType(String, found: String)
    /// NaN or infinite values.
    case notFinite(String)
    /// Links, values in other files, damaged objects.
    case refused(String, reason: String)

    fileprivate var kind: String {
        switch self {
        case .missing: "missing"
        case .unexpected: "unexpected"
        case .wrongShape: "wrong shape"
        case .wrongType: "wrong type"
        case .notFinite: "NaN or infinite"
        case .refused: "refused"
        }
    }

    fileprivate var text: String {
        switch self {
        case .missing(let path), .unexpected(let path), .notFinite(let path): path
        case .wrongShape(let path, let expected, let found): "\(path) \(found) instead of \(expected)"
        case .wrongType(let path, let found): "\(path) (\(found))"
        case .refused(let path, let reason): "\(path) (\(reason))"
        }
    }

    fileprivate static let kinds = ["missing", "unexpected", "wrong shape", "wrong type", "NaN or infinite", "refused"]
}

extension ModelTask {
    /// The command that makes models of this kind, for remedies.
    package var command: String {
        switch self {
        case .segmentation: "finetune --task segmentation"
        case .classification: "finetune --task classification"
        case .mim: "pretrain"
        case .tokenizer: "tokenizer train"
        }
    }
}

/// Why a checkpoint cannot be used, beside what the file as HDF5 may suffer from.
package enum CheckpointError: Error, Equatable, ExitStatus {
    /// HDF5, but not beit-seg's.
    case foreign(file: String)
    case newerFormat(file: String, version: Int)
    /// A root attribute is missing or makes no sense.
    case badAttribute(file: String, name: String, reason: String)
    case contradiction(file: String, reason: String)
    case wrongTask(file: String, found: ModelTask, wanted: ModelTask)
    /// A model whose backbone was wanted has none.
    case noBackbone(file: String, ModelTask)
    /// A tokenizer, where a model with layer norms is asked for.
    case noNorms(file: String)
    /// A tokenizer that makes tokens, where pictures are asked for.
    case noDecoder(file: String)
    /// `config` describes a model that cannot be in a file of this size.
    case impossibleSize(file: String, reason: String)
    /// Everything that is wrong with the weights.
    case parameters(file: String, [ParameterIssue])
    /// An input size that the model cannot have.
    case badSize(file: String, [Int], reason: String)
    case badTrainingState(file: String, reason: String)
    /// A weight that the element type of the file cannot hold.
    case beyondRange(file: String, parameter: String, Float, WeightType)
    /// What shall be visual tokens is none, or damaged.
    case notTokens(file: String, reason: String)

    package var exitStatus: Int32 { if case .badSize = self { 64 } else { 65 } }

    package var description: String {
        switch self {
        case .badSize(let file, let size, let reason):
            "\(file): cannot take a size of \(size.map(String.init).joined(separator: "x")): \(reason)"
        case .foreign(let file):
            "\(file): HDF5, but no beit-seg model; `beit-seg import` reads the weights of other programs"
        case .newerFormat(let file, let version):
            "\(file): its format_version is \(version), this beit-seg reads 1; use the beit-seg that wrote it, or a newer one"
        case .badAttribute(let file, let name, let reason):
            "\(file): root attribute \(name): \(reason); the file is damaged, export or fetch it again"
        case .contradiction(let file, let reason):
            "\(file): root attribute \(reason); the file is damaged, export or fetch it again"
        case .wrongTask(let file, let found, let wanted):
            "\(file): this is a model for \(found.rawValue), needed is one for \(wanted.rawValue), as "
                + "`beit-seg \(wanted.command)` makes"
        case .noBackbone(let file, let task):
            "\(file): this is a model for \(task.rawValue), which has no backbone to start from; take one of "
                + "`beit-seg pretrain` or `beit-seg finetune`, or none"
        case .noNorms(let file):
            "\(file): this is a tokenizer, which has nothing to calibrate; leave `calibrate` out"
        case .noDecoder(let file):
            "\(file): it is the encoder of a tokenizer alone, which makes tokens and no pictures; import it together with "
                + "its decoder: beit-seg import ENCODER DECODER -o TOKENIZER"
        case .impossibleSize(let file, let reason):
            "\(file): \(reason); the file is damaged, export or fetch it again"
        case .parameters(let file, let issues):
            "\(file): its weights do not fit its config: \(Self.list(issues)); export or fetch it again"
        case .badTrainingState(let file, let reason):
            "\(file): its training state cannot be used: \(reason); resume from another checkpoint"
        case .beyondRange(let file, let parameter, let value, let type):
            "\(file): not written: \(parameter) has the value \(value), \(type.end); write it as float32"
        case .notTokens(let file, let reason):
            "\(file): \(reason); `beit-seg tokenizer encode` writes one"
        }
    }

    /// By kind, at most eight paths each.
    static func list(_ issues: [ParameterIssue]) -> String {
        ParameterIssue.kinds.compactMap { kind in
            let texts = issues.filter { $0.kind == kind }.map(\.text)
            guard !texts.isEmpty else { return nil }
            let rest = texts.count > 8 ? " and \(texts.count - 8) more" : ""
            return "\(kind) \(texts.prefix(8).joined(separator: ", "))\(rest)"
        }.joined(separator: "; ")
    }
}
