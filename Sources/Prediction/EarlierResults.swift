import BEiTFiles
import BEiTImageIO

/// What earlier runs left in the output folder.
struct EarlierResults {
    /// Of complete images, by the photo's file and by its path as it was spelled.
    private var byFile: [String: PredictionRecord] = [:]
    private var byPath: [String: PredictionRecord] = [:]
    /// All that stands in this process's own manifest.
    private var own: [PredictionRecord] = []
    /// Whether the last run left records. Results without one are then older, and of other options perhaps: they do not
    /// count.
    private var isKnown = false

    /// Nothing.
    init() {}

    /// All that lies in `folder`, of whatever number of processes. Throws ``PredictionError`` where it is of another model
    /// or other options than `heading`, or cannot be read.
    init(_ folder: String, _ heading: PredictionManifest, own manifestPath: String) throws {
        for path in PredictionManifest.paths(in: folder) {
            guard let manifest = try PredictionManifest.earlier(path) else { continue }
            guard manifest.goesWith(heading) else {
                throw PredictionError.otherResults(
                    folder: folder, manifest.model, options: manifest.options ?? "")
            }
            if path == manifestPath { own = manifest.images }
            for record in manifest.images where record.status == .done {
                byPath[record.path] = record
                if let file = record.photo?.file { byFile[file] = record }
            }
            isKnown = true
        }
    }

    /// The record of an image whose results are all there and were made of the photo as it is now.
    func record(of image: InputImage, _ photo: KnownFile, _ form: ResultForm) -> PredictionRecord? {
        guard var record = byFile[photo.file] ?? byPath[image.path] else {
            return isKnown || !form.isComplete(image.stem, nil) ? nil : form.unknownRecord(of: image, photo)
        }
        guard form.isComplete(image.stem, record) else { return nil }
        let wanted = form.names(image.stem)
        if let before = record.photo, (before.bytes, before.modified) != (photo.bytes, photo.modified) { return nil }
        if let files = record.files, !Set(files).isSuperset(of: wanted) { return nil }
        (record.path, record.photo) = (image.path, photo)
        record.files = record.files ?? wanted
        return record
    }

    /// What this process's manifest lists beside `images`, whose results are not overwritten now.
    func others(than images: [InputImage], _ form: ResultForm) -> [PredictionRecord] {
        guard !own.isEmpty else { return [] }
        var (paths, files, names) = (Set<String>(), Set<String>(), Set<String>())
        for image in images {
            paths.insert(image.path)
            if let file = FileSystem.realPath(image.path) { files.insert(file) }
            names.formUnion(form.names(image.stem))
        }
        return own.filter { record in
            !paths.contains(record.path) && record.photo.map { !files.contains($0.file) } ?? true
                && names.isDisjoint(with: record.files ?? [])
        }
    }
}

extension ResultForm {
    /// The record of complete results that no manifest knows: from the index mask, where there is one that fits.
    fileprivate func unknownRecord(of image: InputImage, _ photo: KnownFile) -> PredictionRecord? {
        guard formats.contains(.index), let mask = try? decodeMask(folder.joined(image.stem + ".png")),
            mask.values.allSatisfy({ $0 < classes.count })
        else { return nil }
        let counts = ClassCounts(mask.values, of: classes.count)
        return PredictionRecord(
            image.path, mask.width, mask.height, counts, classes, photo: photo, files: names(image.stem))
    }
}
