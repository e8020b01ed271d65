import BEiTCheckpoints
import BEiTFiles
import BEiTModels

/// Why a run stopped or cannot begin.
package enum TrainingError: Error, Equatable, ExitStatus {
    /// The loss or the gradient is no number any more.
    case diverged(what: String, step: Int, learningRate: Double, images: [String], folder: String)
    /// A signal; `last.h5` is written.
    case interrupted(signal: Int32, step: Int, folder: String)
    /// There is a run already.
    case occupied(folder: String)
    /// There is a file of another origin, or the result of a run that cannot be resumed.
    case wouldOverwrite(file: String)
    /// Another process trains there.
    case busy(folder: String)
    /// Nothing to resume from.
    case nothingToResume(folder: String)
    /// What is resumed is not what was begun.
    case changed(folder: String, what: String)
    /// The training state in a file makes no sense.
    case badState(file: String, reason: String)
    /// The processes of a run have come to different weights.
    case apart(rank: Int, step: Int, folder: String)
    /// A process sees something else than the first one.
    case different(rank: Int, what: String)
    /// What is resumed is a run of another kind.
    case otherRun(folder: String, task: ModelTask)

    package var exitStatus: Int32 {
        switch self {
        case .diverged, .changed, .badState, .otherRun, .apart, .different: 65
        case .interrupted(let signal, _, _): 128 + signal
        case .occupied, .wouldOverwrite, .busy: 64
        case .nothingToResume: 66
        }
    }

    package var description: String {
        switch self {
        case .diverged(let what, let step, let rate, let images, let folder):
            "step \(step): the \(what) is not finite at learning rate \(rate)"
                + (images.isEmpty ? "; " : "; images \(images.joined(separator: ", ")); ")
                + "\(folder)/last.h5 is the last good state: try a lower `lr` or `clip-grad` 1 in a new run"
        case .interrupted(_, let step, let folder):
            "interrupted after step \(step); \(folder)/last.h5 is written, go on with `resume` \(folder)"
        case .occupied(let folder):
            "\(folder): holds a training run; go on with `resume` \(folder), or choose another folder"
        case .wouldOverwrite(let file):
            "\(file): is there already, and would be overwritten; move it away, or choose another folder"
        case .busy(let folder):
            "\(folder): another process is training there; wait until it ends, or choose another folder"
        case .nothingToResume(let folder):
            "\(folder)/last.h5: there is no training state to resume; was the run stopped before its first checkpoint?"
        case .changed(let folder, let what):
            "\(folder)/last.h5: \(what); resume with what the run began with, or start a new run"
        case .badState(let file, let reason):
            "\(file): its training state is damaged: \(reason); take a copy of the file, or start a new run with it as "
                + "the first weights"
        case .apart(let rank, let step, let folder):
            "step \(step): the weights of process \(rank) are not those of process 0; \(folder)/last.h5 is from before: let all "
                + "processes run the same program on processors of one kind, and go on with `resume` \(folder)"
        case .different(let rank, let what):
            "process \(rank) has \(what) than process 0, and the launcher has started both for one run: give all the same program, "
                + "data and options; runs of their own need a launcher each"
        case .otherRun(let folder, let task):
            "\(folder)/last.h5: this is the run of another command; go on with `beit-seg \(task.resuming) --resume \(folder)`"
        }
    }
}

extension ModelTask {
    /// The command that resumes a run, which knows its task by itself.
    fileprivate var resuming: String { command.split(separator: " --").first.map(String.init) ?? command }
}
