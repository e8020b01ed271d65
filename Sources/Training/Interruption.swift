import Foundation
import Synchronization

/// Notes SIGINT and SIGTERM while a run is under way, so that it can write its checkpoint first. A second signal ends
/// the process at once.
///
/// No thread is interrupted by a handler: matrix libraries generate code that keeps data below the stack pointer, where
/// a handler's frame would overwrite it. The signals are blocked everywhere, and one thread waits for them.
enum Interruption {
    private static let received = Atomic<Int32>(0)
    private static let watcher: Void = watch()

    /// The signal that came, or nil.
    static var signal: Int32? {
        let value = received.load(ordering: .relaxed)
        return value == 0 ? nil : value
    }

    /// Calls `body` with the signals noted instead of obeyed.
    static func noting<Result>(_ body: () throws -> Result) rethrows -> Result {
        received.store(0, ordering: .relaxed)
        var (signals, before) = (watched, sigset_t())
        pthread_sigmask(SIG_BLOCK, &signals, &before)
        _ = watcher
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        return try body()
    }

    private static var watched: sigset_t {
        var signals = sigset_t()
        sigemptyset(&signals)
        for number in [SIGINT, SIGTERM] { sigaddset(&signals, number) }
        return signals
    }

    /// Inherits the mask of the thread that starts it.
    private static func watch() {
        let thread = Thread {
            var (signals, number) = (watched, Int32(0))
            while sigwait(&signals, &number) == 0 {
                let isFirst = received.compareExchange(expected: 0, desired: number, ordering: .relaxed).exchanged
                if !isFirst { _exit(128 + number) }
            }
        }
        thread.name = "beit-seg signals"
        thread.start()
    }
}
