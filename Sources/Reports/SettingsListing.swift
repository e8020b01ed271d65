import BEiTFiles

/// A value's parts by name, for people: `optimizer.beta` for what is inside another.
package func listing(_ value: some Encodable) throws -> [(name: String, value: String)] {
    try JSONText.decode(Tree.self, from: JSONText.line(value).utf8, of: "settings").rows(below: "")
}

private indirect enum Tree: Decodable {
    case leaf(String)
    case list([Tree])
    case object([String: Tree])

    init(from decoder: any Decoder) throws {
        if let object = try? [String: Tree](from: decoder) {
            self = .object(object)
        } else if let list = try? [Tree](from: decoder) {
            self = .list(list)
        } else {
            let value = try decoder.singleValueContainer()
            let whole =
                (try? value.decode(Int.self)).map { "\($0)" } ?? (try? value.decode(UInt64.self)).map { "\($0)" }
            self = .leaf(
                (try? value.decode(Bool.self)).map { $0 ? "yes" : "no" } ?? whole
                    ?? (try? value.decode(Double.self)).map { "\($0)" } ?? (try? value.decode(String.self)) ?? "none")
        }
    }

    func rows(below name: String) -> [(name: String, value: String)] {
        switch self {
        case .leaf(let text): [(name, text)]
        case .list(let parts):
            [
                (
                    name,
                    parts.flatMap { $0.rows(below: "") }.map { $0.name.isEmpty ? $0.value : "\($0.name) \($0.value)" }
                        .joined(separator: ", ")
                )
            ]
        case .object(let parts):
            parts.isEmpty && !name.isEmpty
                ? [(name, "yes")]
                : parts.sorted { $0.key < $1.key }.flatMap {
                    $0.value.rows(below: name.isEmpty ? $0.key : "\(name).\($0.key)")
                }
        }
    }
}
