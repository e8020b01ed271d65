import BEiTAnnotations
import BEiTFiles

extension AnnotationSet {
    /// As the data set's other readers fail. Throws ``DatasetError``, `FileError`.
    init(reading path: String, _ options: AnnotationOptions) throws {
        let classes = try options.classes.map { try ClassList.read($0) }
        do { try self.init(path, options, classes: classes) } catch let error as AnnotationError {
            throw DatasetError(error)
        }
    }

    /// The photos of a split, each with the file of its shapes in place of a mask; nil where there is no such split.
    /// Throws ``DatasetError`` where none of its photos is found.
    func files(_ split: DatasetSplit, source: Int) throws(DatasetError) -> PairedFiles? {
        let photos = photos(split.rawValue), missing = missing(split.rawValue)
        guard !photos.isEmpty else {
            guard let lost = missing.first else { return nil }
            throw DatasetError(
                .missing, path: lost,
                reason: "none of the \(missing.count.counted("annotated photo")) of \(split.rawValue) is found", .photos
            )
        }
        return PairedFiles(pairs: photos.map { LabelledImage(image: $0.path, mask: $0.file, source: source) })
    }

    var labelNotes: [LabelNote] {
        decisions.map { LabelNote($0) } + warnings.map { LabelNote($0, isWarning: true) }
    }
}

extension DatasetError {
    init(_ error: AnnotationError) {
        self.init(error.isMissing ? .missing : .invalid, path: error.path, reason: error.reason)
    }
}
