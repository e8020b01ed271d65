import BEiTImageIO
import BEiTModels

/// A part of a model's description that has a name, such as `backbone.heads`, and a value that a text can give.
struct Setting: Sendable {
    let name: String
    /// What its values look like.
    private let form: String
    private let read: @Sendable (String, inout ConfigurationPatch) -> Bool
    /// What a patch says of it; nil for nothing.
    let text: @Sendable (ConfigurationPatch) -> String?
    /// Takes what the first patch says.
    let merge: @Sendable (ConfigurationPatch, inout ConfigurationPatch) -> Void

    private init<Section: Sendable, Value: SettingValue>(
        _ name: String, _ section: WritableKeyPath<ConfigurationPatch, Section?> & Sendable,
        _ empty: @autoclosure @escaping @Sendable () -> Section,
        _ value: WritableKeyPath<Section, Value?> & Sendable
    ) {
        (self.name, form) = (name, Value.form)
        @Sendable func put(_ new: Value, _ patch: inout ConfigurationPatch) {
            var members = patch[keyPath: section] ?? empty()
            members[keyPath: value] = new
            patch[keyPath: section] = members
        }
        read = { text, patch in
            guard let new = Value(setting: text) else { return false }
            put(new, &patch)
            return true
        }
        text = { $0[keyPath: section]?[keyPath: value]?.setting }
        merge = { later, patch in
            if let new = later[keyPath: section]?[keyPath: value] { put(new, &patch) }
        }
    }

    /// As an argument of the command line, with the value of `patch`.
    func argument(_ patch: ConfigurationPatch) -> String { "\(name)=\(text(patch) ?? "")" }

    static let all: [Setting] =
        [
            backbone("width", \.width), backbone("depth", \.depth), backbone("heads", \.heads),
            backbone("patch_size", \.patchSize), backbone("mlp_ratio", \.mlpRatio),
            backbone("image_size", \.imageSize), backbone("position", \.position),
            backbone("layer_scale", \.layerScale), backbone("drop_path", \.dropPath),
            backbone("norm_eps", \.normEps), backbone("final_norm", \.finalNorm),
        ]
        + [
            decoder("kind", \.kind), decoder("channels", \.channels), decoder("norm_groups", \.normGroups),
            decoder("classes", \.classes), decoder("features", \.features), decoder("pool_scales", \.poolScales),
            decoder("auxiliary_channels", \.auxiliaryChannels),
            decoder("auxiliary_convolutions", \.auxiliaryConvolutions),
            decoder("auxiliary_concat", \.auxiliaryConcat), decoder("auxiliary_weight", \.auxiliaryWeight),
            decoder("dropout", \.dropout),
        ]
        + [
            Setting("classifier.classes", \.classifier, .init(), \.classes),
            Setting("classifier.pooling", \.classifier, .init(), \.pooling),
            Setting("mim.vocabulary", \.mim, .init(), \.vocabulary), Setting("mim.pixels", \.mim, .init(), \.pixels),
            Setting("mim.norm", \.mim, .init(), \.norm),
        ]
        + [
            tokenizer("hidden", \.hidden), tokenizer("blocks", \.blocks), tokenizer("groups", \.groups),
            tokenizer("vocabulary", \.vocabulary), tokenizer("code_width", \.codeWidth),
        ]
        + [
            pixels("mean", \.mean), pixels("std", \.std), pixels("size", \.size), pixels("resize", \.resize),
            pixels("crop_share", \.cropShare), pixels("reduce_zero_label", \.reduceZeroLabel),
            pixels("shared_background", \.sharedBackground), pixels("range", \.range), pixels("bands", \.bands),
        ]

    private static func backbone(
        _ name: String, _ value: WritableKeyPath<ConfigurationPatch.Backbone, (some SettingValue)?> & Sendable
    ) -> Setting { Setting("backbone." + name, \.backbone, .init(), value) }

    private static func decoder(
        _ name: String, _ value: WritableKeyPath<ConfigurationPatch.Decoder, (some SettingValue)?> & Sendable
    ) -> Setting { Setting("decoder." + name, \.decoder, .init(), value) }

    private static func tokenizer(
        _ name: String, _ value: WritableKeyPath<ConfigurationPatch.Tokenizer, Int?> & Sendable
    )
        -> Setting
    { Setting("tokenizer." + name, \.tokenizer, .init(), value) }

    private static func pixels(
        _ name: String, _ value: WritableKeyPath<ConfigurationPatch.Pixels, (some SettingValue)?> & Sendable
    ) -> Setting { Setting("preprocessing." + name, \.preprocessing, .init(), value) }
}

extension ConfigurationPatch {
    /// From `name=value` texts (``Setting/all``): a number, a word, `true`, `false`, a size `48x80`, a list `256,128`.
    ///
    /// Throws ``ImportError/badSetting(_:reason:)``.
    package init(settings texts: [String]) throws {
        self.init()
        for text in texts {
            let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2, !parts[1].isEmpty else {
                throw ImportError.badSetting(text, reason: "it is not of the form name=value")
            }
            guard let setting = Setting.all.first(where: { $0.name == parts[0] }) else {
                let known = Setting.all.map(\.name).sorted().joined(separator: ", ")
                throw ImportError.badSetting(text, reason: "known are \(known)")
            }
            guard setting.set(parts[1], in: &self) else {
                throw ImportError.badSetting(text, reason: "\(setting.name) is \(setting.expected)")
            }
        }
    }

    /// All that it says, as arguments of the command line.
    var arguments: [String] { Setting.all.filter { $0.text(self) != nil }.map { $0.argument(self) } }
}

extension Setting {
    fileprivate func set(_ text: String, in patch: inout ConfigurationPatch) -> Bool { read(text, &patch) }

    /// What its values look like, with the usual one.
    fileprivate var expected: String {
        guard let usual = text(Self.usual) else { return form }
        return "\(form); its default is \(usual)"
    }

    private static let usual: ConfigurationPatch = {
        var all = ModelConfiguration()
        (all.backbone, all.decoder, all.classifier) = (.init(), .init(), .init())
        (all.mim, all.tokenizer) = (.init(), .init())
        return ConfigurationPatch(all)
    }()
}

/// A value that a text can give.
protocol SettingValue: Sendable {
    /// In words: "a whole number".
    static var form: String { get }
    init?(setting text: String)
    var setting: String { get }
}

extension Int: SettingValue {
    static var form: String { "a whole number" }
    init?(setting text: String) { self.init(text) }
    var setting: String { String(self) }
}

extension Double: SettingValue {
    static var form: String { "a number" }
    init?(setting text: String) {
        guard let value = Double(text), value.isFinite else { return nil }
        self = value
    }
    var setting: String { "\(self)" }
}

extension Float: SettingValue {
    static var form: String { Double.form }
    init?(setting text: String) {
        guard let value = Float(text), value.isFinite else { return nil }
        self = value
    }
    var setting: String { "\(self)" }
}

extension Bool: SettingValue {
    static var form: String { "true or false" }
    init?(setting text: String) { self.init(text) }
    var setting: String { "\(self)" }
}

extension String: SettingValue {
    static var form: String { "a word" }
    init?(setting text: String) { self = text }
    var setting: String { self }
}

extension [Float]: SettingValue {
    static var form: String { "numbers with commas between" }
    init?(setting text: String) {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        let values = parts.compactMap { Float(setting: String($0)) }
        guard values.count == parts.count else { return nil }
        self = values
    }
    var setting: String { map(\.setting).joined(separator: ",") }
}

extension SettingValue where Self: RawRepresentable & CaseIterable, RawValue == String {
    static var form: String { "one of " + allCases.map(\.rawValue).joined(separator: ", ") }
    init?(setting text: String) { self.init(rawValue: text) }
    var setting: String { rawValue }
}

extension ImageReading.Range: SettingValue {
    static var form: String { "auto, full, percentile, or two numbers such as 0,4095" }
    init?(setting text: String) { self.init(rawValue: text) }
    var setting: String { rawValue }
}

extension BackboneConfiguration.Position: SettingValue {}
extension ClassifierConfiguration.Pooling: SettingValue {}
extension MIMConfiguration.PixelTarget: SettingValue {}

/// Height and width in pixels; a single number stands for both.
package struct Sides: Codable, Equatable, Sendable, SettingValue {
    package var values: [Int]

    package init(_ values: [Int]) { self.values = values }

    package init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        values = try (try? value.decode(Int.self)).map { [$0, $0] } ?? value.decode([Int].self)
    }

    package func encode(to encoder: any Encoder) throws {
        var value = encoder.singleValueContainer()
        try value.encode(values)
    }

    static var form: String { "a size such as 224 or 480x640" }
    init?(setting text: String) {
        let parts = text.split(whereSeparator: { "x,".contains($0) })
        let numbers = parts.compactMap { Int($0) }
        guard numbers.count == parts.count, (1...2).contains(numbers.count) else { return nil }
        values = numbers.count == 1 ? [numbers[0], numbers[0]] : numbers
    }
    var setting: String { values.map(String.init).joined(separator: "x") }
}

/// Whole numbers; a single one stands for a list of one.
package struct Counts: Codable, Equatable, Sendable, SettingValue {
    package var values: [Int]

    package init(_ values: [Int]) { self.values = values }

    package init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        values = try (try? value.decode(Int.self)).map { [$0] } ?? value.decode([Int].self)
    }

    package func encode(to encoder: any Encoder) throws {
        var value = encoder.singleValueContainer()
        try value.encode(values)
    }

    static var form: String { "whole numbers with commas between" }
    init?(setting text: String) {
        let parts = text.split(whereSeparator: { ",x".contains($0) })
        let numbers = parts.compactMap { Int($0) }
        guard numbers.count == parts.count, !numbers.isEmpty else { return nil }
        values = numbers
    }
    var setting: String { values.map(String.init).joined(separator: ",") }
}
