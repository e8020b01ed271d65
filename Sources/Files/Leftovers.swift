import Foundation
import Synchronization

/// The files of this process that nobody would find when it is gone: temporary ones that are being written, and locks.
enum Leftovers {
    private static let paths = Mutex<Set<[UInt8]>>([])

    static func add(_ path: String) { paths.withLock { _ = $0.insert(path.fileSystemBytes) } }

    static func forget(_ path: String) { paths.withLock { _ = $0.remove(path.fileSystemBytes) } }

    static func contains(_ path: String) -> Bool { paths.withLock { $0.contains(path.fileSystemBytes) } }

    /// Removes them and ends the process, while every other thread is kept from adding one.
    static func removeAndEnd(_ end: () -> Never) -> Never {
        paths.withLock { paths in
            for path in paths { String(fileSystemBytes: path).withFileSystemName { _ = unlink($0) } }
            end()
        }
    }
}
