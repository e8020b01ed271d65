import BEiTFiles
import BEiTModels

extension Settings {
    /// `configuration` with these parts changed.
    ///
    /// Throws ``ImportError/badSetting(_:reason:)`` where a value does not have the type of its part.
    package func applied(to configuration: ModelConfiguration) throws -> ModelConfiguration {
        var all = try Settings(configuration)
        all.merge(self)
        let sections = Set(all.values.keys.compactMap { $0.split(separator: ".").first.map(String.init) })
        do {
            return try all.decode(sections.sorted(), as: ModelConfiguration.self)
        } catch {
            throw badSetting(error)
        }
    }

    /// The setting that is to blame, where the error says so.
    private func badSetting(_ error: any Error) -> ImportError {
        let texts = values.sorted { $0.key < $1.key }.map { (name: $0.key, text: "\($0.key)=\($0.value)") }
        switch error as? DecodingError {
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
            let name = context.codingPath.prefix(2).map(\.stringValue).joined(separator: ".")
            guard let found = texts.first(where: { $0.name == name }) else { break }
            let usual = Self.known[name].map { "; its default is \($0)" } ?? ""
            return .badSetting(found.text, reason: "\(name) cannot have this value\(usual)")
        case .keyNotFound(_, let context):
            let section = context.codingPath.first?.stringValue ?? ""
            guard let found = texts.first(where: { $0.name.hasPrefix(section + ".") }) else { break }
            return .badSetting(found.text, reason: "this model has no \(section)")
        default: break
        }
        return .badSetting(texts.map(\.text).joined(separator: " "), reason: JSONText.problem(error))
    }
}
