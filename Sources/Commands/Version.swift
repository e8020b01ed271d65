import Checkpoints
import HDF5
import Ops

/// What `--version` prints.
enum Version {
    static var text: String {
        """
        beit-seg \(beitSegVersion)
        instruction set: \(Machine.instructionSet)
        math libraries: \(MatrixEngine.versions.joined(separator: ", "))
        """
    }
}
