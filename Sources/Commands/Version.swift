import BEiTCheckpoints
import BEiTHDF5
import BEiTOps
import BEiTTensorCore

/// What `--version` prints.
enum Version {
    static var text: String {
        """
        beit-seg \(beitSegVersion)
        instruction set: \(Machine.instructionSet) (kernels: \(Machine.instructionSets.joined(separator: ", ")))
        math libraries: \(MatrixEngine.versions.joined(separator: ", "))
        threads: \(WorkerPool.current.threads)
        """
    }
}
