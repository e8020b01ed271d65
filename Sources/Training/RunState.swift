import BEiTCheckpoints
import BEiTFiles
import BEiTModels
import BEiTTensorCore

/// What a checkpoint keeps beside the tensors.
struct SavedRun<Settings: Codable & Sendable>: Codable {
    var settings: Settings
    var recipe: Recipe
    var progress: RunProgress
    var optimizerSteps: Int
    /// Of the images' names and order.
    var fingerprint: UInt64
    /// Of what the files hold; nil in checkpoints from before it was kept.
    var contents: UInt64?

    /// What makes it impossible, in one sentence; nil if nothing does.
    var problem: String? {
        if let problem = recipe.problem ?? progress.problem { return problem }
        if optimizerSteps != progress.step { return "optimizerSteps is \(optimizerSteps) at step \(progress.step)" }
        return nil
    }
}

/// How far a run is. What checkpoints have lacked at some time is optional.
struct RunProgress: Codable, Equatable {
    var step = 0
    var bestScore: Double?
    var best: BestScore?
    /// Whether the validation after this step is still to come.
    var owesValidation: Bool?
    /// What the next line of the log is made of: the trainer's part and the objective's.
    var meter: Meter.Sums?
    var counts: [Double]?

    /// What makes it impossible, in one sentence; nil if nothing does.
    var problem: String? {
        guard 0...Recipe.mostSteps ~= step else { return "step is \(step)" }
        let numbers = [bestScore, best?.value, meter?.loss].compactMap { $0 } + (counts ?? [])
        guard numbers.allSatisfy({ abs($0) <= 1e300 }) else { return "a score, loss or count is out of range" }
        guard 0...Recipe.mostSteps ~= meter?.updates ?? 0 else { return "meter.updates is \(meter?.updates ?? 0)" }
        guard counts?.allSatisfy({ abs($0) < 0x1p53 }) ?? true else { return "counts is \(counts ?? [])" }
        guard 0...Recipe.mostSteps ~= best?.step ?? 0 else { return "best.step is \(best?.step ?? 0)" }
        return nil
    }
}

/// The best validation so far.
package struct BestScore: Codable, Equatable, Sendable {
    /// Its name in the log.
    package var metric: String
    package var value: Double
    package var step: Int
}

extension Trainer {
    /// Moments, averages and the objective's own, in tensors that are updated in place.
    var stateTensors: [(path: String, tensor: Tensor)] {
        zip(learned, optimizer.moments).flatMap { named, moments in
            [("moments/first/" + named.path, moments.first), ("moments/second/" + named.path, moments.second)]
        } + (average?.state ?? []) + objective.state.map { ("objective/" + $0.path, $0.tensor) }
    }

    /// What `last.h5` keeps beside the model. Throws ``TrainingError``, ``CheckpointError``, `HDF5Error`.
    /// - Parameter task: what the run must be of.
    static func state(in folder: RunFolder, of task: ModelTask) throws -> (
        StoredTrainingState, SavedRun<Task.Settings>
    ) {
        guard FileSystem.exists(folder.last), let state = try StoredTrainingState(folder.last)
        else { throw TrainingError.nothingToResume(folder: folder.path) }
        let found = try Checkpoint.describe(folder.last).task
        guard found == task else { throw TrainingError.otherRun(folder: folder.path, task: found) }
        do {
            let saved = try JSONText.decode(SavedRun<Task.Settings>.self, from: state.json.utf8, of: folder.last)
            if let problem = saved.problem { throw TrainingError.badState(file: folder.last, reason: problem) }
            return (state, saved)
        } catch let error as JSONError {
            throw TrainingError.badState(file: folder.last, reason: error.reason)
        }
    }

    /// Takes over where `last.h5` stood; the model has its weights already. Throws ``TrainingError``, ``CheckpointError``.
    func restore(_ state: StoredTrainingState, _ saved: SavedRun<Task.Settings>) throws {
        func changed(_ what: String) -> TrainingError { .changed(folder: folder.path, what: what) }
        guard saved.fingerprint == objective.fingerprint else { throw changed("the training images are not the same") }
        if let before = saved.contents, let contents, before != contents {
            throw changed("the training images have the names that they had, but some hold something else now")
        }
        for (path, tensor) in stateTensors { try state.read(path, into: tensor) }
        optimizer.restore(steps: saved.optimizerSteps)
        progress = saved.progress
        meter.sums = progress.meter ?? Meter.Sums()
        objective.counts = progress.counts ?? []
        isSaved = true
        if team.isFirst { try folder.rewindLog(to: progress.step, validating: progress.owesValidation == true) }
    }
}
