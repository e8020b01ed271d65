import BEiTFiles
import BEiTTensorCore

/// Why weights cannot be taken from a file, or not be put into one.
package enum WeightFileError: Error, Equatable, ExitStatus {
    /// Something else than weights: what it is, and what to do.
    case notWeights(file: String, what: String, remedy: String)
    /// The format is known, and the file breaks its rules.
    case damaged(file: String, reason: String)
    /// The end of the file is missing.
    case incomplete(file: String, reason: String)
    /// A pickle asks for a class or function that is none of those which make up weights.
    case foreignObject(file: String, name: String)
    /// Well-formed, but without weights.
    case noWeights(file: String, reason: String)
    /// The values of a tensor that holds none of the kind wanted.
    case wrongType(file: String, tensor: String, found: ElementType)
    /// One tensor that cannot be read.
    case refused(file: String, tensor: String, reason: String)
    /// A value that the element type of the file to be written cannot hold.
    case beyondRange(file: String, tensor: String, value: Float, type: String)

    package var exitStatus: Int32 { 65 }

    package var description: String {
        switch self {
        case .notWeights(let file, let what, let remedy): "\(file.shown): \(what); \(remedy)"
        case .damaged(let file, let reason):
            "\(file.shown): \(reason); the file is damaged, fetch or export it again"
        case .incomplete(let file, let reason):
            "\(file.shown): \(reason); half a download: fetch it again"
        case .foreignObject(let file, let name):
            "\(file.shown): reading it would call \(name.brief); beit-seg never executes what a file says: load it "
                + "where it was made and save its state_dict alone"
        case .noWeights(let file, let reason): "\(file.shown): \(reason); give the file that holds the model"
        case .wrongType(let file, let tensor, let found):
            "\(file.shown): \(tensor.brief) holds \(found) where floating-point numbers should be"
        case .refused(let file, let tensor, let reason): "\(file.shown): \(tensor.brief) is refused: \(reason)"
        case .beyondRange(let file, let tensor, let value, let type):
            "\(file.shown): not written: \(tensor.brief) has the value \(value), which \(type) cannot hold; "
                + "write it as float32"
        }
    }
}

extension String {
    /// A name out of a file, for a line of text: without what would break the line, and not longer than one.
    var brief: String {
        let start = String(String.UnicodeScalarView(unicodeScalars.prefix(120)))
        return start.shown + (start.utf8.count < utf8.count ? "…" : "")
    }
}
