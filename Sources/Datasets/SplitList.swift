import BEiTFiles
import BEiTImageIO
import Foundation

/// A list of the photos that belong to a split, one a line: names with or without ending, which may contain blanks; or
/// two columns, a photo and its mask below the data folder (DeepLab's lists for Pascal VOC).
struct SplitList: Sendable {
    let path: String
    /// The data folder.
    let root: String

    enum Entry: Equatable {
        /// The name of a photo, or its stem.
        case name(String)
        case files(image: String, mask: String)
    }

    private static let endings = ImageCodec.endings.map { "." + $0 }.sorted()

    /// - Parameter isKnown: whether there is a photo of that name or stem.
    /// - Throws: ``DatasetError``.
    func entries(isKnown: (String) -> Bool) throws -> [Entry] {
        try readText(path, of: "list").split(whereSeparator: \.isNewline).flatMap { line -> [Entry] in
            let line = line.trimmingCharacters(in: .whitespaces)
            if line.isEmpty || isKnown(line) { return line.isEmpty ? [] : [.name(line)] }
            if let (image, mask) = columns(line) { return [.files(image: image, mask: mask)] }
            let stem = Self.endings.contains { line.lowercased().hasSuffix($0) } ? FileName(line).stem : line
            if isKnown(stem) { return [.name(stem)] }
            // Several names in a line.
            let words = line.split(whereSeparator: \.isWhitespace).map(String.init)
            return words.count > 1 && words.contains(where: isKnown) ? words.map(Entry.name) : [.name(line)]
        }
    }

    /// A photo and a mask; paths that begin with `/` lie below the data folder.
    private func columns(_ line: String) -> (image: String, mask: String)? {
        for ending in Self.endings {
            guard
                let range = line.range(of: ending + " ", options: .caseInsensitive)
                    ?? line.range(of: ending + "\t", options: .caseInsensitive),
                FileName(line).canBeMask
            else { continue }
            let image = line[..<line.index(before: range.upperBound)]
            let mask = line[range.upperBound...].trimmingCharacters(in: .whitespaces)
            return (below(String(image)), below(mask))
        }
        return nil
    }

    private func below(_ path: String) -> String { root / String(path.drop { $0 == "/" }) }
}
