import Models

extension Settings {
    /// `configuration` with these parts changed.
    ///
    /// Throws ``ImportError/badSetting(_:reason:)`` where a value does not have the type of its part.
    public func applied(to configuration: ModelConfiguration) throws -> ModelConfiguration {
        var all = try Settings(configuration)
        all.merge(self)
        let sections = Set(all.values.keys.compactMap { $0.split(separator: ".").first.map(String.init) })
        do {
            return try all.decode(sections.sorted(), as: ModelConfiguration.self)
        } catch {
            let texts = values.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
            throw ImportError.badSetting(texts.joined(separator: " "), reason: describeJSON(error))
        }
    }
}
