import Foundation

/// JSON that cannot be read or written.
package enum JSONError: Error, Equatable {
    /// A file's text is not what belongs there.
    case unreadable(file: String, reason: String)
    /// A value that JSON cannot express, such as an infinite number.
    case inexpressible(reason: String)

    /// What is wrong, without the file.
    package var reason: String {
        switch self {
        case .unreadable(_, let reason), .inexpressible(let reason): reason
        }
    }
}

extension JSONError: ExitStatus {
    package var description: String {
        switch self {
        case .unreadable(let file, let reason): "\(file): \(reason); make the file anew"
        case .inexpressible(let reason): "no JSON can be written: \(reason)"
        }
    }

    package var exitStatus: Int32 { 65 }
}

/// The one way in which beit-seg writes and reads JSON: keys sorted, so that the same value gives the same bytes, and
/// slashes as they are.
package enum JSONText {
    /// Indented, for people; without a line feed at the end. Throws ``JSONError/inexpressible(reason:)``.
    package static func pretty(_ value: some Encodable) throws(JSONError) -> String {
        try text(value, [.prettyPrinted])
    }

    /// In one line; without a line feed at the end. Throws ``JSONError/inexpressible(reason:)``.
    package static func line(_ value: some Encodable) throws(JSONError) -> String { try text(value, []) }

    private static func text(
        _ value: some Encodable, _ formatting: JSONEncoder.OutputFormatting
    ) throws(JSONError) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = formatting.union([.sortedKeys, .withoutEscapingSlashes])
        do { return String(decoding: try encoder.encode(value), as: UTF8.self) } catch {
            throw .inexpressible(reason: problem(error))
        }
    }

    /// - Parameter file: where the text is from, for the error.
    ///
    /// Throws ``JSONError/unreadable(file:reason:)``.
    package static func decode<Value: Decodable>(
        _: Value.Type = Value.self, from text: some Sequence<UInt8>, of file: String
    ) throws(JSONError) -> Value {
        do { return try JSONDecoder().decode(Value.self, from: Data(text)) } catch {
            throw .unreadable(file: file, reason: problem(error))
        }
    }

    /// What is wrong with a text or a value, in half a line.
    package static func problem(_ error: any Error) -> String {
        switch error {
        case let error as JSONError: error.reason
        case let error as DecodingError: problem(error)
        case EncodingError.invalidValue(let value, let context):
            "\(place(context.codingPath)) is \(value), which JSON cannot express"
        default: "it is not JSON"
        }
    }

    private static func problem(_ error: DecodingError) -> String {
        switch error {
        case .dataCorrupted(let context) where context.codingPath.isEmpty: "it is not JSON"
        case .keyNotFound(let key, let context): "\(key.stringValue) is missing at \(place(context.codingPath))"
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
            "\(place(context.codingPath)) makes no sense"
        @unknown default: "it is not JSON"
        }
    }

    private static func place(_ path: [any CodingKey]) -> String {
        let path = path.map { $0.intValue.map(String.init) ?? $0.stringValue }.joined(separator: ".")
        return path.isEmpty ? "the top level" : path
    }
}
