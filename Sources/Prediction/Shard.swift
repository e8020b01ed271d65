import BEiTFiles

/// An environment that names a rank and a number of processes which do not go together.
package struct LauncherError: ExitStatus, Equatable {
    package let rank, size: String
    package let exitStatus: Int32 = 64
    package var description: String {
        "the environment's \(rank) and \(size) are no rank and number of processes; unset them, or see to the launcher"
    }
}

/// A part of the images, for several processes that share the work: images number, number + count, number + 2·count …
package struct Shard: Equatable, Sendable {
    /// 1 … count.
    package var number: Int
    package var count: Int

    package init?(number: Int, count: Int) {
        guard count >= 1, (1...count).contains(number) else { return nil }
        (self.number, self.count) = (number, count)
    }

    /// `I/N`, I from 1 to N.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
        guard parts.count == 2, let number = parts[0], let count = parts[1] else { return nil }
        self.init(number: number, count: count)
    }

    /// The part of this rank under `mpirun` (Open MPI, MPICH and its kin) or `srun`; nil outside of them, and for a
    /// process that is alone.
    ///
    /// Slurm's numbers are those of a step: a batch script that starts the program itself has one process, whatever the
    /// job's number of tasks.
    /// - Throws: ``LauncherError`` where what the environment says is no rank of so many processes: every process would do
    ///   all of the work, or the wrong part.
    package static func ofLauncher(_ environment: [String: String]) throws(LauncherError) -> Shard? {
        let launchers = [
            ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"), ("PMI_RANK", "PMI_SIZE"),
            ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
        ]
        for (rankName, sizeName) in launchers {
            guard let rankText = environment[rankName], let sizeText = environment[sizeName] else { continue }
            guard let rank = Int(rankText), let size = Int(sizeText), (0..<max(0, size)).contains(rank) else {
                throw LauncherError(rank: "\(rankName)=\(rankText)", size: "\(sizeName)=\(sizeText)")
            }
            return size > 1 ? Shard(number: rank + 1, count: size) : nil
        }
        return nil
    }

    /// What tells the files of a part from those of the others.
    var suffix: String { "-\(number)-of-\(count)" }

    package func part<Element>(of all: [Element]) -> [Element] {
        stride(from: number - 1, to: all.count, by: count).map { all[$0] }
    }
}
