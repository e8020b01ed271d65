import BEiTFiles
import BEiTModels

/// Why weights of another program cannot be imported.
package enum ImportError: Error, Equatable, ExitStatus {
    case badSetting(String, reason: String)
    /// None of the names is one of BEiT's.
    case unknownNames(file: String, examples: [String])
    case noHead(file: String)
    /// What neither names nor shapes nor a `config.json` say.
    case undetermined(file: String, [String])
    case impossible(file: String, reason: String)
    case parameters(file: String, [ParameterIssue])
    case badConfig(file: String, reason: String)
    case twice(name: String, files: [String])

    package var exitStatus: Int32 {
        switch self {
        case .badSetting, .undetermined: 64
        default: 65
        }
    }

    package var description: String {
        switch self {
        case .badSetting(let text, let reason): "--set \(text): \(reason)"
        case .unknownNames(let file, let examples):
            "\(file): no parameter has a name of BEiT or of its tokenizer (there are \(examples.joined(separator: ", "))); "
                + "rename them as in the official release"
        case .noHead(let file):
            "\(file): there is a backbone, but no decoder.*, head.* or lm_head.*; import a model that has a head"
        case .undetermined(let file, let hints):
            "\(file): the weights do not say all of the architecture; add \(hints.joined(separator: " and "))"
        case .impossible(let file, let reason): "\(file): \(reason); correct it with --set"
        case .parameters(let file, let issues):
            "\(file): the weights do not fit the architecture: \(CheckpointError.list(issues)); "
                + "fetch or export them again, or correct the architecture with --set"
        case .badConfig(let file, let reason): "\(file): \(reason); correct it, or move it away and use --set"
        case .twice(let name, let files):
            "\(files.joined(separator: ", ")): \(name) is there twice; import one model at a time"
        }
    }
}
