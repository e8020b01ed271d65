import BEiTFiles

/// Why something could not be done: one line that names the file, the reason and the remedy.
public struct BEiTSegError: Error, Equatable, CustomStringConvertible, Sendable {
    /// What kind of thing went wrong, as the exit status of `beit-seg` tells it.
    public enum Kind: Int32, Sendable {
        /// What was asked for makes no sense.
        case usage = 64
        /// A file is not what it should be: a damaged photo, a corrupt model, labels outside the classes.
        case data = 65
        /// A path that does not exist.
        case missing = 66
        /// Reading or writing failed: permissions, a full disk.
        case inputOutput = 74
    }
    public var kind: Kind
    public var description: String

    public init(_ kind: Kind, _ description: String) { (self.kind, self.description) = (kind, description) }

    /// Runs `body` and translates what it throws.
    static func translating<Value>(_ body: () throws -> Value) throws(BEiTSegError) -> Value {
        do { return try body() } catch { throw BEiTSegError(error) }
    }

    init(_ error: any Error) {
        switch error {
        case let error as BEiTSegError: self = error
        case let error as any ExitStatus: self.init(Kind(rawValue: error.exitStatus) ?? .data, error.description)
        default: self.init(.inputOutput, "\(error)")
        }
    }
}
