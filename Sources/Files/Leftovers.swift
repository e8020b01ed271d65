import Foundation
import Synchronization

/// The files of this process that nobody would find when it is gone: temporary ones that are being written, and locks.
enum Leftovers {
    /// As the system takes them, ended by a zero: what removes them may find no memory for anything.
    private static let paths = Mutex<Set<[UInt8]>>([])

    static func add(_ path: String) { paths.withLock { _ = $0.insert(path.fileSystemBytes + [0]) } }

    static func forget(_ path: String) { paths.withLock { _ = $0.remove(path.fileSystemBytes + [0]) } }

    static func contains(_ path: String) -> Bool { paths.withLock { $0.contains(path.fileSystemBytes + [0]) } }

    /// Removes them and ends the process, while every other thread is kept from adding one.
    static func removeAndEnd(_ end: () -> Never) -> Never {
        paths.withLock { paths in
            removeTwice(paths)
            end()
        }
    }

    /// Removes them where that needs neither memory nor another thread: at the end of a process that has run out of memory.
    static func removeAtOnce() { paths.withLockIfAvailable { removeTwice($0) } }

    /// A thread that has noted its file, and was about to create it, has done so by the second time.
    private static func removeTwice(_ paths: Set<[UInt8]>) {
        guard !paths.isEmpty else { return }
        remove(paths)
        usleep(2000)
        remove(paths)
    }

    private static func remove(_ paths: Set<[UInt8]>) {
        for path in paths {
            path.withUnsafeBytes { if let name = $0.baseAddress { unlink(name.assumingMemoryBound(to: CChar.self)) } }
        }
    }
}

/// Ends the process without what libraries do at an ordinary exit, and removes the files that are not finished.
package func endWithoutLeftovers(_ status: Int32) -> Never { Leftovers.removeAndEnd { _exit(status) } }

/// Removes the files that are not finished, where the process cannot go on. Takes no memory and waits for nobody.
package func removeUnfinishedFiles() { Leftovers.removeAtOnce() }
