import BEiTFiles
import BEiTImageIO

/// How annotations become masks, where they leave it open.
package struct AnnotationOptions: Codable, Equatable, Sendable {
    /// The folder of the photos; nil: beside the annotations, or below their folder.
    package var photos: String?
    /// Whether pixels without a shape do not count, instead of being background.
    package var unlabelledIsVoid = false
    /// A list of the classes; nil: those of the annotations. Labels that are none of them are void.
    package var classes: String?

    package init() {}
}

/// A photo whose shapes are known.
package struct AnnotatedPhoto: Sendable {
    package let path: String
    /// The file with its annotations.
    package let file: String
    /// In pixels, where the annotations say it.
    package let size: (width: Int, height: Int)?
    /// From the lowest to the uppermost.
    let shapes: [(value: UInt16, shape: Shape)]
}

/// The photos of a labelling program's files and what is marked on them.
package struct AnnotationSet: Sendable {
    package let format: AnnotationFormat
    /// Classes in the order of their indices, a background among them where pixels need one.
    package let classes: [LabelClass]
    /// What was decided, and what was left out or is odd, a line each.
    package private(set) var decisions: [String] = [], warnings: [String] = []
    /// Whether the files tell photos to learn from from others.
    package let isDivided: Bool

    private var photos: [String: [AnnotatedPhoto]] = [:]
    private var missing: [String: [String]] = [:]
    private var places: [String: (split: String, index: Int)] = [:]
    private let unlabelled: UInt16

    /// The value of pixels that do not count.
    package static let void = UInt16.max
    /// The split of photos that nobody gave one.
    package static let usualSplit = "train"

    /// Reads annotations and finds their photos, and opens none.
    ///
    /// - Parameters:
    ///   - path: a file of a labelling program, or the folder of an export.
    ///   - classes: what ``AnnotationOptions/classes`` lists.
    /// - Throws: ``AnnotationError``, `FileError`.
    package init(_ path: String, _ options: AnnotationOptions = .init(), classes: [LabelClass]? = nil) throws {
        guard let source = try AnnotationSource(path) else {
            throw AnnotationError(path: path, "it holds no annotations that are known (\(AnnotationFormat.names))")
        }
        var draft = AnnotationDraft()
        try source.read(into: &draft)
        guard !draft.images.isEmpty else {
            let reasons = draft.findings.lines("annotation").map { ": \($0)" }.joined()
            throw AnnotationError(path: path, "its \(source.format.name) annotations name no photo" + reasons)
        }
        format = source.format
        isDivided = draft.images.contains { $0.split != nil }
        let table = ClassTable(draft, options, classes)
        (self.classes, unlabelled) = (table.classes, table.unlabelled)
        decisions = ["\(path): annotations of \(source.format.name), \(draft.overlaps)" + table.decision]
        warnings = draft.findings.lines("annotation") + table.warnings
        find(draft.images, table, PhotoFinder(source, options.photos))
    }

    /// Finds the photos and gives their shapes their classes.
    private mutating func find(_ images: [AnnotationDraft.Image], _ table: ClassTable, _ finder: PhotoFinder) {
        var (finder, seen, lost) = (finder, SeenPhotos(), Findings())
        var found: [String: [AnnotatedPhoto]] = [:]
        for image in images {
            let split = image.split ?? Self.usualSplit
            guard let path = image.photo ?? finder.find(image.name, near: image.file, split: image.split) else {
                missing[split, default: []].append(image.name)
                lost.add("not found or not told from others of its name", image.name.shown)
                continue
            }
            guard seen.insert(path) else {
                lost.add("annotated twice, of which the first counts", path.shown)
                continue
            }
            found[split, default: []].append(
                AnnotatedPhoto(
                    path: path, file: image.file, size: image.size,
                    shapes: image.shapes.map { (table.value(of: $0.label), $0.shape) }))
        }
        warnings += lost.lines("photo")
        for (split, list) in found {
            let sorted = list.sorted { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }
            photos[split] = sorted
            for (index, photo) in sorted.enumerated() { places[photo.path] = (split, index) }
        }
    }

    /// The splits that have a photo, in the order of their names.
    package var splits: [String] { photos.keys.sorted() }

    /// Of a split, in the order of their paths.
    package func photos(_ split: String) -> [AnnotatedPhoto] { photos[split] ?? [] }

    /// As the annotations name them.
    package func missing(_ split: String) -> [String] { missing[split] ?? [] }

    /// The class of each pixel of a photo, ``void`` where none counts.
    ///
    /// - Parameters:
    ///   - path: one of ``photos(_:)``.
    ///   - width, height: of the photo as it is seen; the mask has these sides, or the other way round where the annotations
    ///     are of the photo as stored.
    /// - Throws: ``AnnotationError`` where the annotations are of another size, or a picture in them cannot be read.
    package func mask(of path: String, width: Int, height: Int) throws -> IndexMask {
        guard let place = places[path], let photo = photos[place.split]?[place.index] else {
            preconditionFailure("\(path) is no photo of the annotations")
        }
        let size = photo.size ?? (width, height)
        guard size == (width, height) || size == (height, width) else {
            throw AnnotationError(
                path: photo.file,
                "the annotations of \(path.shown) are of \(size.width)×\(size.height) pixels, and the photo has "
                    + "\(width)×\(height); use the photo that was labelled, or leave it out")
        }
        try ImageLimits().check(width: width, height: height, path: path)
        var canvas = Canvas(width: size.width, height: size.height, unlabelled)
        for (value, shape) in photo.shapes { try shape.paint(value, on: &canvas, photo.file) }
        return IndexMask(width: canvas.width, height: canvas.height, values: canvas.values)
    }
}

/// Files that were named, whatever way to them.
private struct SeenPhotos {
    private var files: Set<FileIdentity> = []

    mutating func insert(_ path: String) -> Bool {
        guard let status = FileSystem.status(of: path) else { return true }
        return files.insert(status.identity).inserted
    }
}
