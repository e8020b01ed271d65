import BEiTFiles

/// Files of weights of any format.
package enum TensorFile {
    /// Opens HDF5, safetensors, PyTorch's formats, or the index of a model in parts. What it is the first bytes say.
    ///
    /// Throws ``WeightFileError``, `HDF5Error` or `FileError`: what it is instead, or what is wrong with it.
    package static func open(_ path: String) throws -> any TensorSource {
        let file = try OpenFile(path)
        let kind = try FileKind(file)
        return kind == .json ? try ShardedSource(file) : try open(file, kind)
    }

    /// Opens a file that stands for itself.
    static func open(_ file: OpenFile, _ kind: FileKind) throws -> any TensorSource {
        switch kind {
        case .hdf5: try HDF5Source(file.path)
        case .safetensors: try SafetensorsSource(file)
        case .zip: try TorchSource(archive: file)
        case .pickle: try TorchSource(stream: file)
        case .json:
            throw WeightFileError.notWeights(
                file: file.path, what: "JSON, not weights", remedy: "give the file that holds the weights")
        case .foreign(let what, let remedy):
            throw WeightFileError.notWeights(file: file.path, what: what, remedy: remedy)
        }
    }
}
