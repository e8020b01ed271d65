import Foundation

/// What went wrong with a file: which one, why, and what to do about it.
package struct FileError: Error, Equatable, CustomStringConvertible {
    package enum Kind: Equatable, Sendable {
        /// The path does not exist (exit status 66).
        case missing
        /// Reading or writing failed: permissions, a full disk (exit status 74).
        case inputOutput
        /// A folder, a device or another thing where a file is needed, or the empty name (exit status 64).
        case notAFile
        /// A file to be written that is one of those read (exit status 64).
        case isInput
    }
    package var kind: Kind
    package var path: String
    package var reason: String
    /// The system's number, where a call of it failed.
    package var code: Int32?

    package init(_ kind: Kind, path: String, reason: String, code: Int32? = nil) {
        (self.kind, self.path, self.reason, self.code) = (kind, path, reason, code)
    }

    package var description: String { "\(path.shown): \(reason)" }

    /// A full or failing disk, no memory, no more files that may be open: what other files would meet as well.
    package static let codesOfTheSystem: Set<Int32> = [ENOSPC, EDQUOT, EIO, EROFS, ENOMEM, EMFILE, ENFILE, EFBIG]

    package var isOfTheSystem: Bool { code.map(Self.codesOfTheSystem.contains) ?? false }

    /// The error for a failed system call on `path`, which is read, from `errno`.
    package static func system(_ path: String, doing action: String, code: Int32 = errno) -> FileError {
        FileError(
            code == ENOENT ? .missing : .inputOutput, path: path,
            reason: "cannot \(action): \(systemReason(code))", code: code)
    }

    /// The error for a failed system call on `path`, which is written: a folder that is gone is no missing input.
    package static func writing(_ path: String, doing action: String, code: Int32 = errno) -> FileError {
        let reason = code == ENOENT ? "its folder has been removed" : systemReason(code)
        return FileError(.inputOutput, path: path, reason: "cannot \(action): \(reason)", code: code)
    }

    /// What the system says about an error number, and what to do.
    package static func systemReason(_ code: Int32) -> String {
        let remedy: [Int32: String] = [
            ENOENT: "see whether the path is spelled right", EACCES: "change its permissions, or run as another user",
            EPERM: "change its permissions, or run as another user", ENOSPC: "make room on the disk",
            EDQUOT: "make room in your quota", EROFS: "choose a folder on another disk",
            EMFILE: "raise the limit (ulimit -n)", EIO: "see whether the disk is sound",
            ENAMETOOLONG: "give it a shorter name", EFBIG: "raise the limit (ulimit -f), or choose another disk",
            ELOOP: "see where the links lead",
        ]
        return String(cString: strerror(code)) + (remedy[code].map { "; \($0)" } ?? "")
    }
}
