/// An error that reaches the user: its `description` is one line that says what, which file, why and what to do, and the
/// program ends with its status.
package protocol ExitStatus: Error, CustomStringConvertible {
    /// 65 bad data, 66 a path that does not exist, 74 reading or writing failed, 64 wrong usage.
    var exitStatus: Int32 { get }
}

extension FileError: ExitStatus {
    package var exitStatus: Int32 {
        switch kind {
        case .missing: 66
        case .inputOutput: 74
        case .notAFile, .isInput: 64
        }
    }
}
