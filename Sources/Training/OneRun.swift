import BEiTFiles
import BEiTTensorCore

// What all processes of a run must have alike.
extension Trainer {
    /// Throws ``TrainingError`` unless all processes are about to do the same: the launcher may have started several runs at
    /// once, or a folder hold something else on another machine.
    func requireOneRun() throws {
        guard team.size > 1 else { return }
        let own = [
            ("another folder of the run", folder.path),
            ("other images to learn from", "\(objective.fingerprint) \(contents ?? 0)"),
            ("another recipe", try JSONText.line(recipe)),
            ("other settings", try JSONText.line(objective.settings)),
            ("another step to go on from", "\(progress.step)"),
            ("other weights to begin with", "\(weights)"),
        ]
        for (what, value) in own {
            if let rank = try team.firstDifference(value) { throw TrainingError.different(rank: rank, what: what) }
        }
    }

    /// Throws ``TrainingError`` unless all processes have come to the same weights.
    func requireOneState() throws {
        guard team.size > 1, let rank = try team.firstDifference("\(weights)") else { return }
        throw TrainingError.apart(rank: rank, step: progress.step, folder: folder.path)
    }

    /// A hash of all weights by their bits (of Fowler, Noll and Vo's kind): it tells changes made without intent.
    private var weights: UInt64 {
        objective.model.tensors.reduce(0xCBF2_9CE4_8422_2325) { hash, tensor in
            tensor.tensor.buffer.reduce(hash) { ($0 ^ UInt64($1.bitPattern)) &* 0x100_0000_01B3 }
        }
    }
}
