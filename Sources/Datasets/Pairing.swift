import BEiTFiles
import BEiTImageIO
import Foundation

/// A photo and its mask.
package struct LabelledImage: Codable, Equatable, Sendable {
    package var image, mask: String
    /// The data set it belongs to, and so the map of its labels.
    package var source: Int

    package init(image: String, mask: String, source: Int = 0) {
        (self.image, self.mask, self.source) = (image, mask, source)
    }
}

/// What two folders hold together.
package struct PairedFiles: Equatable, Sendable {
    /// In the order of their names.
    package var pairs: [LabelledImage] = []
    /// Photos (or listed names) that lack their mask or photo.
    package var incomplete: [String] = []
    /// Masks that no photo belongs to; not looked for where a list says what belongs to the split.
    package var spareMasks: [String] = []
    /// What was decided about names.
    package var notes: [LabelNote] = []

    package init(pairs: [LabelledImage] = [], incomplete: [String] = []) {
        (self.pairs, self.incomplete) = (pairs, incomplete)
    }

    static func += (result: inout PairedFiles, more: PairedFiles) {
        result.pairs += more.pairs
        result.incomplete += more.incomplete
        result.spareMasks += more.spareMasks
        result.notes += more.notes
    }

    /// That masks are left out; nil without any.
    package static func spareNote(_ masks: [String]) -> LabelNote? {
        masks.first.map {
            LabelNote(
                "\(masks.count.counted("mask")) without a photo left out, the first is \($0.shown)", isWarning: true)
        }
    }

    /// What is left out, for people.
    package var warnings: [String] {
        [(incomplete, "photo", "a mask"), (spareMasks, "mask", "a photo")].compactMap { paths, noun, other in
            paths.first.map { "\(paths.count.counted(noun)) without \(other) left out, the first is \($0.shown)" }
        }
    }
}

/// Two folders, or one, whose files belong together by name.
///
/// A photo `a/b.jpg` and a mask `a/b.png` or `a/b.jpg.png` are a pair; with endings, `a/b<imageEnding>.jpg` and
/// `a/b<maskEnding>.png`. Where no mask has its photo's name and all that have more end alike (`b_mask.png`), that ending
/// is taken, and it is noted.
package struct Pairing: Sendable {
    package var images, masks: String
    package var imageEnding = ""
    /// Nil: nothing, or the one that is found.
    package var maskEnding: String?
    /// The list of the photos that belong to the split.
    var list: SplitList?
    /// Whether endings are looked for.
    private let findsEnding: Bool

    package init(images: String, masks: String, imageEnding: String = "", maskEnding: String? = nil) {
        self.init(images: images, masks: masks, imageEnding: imageEnding, maskEnding: maskEnding, list: nil)
    }

    init(
        images: String, masks: String, imageEnding: String = "", maskEnding: String? = nil, list: SplitList?,
        findsEnding: Bool = true
    ) {
        (self.images, self.masks, self.imageEnding, self.maskEnding) = (images, masks, imageEnding, maskEnding)
        (self.list, self.findsEnding) = (list, findsEnding && maskEnding == nil)
    }

    /// Whether files of one folder can be both; false where masks are compared with masks.
    package var mayBeOneFolder = true

    /// Whether photos and masks lie in one folder.
    var isOneFolder: Bool {
        guard mayBeOneFolder else { return false }
        guard let place = FileSystem.realPath(images) else { return images == masks }
        return place == FileSystem.realPath(masks)
    }

    /// Throws ``DatasetError`` if a folder is missing, or two photos have one mask.
    package func files(source: Int = 0) throws -> PairedFiles {
        var (photos, labels) = try names()
        var notes = labels.notes
        var ending = maskEnding ?? ""
        var found = pair(photos, labels, ending: ending)
        if findsEnding, !found.lonely.isEmpty {
            let endings = MaskEnding.candidates(
                photos: found.lonely, masks: labels, used: Set(found.pairs.values), isOneFolder: isOneFolder)
            if found.pairs.isEmpty, let only = endings.first {
                guard endings.count == 1 else { throw MaskEnding.ambiguous(endings, path: masks) }
                ending = only.ending
                if isOneFolder { photos.removeAll { MaskEnding.is($0, ending) } }
                found = pair(photos, labels, ending: ending)
                notes.append(
                    LabelNote("\(masks): the names of masks end in `\(ending)` beyond those of their photos", .suffix))
            } else if let first = endings.first {
                notes.append(MaskEnding.leftOut(first, path: masks))
            }
        }
        var result = try list.map { try listed($0, found, source) } ?? whole(photos, found, source)
        if list == nil { result.spareMasks = spare(labels, found, ending) }
        result.notes = notes
        return result
    }

    /// The photos in the order of their stems, and the masks.
    private func names() throws -> (photos: [FileName], masks: MaskNames) {
        let photos = try FileName.below(images).filter { $0.stem.hasSuffix(imageEnding) }
        guard isOneFolder else { return (photos, MaskNames(try FileName.below(masks), folder: masks)) }
        if let maskEnding, !maskEnding.isEmpty {
            let masks = photos.filter { MaskEnding.is($0, maskEnding) }
            return (photos.filter { !MaskEnding.is($0, maskEnding) }, MaskNames(masks, folder: images))
        }
        // Where photos of another format have a PNG beside them, that is the mask.
        let jpegs = Set(photos.filter { !$0.isPNG }.flatMap { [$0.stem, $0.path] })
        let isPaired = photos.contains { $0.isPNG && jpegs.contains($0.stem) }
        return (
            isPaired ? photos.filter { !($0.isPNG && jpegs.contains($0.stem)) } : photos,
            MaskNames(photos.filter { $0.isPNG && (!isPaired || jpegs.contains($0.stem)) }, folder: images)
        )
    }

    private struct Found {
        /// For each photo its mask.
        var pairs: [String: String] = [:]
        var lonely: [FileName] = []
    }

    private func pair(_ photos: [FileName], _ masks: MaskNames, ending: String) -> Found {
        var found = Found()
        for photo in photos {
            let stem = photo.stem.dropLast(imageEnding.count)
            if let mask = masks.paths[stem + ending] ?? masks.paths[photo.path], !(isOneFolder && mask == photo.path) {
                found.pairs[photo.path] = mask
            } else {
                found.lonely.append(photo)
            }
        }
        return found
    }

    private func whole(_ photos: [FileName], _ found: Found, _ source: Int) throws -> PairedFiles {
        var result = PairedFiles()
        var owners: [String: String] = [:]
        for photo in photos {
            guard let mask = found.pairs[photo.path] else {
                result.incomplete.append(images / photo.path)
                continue
            }
            if let other = owners.updateValue(photo.path, forKey: mask) {
                throw DatasetError(
                    .invalid, path: images, reason: "\(other) and \(photo.path) have one name; remove one of them")
            }
            result.pairs.append(LabelledImage(image: images / photo.path, mask: masks / mask, source: source))
        }
        return result
    }

    private func listed(_ list: SplitList, _ found: Found, _ source: Int) throws -> PairedFiles {
        var photos: [String: String] = [:]
        for path in (Array(found.pairs.keys) + found.lonely.map(\.path)).sorted() {
            photos[FileName(path).stem] = path
            photos[path] = path
        }
        var result = PairedFiles()
        for entry in try list.entries(isKnown: { photos[$0] != nil }) {
            switch entry {
            case .name(let name):
                if let photo = photos[name], let mask = found.pairs[photo] {
                    result.pairs.append(LabelledImage(image: images / photo, mask: masks / mask, source: source))
                } else {
                    result.incomplete.append(images / (photos[name] ?? name))
                }
            case .files(let image, let mask):
                let isThere = [image, mask].allSatisfy { FileSystem.exists($0) }
                if isThere {
                    result.pairs.append(LabelledImage(image: image, mask: mask, source: source))
                } else {
                    result.incomplete.append(image)
                }
            }
        }
        return result
    }

    private func spare(_ masks: MaskNames, _ found: Found, _ ending: String) -> [String] {
        let used = Set(found.pairs.values)
        let photos = isOneFolder ? Set(found.lonely.map(\.path)) : []
        return masks.paths.filter { $0.key.hasSuffix(ending) && !used.contains($0.value) && !photos.contains($0.value) }
            .map { self.masks / $0.value }.sorted()
    }
}

/// A file below a folder.
struct FileName: Equatable {
    /// Relative to the folder.
    let path: String
    /// Without what follows the last dot.
    let stem: String
    var isPNG: Bool { path.lowercased().hasSuffix(".png") }
    /// Whether its format keeps exact values, as its ending says.
    var canBeMask: Bool { ImageCodec.exactEndings.contains(path.ending.lowercased()) }

    init(_ path: String) { (self.path, stem) = (path, path.withoutEnding) }

    /// The images below a folder in the order of their stems; links are followed. Throws ``DatasetError``.
    static func below(_ folder: String) throws -> [FileName] {
        guard FileSystem.isFolder(folder) else {
            throw DatasetError(.missing, path: folder, reason: "there is no such folder, or it cannot be read")
        }
        return try PhotoListing(folder).names.map(FileName.init).sorted { ($0.stem, $0.path) < ($1.stem, $1.path) }
    }
}

/// The masks below a folder.
struct MaskNames {
    /// By stem.
    private(set) var paths: [String: String] = [:]
    /// What is no mask.
    private(set) var notes: [LabelNote] = []

    init(_ files: [FileName], folder: String) {
        for file in files where file.canBeMask && (file.isPNG || paths[file.stem] == nil) {
            paths[file.stem] = file.path
        }
        let others = files.filter { !$0.canBeMask }
        guard let first = others.first else { return }
        notes = [
            LabelNote(
                "\(folder): \(others.count.counted("JPEG")) left out, which cannot be masks (JPEGs do not keep "
                    + "exact values), the first is \(first.path.shown)", isWarning: true)
        ]
    }
}
