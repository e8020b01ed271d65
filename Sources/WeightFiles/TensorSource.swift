/// Where weights come from: a file, or the parts of one, of any format. Nothing in it is trusted, nothing is executed.
///
/// Names, shapes and types are read when it is opened, values when a tensor is asked for them.
package protocol TensorSource: Sendable {
    /// The files, the one that names the others first.
    var files: [String] { get }
    /// In words: "HDF5", "safetensors", "PyTorch (zip)", "PyTorch (legacy)", "a pickled module".
    var format: String { get }
    /// In the order of the file.
    var tensors: [StoredTensor] { get }
    /// Names, also of groups, of what is in the file but must not be read, with the reason.
    var refusals: [String: String] { get }
    /// What the file says beside its tensors.
    var metadata: SourceMetadata { get }
    /// What was chosen where the file leaves a choice, in words for people.
    var notes: [String] { get }
}

extension TensorSource {
    package var notes: [String] { [] }
}

/// What a file of weights may say of its model.
package struct SourceMetadata: Equatable, Sendable {
    /// The classes in the order of the logits (mmsegmentation's `meta`: `CLASSES` or `dataset_meta`).
    package var classNames: [String]?
    /// Red, green and blue of each class.
    package var palette: [[Int]]?
    /// Texts by name: safetensors' `__metadata__`.
    package var entries: [String: String]

    package init(classNames: [String]? = nil, palette: [[Int]]? = nil, entries: [String: String] = [:]) {
        (self.classNames, self.palette, self.entries) = (classNames, palette, entries)
    }
}
