import CBEiTKernels
import Foundation
import Synchronization

/// The threads that do the arithmetic: one level of parallelism, under every operation.
///
/// Work is cut into numbered tasks whose borders never depend on the number of threads, and each task writes its own
/// part of the result, so 1, 2 or 7 threads give the same bytes.
package final class WorkerPool: @unchecked Sendable {
    /// The pool that operations use; one thread per core unless ``setThreads(_:)`` or a test says otherwise.
    @TaskLocal package static var scoped: WorkerPool?
    private static let shared = Mutex(WorkerPool(threads: ProcessInfo.processInfo.activeProcessorCount))
    package static var current: WorkerPool { scoped ?? shared.withLock { $0 } }

    /// Sets the number of threads of the process (`--threads`).
    package static func setThreads(_ count: Int) { shared.withLock { $0 = WorkerPool(threads: count) } }

    package let threads: Int
    private let team: Team?

    package init(threads: Int) {
        precondition(threads > 0, "a pool without threads")
        self.threads = threads
        team = threads > 1 ? Team(helpers: threads - 1) : nil
    }

    deinit { team?.dismiss() }

    /// Calls `body` once for each of 0 ..< count, on any thread in any order, and returns when all are done.
    ///
    /// Two tasks must not write the same memory. A call from inside a task, or while another thread uses the pool,
    /// runs on the calling thread alone.
    package func run(_ count: Int, _ body: (Int) -> Void) {
        guard count > 1, let team, team.run(count, body) else {
            for task in 0..<count { body(task) }
            return
        }
    }

    /// `run` over `count` items in tasks of `grain` items.
    package func run(_ count: Int, grain: Int, _ body: (Range<Int>) -> Void) {
        let grain = max(1, grain)
        run((count + grain - 1) / grain) { body($0 * grain..<min(count, ($0 + 1) * grain)) }
    }
}

/// Helper threads that sleep between jobs.
private final class Team: @unchecked Sendable {
    private struct Job {
        let body: (Int) -> Void
        let count: Int
    }
    private let busy = Atomic<Bool>(false)
    private let generation = Atomic<Int>(0)
    private let next = Atomic<Int>(0)
    /// Helpers at work; rises under the lock only.
    private let active = Atomic<Int>(0)
    private let condition = NSCondition()  // guards the three below
    private var job: Job?
    private var sleepers = 0
    private var dismissed = false

    init(helpers: Int) {
        for index in 0..<helpers {
            let thread = Thread { [self] in serve() }
            thread.name = "beit-seg worker \(index + 1)"
            thread.stackSize = 4 << 20
            thread.start()
        }
    }

    func dismiss() {
        condition.lock()
        dismissed = true
        generation.add(1, ordering: .releasing)
        condition.broadcast()
        condition.unlock()
    }

    /// False if the team is at work already.
    func run(_ count: Int, _ body: (Int) -> Void) -> Bool {
        guard !busy.exchange(true, ordering: .acquiring) else { return false }
        defer { busy.store(false, ordering: .releasing) }
        withoutActuallyEscaping(body) { body in
            condition.lock()
            job = Job(body: body, count: count)
            next.store(0, ordering: .relaxed)
            generation.add(1, ordering: .releasing)
            if sleepers > 0 { condition.broadcast() }
            condition.unlock()

            work(count, body)

            // The helpers are in their last tasks, mostly for less time than it takes to sleep and be woken.
            spin { active.load(ordering: .acquiring) == 0 }
            condition.lock()
            job = nil
            while active.load(ordering: .acquiring) > 0 { condition.wait() }
            condition.unlock()
        }
        return true
    }

    private func work(_ count: Int, _ body: (Int) -> Void) {
        while true {
            let task = next.add(1, ordering: .relaxed).oldValue
            guard task < count else { return }
            body(task)
        }
    }

    private func serve() {
        blockSignals()
        var seen = 0
        while true {
            // The next job mostly comes within microseconds.
            spin { generation.load(ordering: .relaxed) != seen }
            condition.lock()
            while generation.load(ordering: .acquiring) == seen {
                sleepers += 1
                condition.wait()
                sleepers -= 1
            }
            seen = generation.load(ordering: .acquiring)
            if dismissed {
                condition.unlock()
                return
            }
            guard help() else { continue }
            condition.lock()
            if active.subtract(1, ordering: .releasing).newValue == 0 { condition.broadcast() }
            condition.unlock()
        }
    }

    /// Joins the job of the moment, if there is one. Called with the lock held, returns without it.
    ///
    /// A function of its own: its reference to the job, whose closure must not outlive `run`, is gone when it returns,
    /// before `active` says that this helper is done.
    @inline(never)
    private func help() -> Bool {
        guard let job else {
            condition.unlock()
            return false
        }
        active.add(1, ordering: .relaxed)
        condition.unlock()
        work(job.count, job.body)
        return true
    }

    /// Looks for `condition` for about as long (some 50 µs) as it takes to sleep and to be woken.
    private func spin(until condition: () -> Bool) {
        let end = ContinuousClock.now + .microseconds(50)
        // How long a pause takes differs tenfold between processors, hence the clock.
        repeat {
            for _ in 0..<16 {
                if condition() { return }
                beitseg_pause()
            }
        } while ContinuousClock.now < end
    }
}

/// Leaves signals to other threads: the code that matrix libraries generate keeps data below the stack pointer, where a
/// handler's frame would overwrite it. Faults of the thread itself stay as they are.
private func blockSignals() {
    var signals = sigset_t()
    sigfillset(&signals)
    for fault in [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT] { sigdelset(&signals, fault) }
    pthread_sigmask(SIG_BLOCK, &signals, nil)
}
