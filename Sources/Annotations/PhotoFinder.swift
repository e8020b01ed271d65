import BEiTFiles
import BEiTImageIO

/// Finds the photos that annotations name.
struct PhotoFinder {
    private let folder: String?
    private let root: String
    /// The paths of the photos below, by last name; nil: not listed yet.
    private var listed: [String: [String]]?

    /// - Parameter folder: of the photos; nil: near the annotations.
    init(_ source: AnnotationSource, _ folder: String?) {
        self.folder = folder
        root = folder ?? source.folder
    }

    /// Nil where there is none, or where several have the name and nothing tells them apart.
    ///
    /// - Parameters:
    ///   - name: as the annotations have it: a name, or a path below some folder, also of Windows.
    ///   - file: of the annotations.
    mutating func find(_ name: String, near file: String, split: String?) -> String? {
        let parts = name.split { $0 == "/" || $0 == "\\" }.map(String.init).filter { $0 != "." && $0 != ".." }
        guard let last = parts.last else { return nil }
        let relative = parts.joined(separator: "/")
        let beside = folder.map { [$0] } ?? [file.parent, file.parent.joined("images"), root, root.joined("images")]
        // labelme's names go up and down from its file.
        let places = [file.parent.joined(name.replacing("\\", with: "/"))] + beside.map { $0.joined(relative) }
        if let path = places.dropFirst(folder == nil ? 0 : 1).first(where: FileSystem.isFile) { return path }
        if let path = best(of: candidates(last), parts, split) { return path }
        // Label Studio puts eight digits before the name of a photo that it is given.
        guard let dash = last.firstIndex(of: "-"), last[..<dash].count == 8, last[..<dash].allSatisfy(\.isHexDigit)
        else {
            return nil
        }
        let given = String(last[last.index(after: dash)...])
        return best(of: candidates(given), [given], split)
    }

    private mutating func candidates(_ last: String) -> [String] {
        if listed == nil {
            let names = (try? PhotoListing(root))?.names ?? []
            listed = Dictionary(grouping: names.map { root.joined($0) }, by: \.lastName)
        }
        return listed?[last] ?? []
    }

    /// The path that ends most like the name; of several the one that lies in a folder of the split.
    private func best(of paths: [String], _ parts: [String], _ split: String?) -> String? {
        func shared(_ path: String) -> Int {
            zip(path.split(separator: "/").reversed(), parts.reversed()).prefix { $0 == $1 }.count
        }
        let most = paths.map(shared).max() ?? 0
        let nearest = paths.filter { shared($0) == most }
        guard nearest.count > 1 else { return nearest.first }
        let inSplit = nearest.filter { split != nil && SplitName.of(path: $0.parent, below: root) == split }
        return inSplit.count == 1 ? inSplit[0] : nil
    }
}

/// The part of a data set that names of files and folders tell.
enum SplitName {
    /// `train2017` is train, `instances_val` val; nil for a name that tells none.
    static func of(_ name: String) -> String? {
        for word in name.lowercased().split(whereSeparator: { !$0.isLetter }) {
            switch word {
            case "train", "training": return "train"
            case "val", "valid", "validation": return "val"
            case "test", "testing": return "test"
            default: continue
            }
        }
        return nil
    }

    /// What the last of its names says that says something, up to the folder `root`.
    static func of(path: String, below root: String) -> String? {
        let below = path.hasPrefix(root) ? path.dropFirst(root.count) : path[...]
        return below.split(separator: "/").reversed().lazy.compactMap { of(String($0)) }.first
    }
}
