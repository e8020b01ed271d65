import BEiTFiles
import BEiTHDF5
import BEiTImageIO
import Foundation

/// Why a run ends before its images do.
package enum PredictionError: ExitStatus, Equatable {
    /// A signal; what is done is complete and stands in the manifest.
    case interrupted(signal: Int32, done: Int, of: Int)
    /// The folder holds the results of another model, or of other options.
    case otherResults(folder: String, String, options: String)
    /// What an earlier run has noted cannot be read.
    case unreadable(manifest: String, reason: String)
    /// A result of an earlier run cannot be read.
    case unreadableResult(String, reason: String)
    /// The parts of a divided run cannot be joined.
    case cannotJoin(folder: String, reason: String)
    /// Another process writes there.
    case busy(folder: String)
    /// The model's output was finite for no image.
    case neverFinite(model: String)

    package var exitStatus: Int32 {
        switch self {
        case .interrupted(let signal, _, _): 128 + signal
        case .otherResults, .busy, .cannotJoin: 64
        case .unreadable, .unreadableResult, .neverFinite: 65
        }
    }

    package var description: String {
        switch self {
        case .interrupted(_, let done, let all): "interrupted after \(done) of \(all) images; `resume` goes on"
        case .otherResults(let folder, let model, let options):
            "\(folder.shown): its results were made by \(model.shown) as it was then, with "
                + "\(options.isEmpty ? "no options" : options); "
                + "resume with the same model and options, or choose another folder"
        case .unreadable(let manifest, let reason):
            "\(manifest.shown): is no list of predictions, or a damaged one (\(reason)); remove it, or choose another folder"
        case .unreadableResult(let path, let reason):
            "\(path.shown): is no result, or a damaged one (\(reason)); remove it, and resume"
        case .cannotJoin(let folder, let reason): "\(folder.shown): \(reason)"
        case .busy(let folder):
            "\(folder.shown): another process is writing its results there; wait until it ends, choose another folder, or "
                + "share the images among the processes (`shard` I/N)"
        case .neverFinite(let model):
            "\(model.shown): its output is not finite (NaN or infinite) for any image; take another checkpoint"
        }
    }
}

/// What an error means for a run over many images: whether it lies in the one image, or will meet all others as well.
enum Obstacle {
    static func endsRun(_ error: any Error) -> Bool {
        switch error {
        case is ImageError, is NotFinite: false
        case let error as FileError: error.isOfTheSystem
        // Of libhdf5 only the text is known.
        case HDF5Error.cannotWrite(_, let reason):
            FileError.codesOfTheSystem.contains { reason.contains(String(cString: strerror($0))) }
        default: true
        }
    }
}
