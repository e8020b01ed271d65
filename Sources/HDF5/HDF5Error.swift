/// What went wrong with an HDF5 file: which file, what in it, why, and what to do.
package enum HDF5Error: Error, Equatable, CustomStringConvertible {
    /// The path does not exist (exit status 66).
    case notFound(file: String)
    /// It is there but cannot be opened: a folder, no permission (exit status 74).
    case cannotOpen(file: String, reason: String)
    /// Another format, or a damaged or truncated HDF5 file.
    case notHDF5(file: String, reason: String)
    /// Weights in a format that beit-seg does not read.
    case otherFormat(file: String, OtherFormat)
    /// No object of this path. ``HDF5Reader/datasets`` lists what there is.
    case noDataset(file: String, path: String)
    case wrongType(file: String, path: String, expected: String, found: String)
    case wrongShape(file: String, path: String, expected: String, found: String)
    /// The object asks for what beit-seg does not do: follow a link, read another file, reserve memory for values that
    /// the file does not hold.
    case refused(file: String, path: String, reason: String)
    /// Reading failed half-way: a checksum that does not match, a chunk that cannot be inflated.
    case cannotRead(file: String, path: String, reason: String)
    /// Writing failed: a full disk, no permission, a name that is taken (exit status 74).
    case cannotWrite(file: String, reason: String)

    package var description: String {
        switch self {
        case .notFound(let file):
            "\(file): there is no such file; see whether the path is spelled right"
        case .cannotOpen(let file, let reason):
            "\(file): cannot open: \(reason)"
        case .notHDF5(let file, let reason):
            "\(file): not an HDF5 file, or a damaged one (\(reason)); fetch or export it again"
        case .otherFormat(let file, let format):
            "\(file): \(format.description), not a model of beit-seg; `beit-seg import` makes one of it"
        case .noDataset(let file, let path):
            "\(file): there is no \(path) in it; `h5ls -r` lists what there is"
        case .wrongType(let file, let path, let expected, let found):
            "\(file): \(path) holds \(found) where \(expected) should be"
        case .wrongShape(let file, let path, let expected, let found):
            "\(file): \(path) has the shape \(found) where \(expected) should be"
        case .refused(let file, let path, let reason):
            "\(file): \(path) is refused: \(reason)"
        case .cannotRead(let file, let path, let reason):
            "\(file): cannot read \(path): \(reason); the file is damaged, fetch or export it again"
        case .cannotWrite(let file, let reason):
            "\(file): cannot write: \(reason)"
        }
    }

    /// The reason alone, for an object that a walk passes by.
    var reason: String {
        switch self {
        case .refused(_, _, let reason): reason
        case .cannotRead(_, _, let reason):
            "\(reason); damaged, or in a newer format than beit-seg reads: save it again"
        default: description
        }
    }
}
