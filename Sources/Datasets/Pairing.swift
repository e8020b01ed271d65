import BEiTFiles
import Foundation

/// A photo and its mask.
package struct LabelledImage: Equatable, Sendable {
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

    package init(pairs: [LabelledImage] = [], incomplete: [String] = []) {
        (self.pairs, self.incomplete) = (pairs, incomplete)
    }

    static func += (result: inout PairedFiles, more: PairedFiles) {
        result.pairs += more.pairs
        result.incomplete += more.incomplete
        result.spareMasks += more.spareMasks
    }

    /// What is left out, for people.
    package var warnings: [String] {
        [(incomplete, "photo", "a mask"), (spareMasks, "mask", "a photo")].compactMap { paths, noun, other in
            paths.first.map { "\(paths.count.counted(noun)) without \(other) left out, the first is \($0)" }
        }
    }
}

/// Two folders whose files belong together by name.
///
/// A photo `a/b.jpg` and a mask `a/b.png` are a pair; with endings, `a/b<imageEnding>.jpg` and `a/b<maskEnding>.png`.
package struct Pairing: Sendable {
    package var images, masks: String
    package var imageEnding = "", maskEnding = ""
    /// A text file of the stems that belong to the split, one a line.
    package var list: String?

    package init(images: String, masks: String, imageEnding: String = "", maskEnding: String = "", list: String? = nil)
    {
        (self.images, self.masks, self.imageEnding, self.maskEnding) = (images, masks, imageEnding, maskEnding)
        self.list = list
    }

    /// Throws ``DatasetError`` if a folder is missing.
    package func files(source: Int = 0) throws -> PairedFiles {
        let photos = try stems(images, endings: ["jpg", "jpeg", "png"], trailing: imageEnding)
        let labels = try stems(masks, endings: ["png"], trailing: maskEnding)
        let listed = try listed()
        var result = PairedFiles()
        for stem in listed ?? photos.keys.sorted() {
            if let image = photos[stem], let mask = labels[stem] {
                result.pairs.append(LabelledImage(image: images / image, mask: masks / mask, source: source))
            } else {
                result.incomplete.append(images / (photos[stem] ?? stem))
            }
        }
        if listed == nil {
            result.spareMasks = labels.filter { photos[$0.key] == nil }.map { masks / $0.value }.sorted()
        }
        return result
    }

    private func listed() throws -> [String]? {
        guard let list else { return nil }
        return try readText(list, of: "list").split(whereSeparator: \.isWhitespace).map(String.init)
    }

    /// Relative paths of the files below `folder` by their stem.
    private func stems(_ folder: String, endings: Set<String>, trailing: String) throws -> [String: String] {
        guard let paths = FileManager.default.subpaths(atPath: folder) else {
            throw DatasetError(.missing, path: folder, reason: "there is no such folder, or it cannot be read")
        }
        var result: [String: String] = [:]
        for path in paths.sorted() where endings.contains((path as NSString).pathExtension.lowercased()) {
            let stem = (path as NSString).deletingPathExtension
            let isHidden = path.split(separator: "/").contains { $0.hasPrefix(".") }
            guard stem.hasSuffix(trailing), !isHidden else { continue }
            let key = String(stem.dropLast(trailing.count))
            if let other = result[key] {
                throw DatasetError(
                    .invalid, path: folder, reason: "\(other) and \(path) have one name; remove one of them")
            }
            result[key] = path
        }
        return result
    }
}
