import Foundation
import Synchronization

/// The files of this process that nobody would find when it is gone: temporary ones that are being written, and locks.
enum Leftovers {
    /// As the system takes them, ended by a zero: what removes them may find no memory for anything.
    private static let paths = Mutex<Set<[UInt8]>>([])
    /// Threads that are making a file, and whether the end has begun, after which no more may be made.
    private static let makers = Atomic(0)
    private static let isEnding = Atomic(false)

    static func add(_ path: String) { paths.withLock { _ = $0.insert(path.fileSystemBytes + [0]) } }

    static func forget(_ path: String) { paths.withLock { _ = $0.remove(path.fileSystemBytes + [0]) } }

    static func contains(_ path: String) -> Bool { paths.withLock { $0.contains(path.fileSystemBytes + [0]) } }

    /// Calls `body`, which makes a file that is or will be noted: never while the process removes its files and ends, or
    /// the file would stay.
    static func making<Result>(_ body: () throws -> Result) rethrows -> Result {
        makers.add(1, ordering: .sequentiallyConsistent)
        defer { makers.subtract(1, ordering: .sequentiallyConsistent) }
        if isEnding.load(ordering: .sequentiallyConsistent) { waitForTheEnd() }
        return try body()
    }

    private static func waitForTheEnd() -> Never {
        makers.subtract(1, ordering: .sequentiallyConsistent)
        while true { pause() }
    }

    /// Removes them and ends the process.
    static func removeAndEnd(_ end: () -> Never) -> Never {
        removeAtTheEnd()
        end()
    }

    /// Removes them where that needs neither memory nor, for long, another thread: at the end of a process that may have run
    /// out of memory.
    static func removeAtTheEnd() {
        isEnding.store(true, ordering: .sequentiallyConsistent)
        // A thread that is making a file has done so soon; this one, or one that waits for the end itself, makes no more.
        wait { makers.load(ordering: .sequentiallyConsistent) == 0 }
        wait(until: remove)
    }

    /// A removal before there is anything: the first one asks for memory.
    static func rehearse() { _ = remove() }

    /// At most a tenth of a second.
    private static func wait(until isDone: () -> Bool) {
        for _ in 0..<100 where !isDone() { usleep(1000) }
    }

    /// False where another thread has the list.
    private static func remove() -> Bool {
        paths.withLockIfAvailable { paths in
            for path in paths {
                path.withUnsafeBytes {
                    if let name = $0.baseAddress { unlink(name.assumingMemoryBound(to: CChar.self)) }
                }
            }
            return true
        } ?? false
    }
}

/// Ends the process without what libraries do at an ordinary exit, and removes the files that are not finished.
package func endWithoutLeftovers(_ status: Int32) -> Never { Leftovers.removeAndEnd { _exit(status) } }

/// Removes the files that are not finished, where the process cannot go on. Takes no memory and waits for nobody for long.
package func removeUnfinishedFiles() { Leftovers.removeAtTheEnd() }

/// Sees to it that ``removeUnfinishedFiles()`` will need no memory.
package func prepareToRemoveUnfinishedFiles() { Leftovers.rehearse() }
