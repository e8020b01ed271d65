import Files

/// What is wrong with a data set: where, why, and what to do about it.
public struct DatasetError: Error, Equatable, ExitStatus {
    public enum Kind: Equatable, Sendable {
        /// A path that does not exist (exit status 66).
        case missing
        /// The contents do not make a data set (exit status 65).
        case invalid
    }
    public var kind: Kind
    public var path: String
    public var reason: String

    public init(_ kind: Kind, path: String, reason: String) {
        (self.kind, self.path, self.reason) = (kind, path, reason)
    }

    public var description: String { "\(path): \(reason)" }
    public var exitStatus: Int32 { kind == .missing ? 66 : 65 }
}
