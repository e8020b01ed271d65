import Foundation

/// A file that one process at a time holds, as a sign that it alone writes into the folder, on any machine that shares it.
///
/// The lock is the kernel's and goes with the process: one that was killed holds nothing, and the next takes its file
/// over. Who ends in order removes it. A file system without locks keeps nobody out.
package final class LockedFile: Sendable {
    private let path: String
    private let descriptor: Int32

    /// Makes the file and its folders. Nil where another process holds it. Throws ``FileError``.
    package init?(_ path: String) throws(FileError) {
        try makeFolder(path.parent)
        while true {
            switch Leftovers.making({ Attempt(path) }) {
            case .held(let descriptor):
                (self.path, self.descriptor) = (path, descriptor)
                return
            case .heldByAnother: return nil
            case .removedMeanwhile: continue
            case .failed(let error): throw error
            }
        }
    }

    private enum Attempt {
        case held(Int32)
        case heldByAnother
        /// Who held it before did so.
        case removedMeanwhile
        case failed(FileError)

        init(_ path: String) {
            let descriptor = path.withFileSystemName { open($0, O_RDWR | O_CREAT | O_CLOEXEC, 0o644) }
            guard descriptor >= 0 else {
                self = .failed(FileError.writing(path, doing: "create"))
                return
            }
            var own = stat()
            if retrying({ Int(flock(descriptor, LOCK_EX | LOCK_NB)) }) != 0 && errno == EWOULDBLOCK {
                self = .heldByAnother
            } else if fstat(descriptor, &own) == 0,
                FileStatus(own).identity == FileSystem.status(of: path)?.identity
            {
                Leftovers.add(path)
                self = .held(descriptor)
                return
            } else {
                self = .removedMeanwhile
            }
            close(descriptor)
        }
    }

    deinit {
        path.withFileSystemName { _ = unlink($0) }
        Leftovers.forget(path)
        close(descriptor)
    }
}
