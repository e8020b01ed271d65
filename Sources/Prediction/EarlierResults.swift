import BEiTFiles
import BEiTImageIO

/// What earlier runs left in the output folder.
struct EarlierResults {
    /// An image's file or its path, and which of its pages.
    private struct Key: Hashable {
        let name: String
        let page: Int

        init(_ name: String, _ page: Int?) { (self.name, self.page) = (name, page ?? 1) }
    }

    /// Of complete images, by the photo's file and by its path as it was spelled.
    private var byFile: [Key: PredictionRecord] = [:]
    private var byPath: [Key: PredictionRecord] = [:]
    /// All that stands in the manifests that this run's replaces.
    private var own: [PredictionRecord] = []
    /// Such a manifest, held so that nobody writes it meanwhile.
    struct Absorbed {
        let path: String
        fileprivate let lock: LockedFile
    }
    /// These but for the run's own.
    private(set) var absorbed: [Absorbed] = []
    /// Whether the last run left records. Results without one are then older, and of other options perhaps: they do not
    /// count.
    private var isKnown = false

    /// Nothing.
    init() {}

    /// All that lies in `folder`, of whatever number of processes.
    ///
    /// - Parameter isWhole: whether one manifest will speak for all; else those of the other parts of a divided run stay.
    /// - Throws: ``PredictionError`` where it is of another model or other options than `heading`, or cannot be read.
    init(_ folder: String, _ heading: PredictionManifest, own manifestPath: String, isWhole: Bool) throws {
        for path in PredictionManifest.paths(in: folder) {
            if path != manifestPath, isWhole {
                guard let lock = try LockedFile(PredictionManifest.lock(path)) else {
                    throw PredictionError.busy(folder: folder)
                }
                absorbed.append(Absorbed(path: path, lock: lock))
            }
            guard let manifest = try PredictionManifest.earlier(path) else { continue }
            guard manifest.goesWith(heading) else {
                throw PredictionError.otherResults(
                    folder: folder, manifest.model, options: manifest.options ?? "")
            }
            if path == manifestPath || isWhole { own += manifest.images }
            for record in manifest.images where record.status == .done {
                byPath[Key(record.path, record.page)] = record
                if let file = record.photo?.file { byFile[Key(file, record.page)] = record }
            }
            isKnown = true
        }
    }

    /// The record of an image whose results are all there and were made of the photo as it is now.
    func record(of image: InputImage, _ photo: KnownFile, _ form: ResultForm) -> PredictionRecord? {
        guard var record = byFile[Key(photo.file, image.page)] ?? byPath[Key(image.path, image.page)] else {
            return isKnown || !form.isComplete(image.stem, nil) ? nil : form.unknownRecord(of: image, photo)
        }
        guard form.isComplete(image.stem, record) else { return nil }
        let wanted = form.names(image.stem)
        if let before = record.photo, (before.bytes, before.modified) != (photo.bytes, photo.modified) { return nil }
        if let files = record.files, !Set(files).isSuperset(of: wanted) { return nil }
        (record.path, record.page, record.photo) = (image.path, image.page, photo)
        record.files = record.files ?? wanted
        return record
    }

    /// What this process's manifest lists beside `images`, whose results are not overwritten now.
    func others(than images: [InputImage], _ form: ResultForm) -> [PredictionRecord] {
        guard !own.isEmpty else { return [] }
        var (paths, files, names) = (Set<Key>(), Set<Key>(), Set<String>())
        for image in images {
            paths.insert(Key(image.path, image.page))
            if let file = KnownFile.place(of: image.path) { files.insert(Key(file, image.page)) }
            names.formUnion(form.names(image.stem))
        }
        var seen = Set<String>()
        return own.filter { record in
            seen.insert(record.name).inserted && !paths.contains(Key(record.path, record.page))
                && record.photo.map { !files.contains(Key($0.file, record.page)) } ?? true
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
        var record = PredictionRecord(
            image.path, mask.width, mask.height, counts, classes, photo: photo, files: names(image.stem))
        record.page = image.page
        return record
    }
}
