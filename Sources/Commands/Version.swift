import BEiTCheckpoints
import BEiTHDF5
import BEiTOps

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
