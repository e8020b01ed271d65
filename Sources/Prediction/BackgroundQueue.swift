import BEiTDatasets
import Foundation

/// Jobs that run one after another on a thread of their own, so that the network does not wait for disks and encoders.
final class BackgroundQueue: @unchecked Sendable {
    private let queue = DispatchQueue(label: "beit-seg writer")
    private let condition = NSCondition()  // guards the rest
    private var jobs = 0, bytes = 0
    private var failure: (any Error)?
    private let places, budget: Int

    /// - Parameters:
    ///   - places: jobs that wait or run, at most.
    ///   - budget: the bytes that these hold, at most; one alone may hold more.
    init(places: Int, budget: Int = photoBudget) { (self.places, self.budget) = (places, budget) }

    /// Hands a job over; waits while there is no place. Throws what an earlier job threw; later jobs are then dropped.
    ///
    /// - Parameter bytes: what the job holds until it is done.
    func submit(holding bytes: Int = 0, _ job: @escaping @Sendable () throws -> Void) throws {
        try enter(bytes)
        queue.async { [self] in
            let failed = condition.withLock { failure != nil }
            let result = failed ? .success(()) : Result { try job() }
            leave(bytes, result)
        }
    }

    /// Waits until all jobs are done. Throws what one of them threw.
    func finish() throws {
        queue.sync {}
        if let failure = condition.withLock({ failure }) { throw failure }
    }

    private func enter(_ more: Int) throws {
        condition.lock()
        defer { condition.unlock() }
        while failure == nil, jobs > 0, jobs >= places || bytes + more > budget { condition.wait() }
        if let failure { throw failure }
        jobs += 1
        bytes += more
    }

    private func leave(_ less: Int, _ result: Result<Void, any Error>) {
        condition.lock()
        defer { condition.unlock() }
        jobs -= 1
        bytes -= less
        if case .failure(let error) = result { failure = failure ?? error }
        condition.broadcast()
    }
}
