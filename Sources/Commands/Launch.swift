import BEiTFiles
import BEiTPrediction
import BEiTProcesses
import BEiTTensorCore
import Foundation
import Synchronization

/// The processes that `mpirun` or `srun` has started together, this one among them.
enum Launch {
    private static let joined = Mutex<(any Communicator)?>(nil)

    /// Finds the other processes, where there are any, and shares the machine's cores with them.
    ///
    /// - Parameter threads: asked for (`--threads`).
    /// - Throws: ``LauncherError``, and what says that they do not find each other, or that this build cannot.
    static func join(threads: Int?) throws -> any Communicator {
        guard let place = try Shard.ofLauncher(ProcessInfo.processInfo.environment) else { return SingleProcess() }
        #if MPI
            let team = try MPIProcesses(expected: place.count)
            joined.withLock { $0 = team }
            if threads == nil {
                let machine = ProcessInfo.processInfo
                let share = max(1, machine.processorCount / team.neighbours)
                WorkerPool.setThreads(min(machine.activeProcessorCount, share))
            }
            return team
        #else
            if isOneOfMany { endWithoutLeftovers(WithoutMPI.status) }  // the first one says it
            throw WithoutMPI(count: place.count)
        #endif
    }

    /// As ``join(threads:)``, for work on images that one process can do as well: without MPI each does it alone.
    static func joinIfPossible(threads: Int?) throws -> any Communicator {
        #if MPI
            return try join(threads: threads)
        #else
            return SingleProcess()
        #endif
    }

    private struct WithoutMPI: ExitStatus {
        static let status: Int32 = 64
        let count: Int
        var exitStatus: Int32 { Self.status }
        var description: String {
            "a launcher has started \(count) processes, which this build cannot join to one run; build it with the trait MPI "
                + "(see docs/scale.md), or start one process; runs of their own need a launcher each"
        }
    }

    /// Whether another process speaks for this one.
    static var isSpokenFor: Bool { joined.withLock { $0.map { !$0.isFirst } ?? false } }

    /// Whether the launcher has started others before this one, which all say the same before they have found each other.
    static var isOneOfMany: Bool {
        ((try? Shard.ofLauncher(ProcessInfo.processInfo.environment)).flatMap { $0 }?.number ?? 1) > 1
    }

    /// Leaves the others at the end of the program.
    ///
    /// - Parameter message: why it ends, where that has not been said yet: it is said where this process ends alone, or
    ///   speaks for all.
    static func leave(_ status: Int32, _ message: String?) {
        #if MPI
            guard let team = joined.withLock({ $0 }) as? MPIProcesses else { return }
            // The launcher tells the others to end as soon as one has ended badly; all that can be said has been said.
            for number in [SIGTERM, SIGINT, SIGHUP] { signal(number, SIG_IGN) }
            if team.finish() { return }
            if let message { Console.error("process \(team.rank): \(message)") }
            team.abort(status == 0 ? 74 : status)
        #endif
    }
}
