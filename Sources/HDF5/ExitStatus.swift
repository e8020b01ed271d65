import BEiTFiles

extension HDF5Error: ExitStatus {
    package var exitStatus: Int32 {
        switch self {
        case .notFound: 66
        case .cannotOpen, .cannotWrite: 74
        default: 65
        }
    }
}
