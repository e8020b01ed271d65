import Foundation
import Synchronization

/// The signal that came, or 0. A signal handler can reach nothing but a global.
private let received = Atomic<Int32>(0)

/// Notes SIGINT and SIGTERM while a run is under way, so that it can write its checkpoint first. A second signal of the
/// kind ends the process at once.
enum Interruption {
    /// The signal that came, or nil.
    static var signal: Int32? {
        let value = received.load(ordering: .relaxed)
        return value == 0 ? nil : value
    }

    /// Calls `body` with the signals noted instead of obeyed.
    static func noting<Result>(_ body: () throws -> Result) rethrows -> Result {
        received.store(0, ordering: .relaxed)  // also initialises it, which a handler must not
        for number in [SIGINT, SIGTERM] {
            Foundation.signal(number) { number in
                received.store(number, ordering: .relaxed)
                Foundation.signal(number, SIG_DFL)
            }
        }
        defer { for number in [SIGINT, SIGTERM] { Foundation.signal(number, SIG_DFL) } }
        return try body()
    }
}
