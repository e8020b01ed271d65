import Foundation
import BEiTFiles
import BEiTModels

/// Parts of a configuration by name, such as `backbone.heads`: each value is a fragment of JSON.
///
/// Imported models are described by several sources (shapes, a `config.json`, `--set`), the later one wins.
package struct Settings: Equatable, Sendable {
    private(set) var values: [String: String] = [:]

    package init() {}

    /// From `name=value` texts. A value is a number, a word, `true`, `false`, a size `48x80` or a list `256,128`.
    ///
    /// Throws ``ImportError/badSetting(_:reason:)``.
    package init(_ texts: [String]) throws {
        for text in texts {
            let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2, !parts[1].isEmpty else {
                throw ImportError.badSetting(text, reason: "it is not of the form name=value")
            }
            guard let example = Self.known[parts[0]] else {
                throw ImportError.badSetting(
                    text, reason: "known are \(Self.known.keys.sorted().joined(separator: ", "))")
            }
            values[parts[0]] = Self.fragment(parts[1], asListOf: example.first == "[" ? parts[0] : nil)
        }
    }

    /// The parts of a value that encodes as an object of objects.
    init(_ value: some Encodable, below prefix: String? = nil) throws {
        let object = try JSONSerialization.jsonObject(with: Data(JSONText.line(value).utf8)) as? [String: Any] ?? [:]
        let sections = prefix.map { [$0: object] } ?? object.compactMapValues { $0 as? [String: Any] }
        for (section, members) in sections {
            for (name, member) in members {
                let data = try JSONSerialization.data(withJSONObject: member, options: .fragmentsAllowed)
                values["\(section).\(name)"] = String(decoding: data, as: UTF8.self)
            }
        }
    }

    subscript(name: String) -> String? {
        get { values[name] }
        set { values[name] = newValue }
    }

    /// The parts of the configuration that are spoken of, sorted.
    var sections: [String] { Set(values.keys.compactMap { $0.split(separator: ".").first.map(String.init) }).sorted() }

    mutating func merge(_ later: Settings) { values.merge(later.values) { $1 } }

    /// Decodes the sections `names` as members of one object.
    func decode<Value: Decodable>(_ names: [String], as: Value.Type) throws -> Value {
        let sections = names.compactMap { name in object(name).map { "\"\(name)\":\($0)" } }
        return try JSONDecoder().decode(Value.self, from: Data("{\(sections.joined(separator: ","))}".utf8))
    }

    /// Decodes one section.
    func decode<Value: Decodable>(_ name: String, as: Value.Type) throws -> Value {
        try JSONDecoder().decode(Value.self, from: Data((object(name) ?? "{}").utf8))
    }

    private func object(_ section: String) -> String? {
        let members = values.filter { $0.key.hasPrefix(section + ".") }
        guard !members.isEmpty else { return nil }
        return "{" + members.map { "\"\($0.key.dropFirst(section.count + 1))\":\($0.value)" }.joined(separator: ",")
            + "}"
    }

    /// - Parameter list: the name of a setting that is a list, where one number stands for a list of one, or for both
    ///   sides of a size.
    private static func fragment(_ text: String, asListOf list: String?) -> String {
        func number(_ text: Substring) -> String? {
            Int(text).map(String.init) ?? Double(text).flatMap { $0.isFinite ? "\($0)" : nil }
        }
        if text == "true" || text == "false" { return text }
        if let number = number(text[...]) {
            guard let list else { return number }
            return list.hasSuffix("size") ? "[\(number),\(number)]" : "[\(number)]"
        }
        for separator in ["x", ","] {
            let parts = text.components(separatedBy: separator)
            let numbers = parts.compactMap { number($0[...]) }
            if parts.count > 1, numbers.count == parts.count { return "[\(numbers.joined(separator: ","))]" }
        }
        return (try? JSONText.line(text)) ?? ""
    }

    /// Every name that a configuration can have, with the default.
    static let known: [String: String] = {
        var all = ModelConfiguration()
        (all.backbone, all.decoder, all.classifier) = (.init(), .init(), .init())
        (all.mim, all.tokenizer) = (.init(), .init())
        let names = [try? Settings(all), try? Settings(Preprocessing(size: [1, 1]), below: "preprocessing")]
        return names.compactMap { $0?.values }.reduce(into: [:]) { $0.merge($1) { $1 } }
    }()
}
