import BEiTFiles
import BEiTHDF5
import BEiTImageIO
import BEiTModels
import BEiTWeightFiles

/// What a file, or a folder of weights, is.
package enum Inspection: Encodable {
    case checkpoint(CheckpointFacts)
    case tokens(TokenFacts)
    case foreign(ForeignFacts)

    /// Reads every weight, so that a file that says what it is and is damaged is told from a good one.
    /// Throws ``CheckpointError``, `HDF5Error`, `WeightFileError`, ``ImportError``.
    package init(_ path: String) throws {
        guard !FileSystem.isFolder(path) else {
            self = .foreign(try ForeignFacts(path))
            return
        }
        do {
            let facts = try CheckpointFacts(path)
            _ = try Checkpoint.load(path, for: .inspection)
            self = .checkpoint(facts)
        } catch CheckpointError.foreign {
            self = try TokenFacts(path).map { .tokens($0) } ?? .foreign(ForeignFacts(path))
        } catch HDF5Error.otherFormat {
            self = .foreign(try ForeignFacts(path))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        switch self {
        case .checkpoint(let facts): try facts.encode(to: encoder)
        case .tokens(let facts): try facts.encode(to: encoder)
        case .foreign(let facts): try facts.encode(to: encoder)
        }
    }
}

/// What a checkpoint holds.
package struct CheckpointFacts: Encodable {
    package struct Parameter: Encodable {
        package var path: String
        package var shape: [Int]
        package var type: String
    }
    package let file: String
    private let format = Checkpoint.formatName
    package let bytes: Int
    package let task: ModelTask
    package let config: ModelConfiguration
    package let classes: [LabelClass]
    package let preprocessing: Preprocessing
    package let provenance: Provenance
    /// Numbers that gradients move.
    package let parameterCount: Int
    package let types: [String]
    /// Whether weights are bytes with scales.
    package let isQuantized: Bool
    package let hasTrainingState: Bool
    package let parameters: [Parameter]

    enum CodingKeys: String, CodingKey {
        case file, format, bytes, task, config, classes, preprocessing, provenance, types, parameters
        case parameterCount = "parameter_count"
        case isQuantized = "quantized"
        case hasTrainingState = "training_state"
    }

    fileprivate init(_ path: String) throws {
        let (description, parameters, training) = try Checkpoint.contents(path)
        file = path
        bytes = FileSystem.status(of: path)?.size ?? 0
        (task, config, classes) = (description.task, description.configuration, description.classes)
        (preprocessing, provenance) = (description.preprocessing, description.provenance)
        self.parameters = parameters.map {
            Parameter(
                path: String($0.path.dropFirst("/model/".count)), shape: $0.shape, type: $0.elementType.description)
        }
        let scales = Set(
            parameters.filter { $0.elementType == .int8 }.map { $0.path + StoredQuantization.suffix })
        isQuantized = !scales.isEmpty
        // Running statistics are part of the model, but learned by no gradient.
        let learned = parameters.filter {
            !$0.path.hasSuffix("/running_mean") && !$0.path.hasSuffix("/running_var") && !scales.contains($0.path)
        }
        parameterCount = learned.reduce(0) { $0 + ($1.count ?? 0) }
        types = Set(self.parameters.map(\.type)).sorted()
        hasTrainingState = !training.isEmpty
    }
}

/// What a token cache holds.
package struct TokenFacts: Encodable {
    package let file: String
    private let format = TokenCache.formatName
    /// How many.
    package let images: Int
    /// Rows and columns of tokens.
    package let grid: [Int]
    package let vocabulary: Int
    /// Height and width in pixels that the tokenizer saw.
    package let size: [Int]
    package let tokenizerSHA256: String
    /// How photos were read, where that was not the usual way.
    package let reading: String?

    enum CodingKeys: String, CodingKey {
        case file, format, images, grid, vocabulary, size, reading
        case tokenizerSHA256 = "tokenizer_sha256"
    }

    /// Nil where the file is none.
    fileprivate init?(_ path: String) throws {
        do {
            let cache = try TokenCache.Reader(path)
            (file, images, grid, size) = (path, cache.paths.count, cache.grid, cache.description.size)
            (vocabulary, tokenizerSHA256) = (cache.description.vocabulary, cache.description.tokenizerSHA256)
            reading = cache.description.reading.summary
        } catch CheckpointError.notTokens(_, TokenCache.Reader.isNone) {
            return nil
        }
    }
}

/// What weights that are not beit-seg's look like.
package struct ForeignFacts: Encodable {
    package let file: String
    private let format = "foreign"
    package let looksLike: String

    enum CodingKeys: String, CodingKey {
        case file, format
        case looksLike = "looks_like"
    }

    fileprivate init(_ path: String) throws {
        let weights = try ForeignModel([path])
        // Where `import` must be told more of the architecture, what is missing shows there.
        do { _ = try weights.load() } catch ImportError.undetermined {}
        (file, looksLike) = (path, weights.summary)
    }
}
