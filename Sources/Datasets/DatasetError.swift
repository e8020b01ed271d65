import BEiTFiles

/// What is wrong with a data set: where, why, and what to do about it.
package struct DatasetError: Error, Equatable, ExitStatus {
    package enum Kind: Equatable, Sendable {
        /// A path that does not exist (exit status 66).
        case missing
        /// The contents do not make a data set (exit status 65).
        case invalid
    }
    package var kind: Kind
    package var path: String
    package var reason: String

    package init(_ kind: Kind, path: String, reason: String) {
        (self.kind, self.path, self.reason) = (kind, path, reason)
    }

    package var description: String { "\(path): \(reason)" }
    package var exitStatus: Int32 { kind == .missing ? 66 : 65 }
}
