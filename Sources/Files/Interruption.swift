import Foundation
import Synchronization

/// What a signal handler can reach: globals that are set up before it is.
private let received = Atomic<Int32>(0)
private let pipeEnd = Atomic<Int32>(-1)
private let isUnderWay = Atomic<Bool>(false)

/// Takes SIGINT, SIGTERM and SIGHUP. Outside of a run they end the process; while a run is under way they are noted, so
/// that it can bring its files in order first. A second signal ends the process at once, and so does a first one that a
/// run has not heeded in time, because a read hangs or a computation is long. Whatever ends it, no temporary file and no
/// lock is left (``AtomicFile``, ``LockedFile``).
///
/// The threads that compute do not run a handler: with one, runs crashed or computed NaN now and then inside oneDNN when
/// a signal came (its generated code seems to keep data below the stack pointer). They block the signals; a thread of
/// its own takes them, and as a handler may do next to nothing it only writes to a pipe from which that thread reads.
package enum Interruption {
    private struct Run {
        var thread: pthread_t
        var patience: Duration?
        var isHeeded = false
    }
    /// The run that is under way.
    private static let run = Mutex<Run?>(nil)
    private static let taker: Void = startTaker()

    /// The signal that came during the run, or nil. Whoever asks on the run's thread and gets one heeds it, and then
    /// has the time that it needs.
    package static var signal: Int32? {
        let value = received.load(ordering: .relaxed)
        guard value != 0 else { return nil }
        run.withLock { run in
            if let thread = run?.thread, pthread_equal(thread, pthread_self()) != 0 { run?.isHeeded = true }
        }
        return value
    }

    /// So that a signal ends anything within a second.
    package static let short = Duration.milliseconds(700)

    /// From here on the process takes the signals; for a program's start, before it has other threads.
    package static func watch() {
        var signals = watched
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        _ = taker
        install()
    }

    /// Calls `body` with the signals noted instead of obeyed. A run within a run has its own patience, and leaves what it
    /// noted to the outer one.
    ///
    /// - Parameter patience: how long a signal may go unheeded before it ends the process: ``short`` for a run whose
    ///   results are on the disk as soon as they are there. Nil for one that would lose work, as a training within a step.
    package static func noting<Result>(
        patience: Duration? = nil, _ body: () throws -> Result
    ) rethrows -> Result {
        let outer = run.withLock { run in
            defer { run = Run(thread: pthread_self(), patience: patience) }
            return run
        }
        if outer == nil {
            received.store(0, ordering: .relaxed)
            isUnderWay.store(true, ordering: .relaxed)
        }
        var (signals, before) = (watched, sigset_t())
        pthread_sigmask(SIG_BLOCK, &signals, &before)
        _ = taker
        let handlers = install()
        defer {
            run.withLock { $0 = outer }
            if outer == nil { isUnderWay.store(false, ordering: .relaxed) }
            for (number, var handler) in handlers { sigaction(number, &handler, nil) }
            pthread_sigmask(SIG_SETMASK, &before, nil)
        }
        return try body()
    }

    private static var watched: sigset_t {
        var signals = sigset_t()
        sigemptyset(&signals)
        for number in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&signals, number) }
        return signals
    }

    /// Returns what was there before. `nohup` ignores SIGHUP, and so it stays.
    @discardableResult
    private static func install() -> [(Int32, sigaction)] {
        [SIGINT, SIGTERM, SIGHUP].compactMap { number in
            var before = sigaction()
            if number == SIGHUP, sigaction(number, nil, &before) == 0, ignores(before) { return nil }
            var action = sigaction()
            setHandler(&action) { number in
                let isFirst = received.compareExchange(expected: 0, desired: number, ordering: .relaxed).exchanged
                let isNoted = isUnderWay.load(ordering: .relaxed)
                var message = UInt8(number) | (isFirst ? 0 : again) | (isNoted ? noted : 0)
                _ = write(pipeEnd.load(ordering: .relaxed), &message, 1)
            }
            action.sa_flags = SA_RESTART
            return sigaction(number, &action, &before) == 0 ? (number, before) : nil
        }
    }

    private static func startTaker() {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        pipeEnd.store(ends[1], ordering: .relaxed)
        let source = ends[0]
        let thread = Thread {
            var signals = watched
            pthread_sigmask(SIG_UNBLOCK, &signals, nil)
            take(from: source)
        }
        thread.name = "beit-seg signals"
        thread.start()
    }

    /// Waits for signals until one ends the process.
    private static func take(from source: Int32) {
        var deadline: ContinuousClock.Instant?
        while true {
            switch nextMessage(from: source, until: deadline) {
            case let message?:
                let run = run.withLock { $0 }
                // The run that noted the first signal may have ended before this thread hears of it: it has had it.
                if run == nil, message & (noted | again) == noted { continue }
                guard let run, message & again == 0 else {
                    end(Int32(message & ~(again | noted)), isNoted: run != nil)
                }
                deadline = run.patience.map { .now + $0 }
            case nil:
                let number = received.load(ordering: .relaxed)
                let isLost = run.withLock { $0.map { !$0.isHeeded && $0.patience != nil } ?? false }
                if isLost && number != 0 { end(number, isNoted: true) }
                deadline = nil
            }
        }
    }

    /// Nil when the time is over.
    private static func nextMessage(from source: Int32, until deadline: ContinuousClock.Instant?) -> UInt8? {
        while true {
            let left = deadline.map { max(0, Int32(($0 - .now) / .milliseconds(1))) }
            var (wanted, message) = (pollfd(fd: source, events: Int16(POLLIN), revents: 0), UInt8(0))
            let count = poll(&wanted, 1, left ?? -1)
            if count == 0 { return nil }
            if count > 0, read(source, &message, 1) == 1 { return message }
        }
    }

    /// With the contract's status where the run has noted the signal, else as the signal does by itself.
    private static func end(_ number: Int32, isNoted: Bool) -> Never {
        Leftovers.removeAndEnd {
            // Behind the terminal's own `^C`, or a bar.
            let line = (isatty(STDERR_FILENO) != 0 ? "\n" : "") + "beit-seg: interrupted\n"
            _ = Array(line.utf8).withUnsafeBytes { writeAll($0, to: STDERR_FILENO) }
            if !isNoted {
                Foundation.signal(number, SIG_DFL)
                raise(number)
            }
            _exit(128 + number)
        }
    }
}

/// In a message of the handler: another signal came before; a run was under way.
private let again: UInt8 = 0x80
private let noted: UInt8 = 0x40

private func ignores(_ action: sigaction) -> Bool {
    #if canImport(Darwin)
        let handler = action.__sigaction_u.__sa_handler
    #else
        let handler = action.__sigaction_handler.sa_handler
    #endif
    return unsafeBitCast(handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
}

private func setHandler(_ action: inout sigaction, _ handler: @escaping @convention(c) (Int32) -> Void) {
    #if canImport(Darwin)
        action.__sigaction_u.__sa_handler = handler
    #else
        action.__sigaction_handler.sa_handler = handler
    #endif
}
