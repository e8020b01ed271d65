import BEiTFiles
import BEiTModels

/// Why weights of another program cannot be imported.
package enum ImportError: Error, Equatable, ExitStatus {
    case badSetting(String, reason: String)
    /// The names are those of another kind of model: with words for it.
    case otherModel(file: String, String)
    /// None of the names is one of BEiT's.
    case unknownNames(file: String, examples: [String])
    case noHead(file: String)
    /// What neither names nor shapes nor a `config.json` say.
    case undetermined(file: String, [String])
    case impossible(file: String, reason: String)
    case parameters(file: String, [ParameterIssue])
    case badConfig(file: String, reason: String)
    case twice(name: String, files: [String])
    /// Of a folder; with what is in it.
    case noWeights(folder: String, names: [String])
    case severalWeights(folder: String, names: [String])

    package var exitStatus: Int32 {
        switch self {
        case .badSetting, .undetermined, .severalWeights: 64
        case .noWeights: 66
        default: 65
        }
    }

    package var description: String {
        switch self {
        case .badSetting(let text, let reason): "`set` \(text): \(reason)"
        case .unknownNames(let file, let examples):
            "\(file): no parameter has a name of BEiT or of its tokenizer "
                + "(there are \(examples.prefix(3).joined(separator: ", "))); take the weights of a BEiT"
        case .otherModel(let file, let words):
            "\(file): the weights are those of \(words); take the weights of a BEiT (docs/weights.md lists them)"
        case .noHead(let file):
            "\(file): there is a backbone, but no head (decoder, decode_head, head, classifier, lm_head); "
                + "take the weights of a model that has one"
        case .undetermined(let file, let hints):
            "\(file): the weights do not say all of the architecture; add \(hints.joined(separator: " and "))"
        case .impossible(let file, let reason): "\(file): \(reason); correct it with `set`"
        case .parameters(let file, let issues):
            "\(file): the weights do not fit the architecture: \(CheckpointError.list(issues)); "
                + "fetch or export them again, or correct the architecture with `set`"
        case .badConfig(let file, let reason): "\(file): \(reason); correct it, or move it away and use `set`"
        case .noWeights(let folder, let names):
            "\(folder): there are no weights in this folder (\(names.isEmpty ? "it is empty" : "there are " + names.prefix(5).joined(separator: ", "))); "
                + "fetch model.safetensors or pytorch_model.bin as well"
        case .severalWeights(let folder, let names):
            "\(folder): there are several files of weights (\(names.prefix(5).joined(separator: ", "))); name one of them"
        case .twice(let name, let files):
            "\(files.joined(separator: ", ")): \(name) is there twice; import one model at a time"
        }
    }
}
