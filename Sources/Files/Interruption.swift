import Foundation
import Synchronization

/// The signal that came, or 0. A signal handler can reach nothing but a global.
private let received = Atomic<Int32>(0)

/// Notes SIGINT and SIGTERM while a run is under way, so that it can bring its files in order first. A second signal ends
/// the process at once.
///
/// The threads that compute do not run a handler: with one, runs crashed or computed NaN now and then inside oneDNN when
/// a signal came (its generated code seems to keep data below the stack pointer). They block the signals, and a thread of
/// its own takes them.
package enum Interruption {
    private static let taker: Void = startTaker()

    /// The signal that came, or nil.
    package static var signal: Int32? {
        let value = received.load(ordering: .relaxed)
        return value == 0 ? nil : value
    }

    /// Calls `body` with the signals noted instead of obeyed.
    package static func noting<Result>(_ body: () throws -> Result) rethrows -> Result {
        received.store(0, ordering: .relaxed)  // also initialises it, which a handler must not
        var (signals, before) = (watched, sigset_t())
        pthread_sigmask(SIG_BLOCK, &signals, &before)
        _ = taker
        for number in [SIGINT, SIGTERM] {
            Foundation.signal(number) { number in
                if !received.compareExchange(expected: 0, desired: number, ordering: .relaxed).exchanged {
                    _exit(128 + number)
                }
            }
        }
        defer {
            for number in [SIGINT, SIGTERM] { Foundation.signal(number, SIG_DFL) }
            pthread_sigmask(SIG_SETMASK, &before, nil)
        }
        return try body()
    }

    private static var watched: sigset_t {
        var signals = sigset_t()
        sigemptyset(&signals)
        for number in [SIGINT, SIGTERM] { sigaddset(&signals, number) }
        return signals
    }

    private static func startTaker() {
        let thread = Thread {
            var signals = watched
            pthread_sigmask(SIG_UNBLOCK, &signals, nil)
            while true { pause() }
        }
        thread.name = "beit-seg signals"
        thread.start()
    }
}
