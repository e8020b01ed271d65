import BEiTFiles
import BEiTImageIO
import BEiTModels
import Foundation

/// What one source says of a model; of the rest it says nothing (nil).
///
/// Imported models are described by several sources (names and shapes, a file's own configuration, a `config.json`,
/// the command line): patches are merged, the later one wins. The members are those of the JSON of a checkpoint.
package struct ConfigurationPatch: Codable, Equatable, Sendable {
    package struct Backbone: Codable, Equatable, Sendable {
        package var width, depth, heads, patchSize: Int?
        package var mlpRatio: Double?
        package var imageSize: Sides?
        package var position: BackboneConfiguration.Position?
        package var layerScale, dropPath, normEps: Float?
        package var finalNorm: Bool?
    }

    package struct Decoder: Codable, Equatable, Sendable {
        package var kind: String?
        package var channels: Counts?
        package var normGroups, classes: Int?
        package var features, poolScales: Counts?
        package var auxiliaryChannels, auxiliaryConvolutions: Int?
        package var auxiliaryConcat: Bool?
        package var auxiliaryWeight, dropout: Float?
    }

    package struct Classifier: Codable, Equatable, Sendable {
        package var classes: Int?
        package var pooling: ClassifierConfiguration.Pooling?
    }

    package struct MIM: Codable, Equatable, Sendable {
        package var vocabulary: Int?
        package var pixels: MIMConfiguration.PixelTarget?
        package var norm: Bool?
    }

    package struct Tokenizer: Codable, Equatable, Sendable {
        package var hidden, blocks, groups, vocabulary, codeWidth: Int?
    }

    package struct Pixels: Codable, Equatable, Sendable {
        package var mean, std: [Float]?
        package var size: Sides?
        package var resize: String?
        package var cropShare: Double?
        package var reduceZeroLabel, sharedBackground: Bool?
        package var range: ImageReading.Range?
        package var bands: Counts?
    }

    package var backbone: Backbone?
    package var decoder: Decoder?
    package var classifier: Classifier?
    package var mim: MIM?
    package var tokenizer: Tokenizer?
    package var preprocessing: Pixels?

    package init() {}

    /// All that a configuration says.
    package init(_ configuration: ModelConfiguration, preprocessing: Preprocessing? = nil) {
        do {
            self = try Self.convert(configuration, from: .useDefaultKeys, to: .convertFromSnakeCase)
            self.preprocessing = try preprocessing.map {
                try Self.convert($0, from: .useDefaultKeys, to: .convertFromSnakeCase)
            }
        } catch { preconditionFailure("a configuration with a member that no patch has: \(error)") }
    }

    /// The parts that it speaks of, as they stand in the JSON of a checkpoint.
    var sections: [String] {
        let all: [(String, Any?)] = [
            ("backbone", backbone), ("decoder", decoder), ("classifier", classifier), ("mim", mim),
            ("tokenizer", tokenizer), ("preprocessing", preprocessing),
        ]
        return all.filter { $0.1 != nil }.map(\.0)
    }

    /// Takes all that `later` says.
    mutating func merge(_ later: ConfigurationPatch) { Setting.all.forEach { $0.merge(later, &self) } }

    /// The architecture that it describes in full.
    ///
    /// Throws `DecodingError` where a member is missing.
    func configuration() throws -> ModelConfiguration {
        var architecture = self
        architecture.preprocessing = nil
        return try Self.convert(architecture, from: .convertToSnakeCase, to: .useDefaultKeys)
    }

    /// `standard` with what this says of the preprocessing.
    func applied(to standard: Preprocessing) throws -> Preprocessing {
        var all = ConfigurationPatch()
        all.preprocessing = try Self.convert(standard, from: .useDefaultKeys, to: .convertFromSnakeCase)
        all.merge(self)
        return try Self.convert(all.preprocessing, from: .convertToSnakeCase, to: .useDefaultKeys)
    }

    /// `configuration` with these parts changed.
    ///
    /// Throws ``ImportError/badSetting(_:reason:)`` for a part that this kind of model does not have.
    package func applied(to configuration: ModelConfiguration) throws -> ModelConfiguration {
        var all = ConfigurationPatch(configuration)
        if let stray = sections.first(where: { !all.sections.contains($0) }) {
            throw ImportError.badSetting(
                Setting.all.first { $0.name.hasPrefix(stray + ".") && $0.text(self) != nil }?.argument(self) ?? stray,
                reason: "this model has no \(stray)")
        }
        // Another kind of decoder begins as it usually is: members of the old one would contradict it.
        if let kind = decoder?.kind.flatMap(DecoderConfiguration.Name.init(rawValue:)), let old = configuration.decoder,
            kind != old.name
        {
            var usual = ModelConfiguration()
            usual.decoder = DecoderConfiguration(kind, classes: old.classes)
            all.decoder = ConfigurationPatch(usual).decoder
        }
        all.merge(self)
        do { return try all.configuration() } catch {
            throw ImportError.badSetting(arguments.joined(separator: " "), reason: JSONText.problem(error))
        }
    }

    /// Between a patch and what it describes: the same members under the same names.
    private static func convert<From: Encodable, To: Decodable>(
        _ value: From, from encoding: JSONEncoder.KeyEncodingStrategy, to decoding: JSONDecoder.KeyDecodingStrategy
    ) throws -> To {
        let encoder = JSONEncoder(), decoder = JSONDecoder()
        (encoder.keyEncodingStrategy, decoder.keyDecodingStrategy) = (encoding, decoding)
        return try decoder.decode(To.self, from: encoder.encode(value))
    }
}
