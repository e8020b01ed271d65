import BEiTFiles

/// Annotations that cannot be used: which file, why, and what to do.
package struct AnnotationError: ExitStatus, Equatable {
    package var path: String
    package var reason: String
    /// Whether something is not there (exit status 66), rather than wrong (65).
    package var isMissing = false

    init(path: String, _ reason: String, isMissing: Bool = false) {
        (self.path, self.reason, self.isMissing) = (path, reason, isMissing)
    }

    package var description: String { "\(path.shown): \(reason)" }
    package var exitStatus: Int32 { isMissing ? 66 : 65 }
}
