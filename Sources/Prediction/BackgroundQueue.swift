import Foundation
import Synchronization

/// Jobs that run one after another on a thread of their own, so that the network does not wait for disks and encoders.
final class BackgroundQueue: Sendable {
    private let queue = DispatchQueue(label: "beit-seg writer")
    private let places: DispatchSemaphore
    private let failure = Mutex<(any Error)?>(nil)

    /// - Parameter places: jobs that wait, at most.
    init(places: Int) { self.places = DispatchSemaphore(value: places) }

    /// Hands a job over; waits while there is no place. Throws what an earlier job threw; later jobs are then dropped.
    func submit(_ job: @escaping @Sendable () throws -> Void) throws {
        try rethrow()
        places.wait()
        queue.async { [self] in
            defer { places.signal() }
            guard failure.withLock({ $0 == nil }) else { return }
            do { try job() } catch { failure.withLock { $0 = error } }
        }
    }

    /// Waits until all jobs are done. Throws what one of them threw.
    func finish() throws {
        queue.sync {}
        try rethrow()
    }

    private func rethrow() throws {
        if let error = failure.withLock({ $0 }) { throw error }
    }
}
