import Foundation

/// A photo and its mask.
public struct LabelledImage: Equatable, Sendable {
    public var image, mask: String
    /// The data set it belongs to, and so the map of its labels.
    public var source: Int

    public init(image: String, mask: String, source: Int = 0) {
        (self.image, self.mask, self.source) = (image, mask, source)
    }
}

/// Two folders whose files belong together by name.
///
/// A photo `a/b.jpg` and a mask `a/b.png` are a pair; with endings, `a/b<imageEnding>.jpg` and `a/b<maskEnding>.png`.
public struct Pairing: Sendable {
    public var images, masks: String
    public var imageEnding = "", maskEnding = ""
    /// A text file of the stems that belong to the split, one a line.
    public var list: String?

    public init(images: String, masks: String, imageEnding: String = "", maskEnding: String = "", list: String? = nil) {
        (self.images, self.masks, self.imageEnding, self.maskEnding) = (images, masks, imageEnding, maskEnding)
        self.list = list
    }

    /// The pairs in the order of their names, and the photos (or listed names) that lack their mask or photo.
    /// Throws ``DatasetError`` if a folder is missing.
    public func pairs(source: Int = 0) throws -> (pairs: [LabelledImage], incomplete: [String]) {
        let photos = try stems(images, endings: ["jpg", "jpeg", "png"], trailing: imageEnding)
        let labels = try stems(masks, endings: ["png"], trailing: maskEnding)
        var result: (pairs: [LabelledImage], incomplete: [String]) = ([], [])
        for stem in try listed() ?? photos.keys.sorted() {
            if let image = photos[stem], let mask = labels[stem] {
                result.pairs.append(LabelledImage(image: images / image, mask: masks / mask, source: source))
            } else {
                result.incomplete.append(images / (photos[stem] ?? stem))
            }
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
            guard stem.hasSuffix(trailing), !(path as NSString).lastPathComponent.hasPrefix(".") else { continue }
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
