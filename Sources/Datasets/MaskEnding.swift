import BEiTFiles

/// What the names of masks end in beyond the names of their photos, such as `_mask`.
enum MaskEnding {
    struct Candidate: Equatable {
        var ending: String
        /// Photos that it gives a mask.
        var count: Int
        /// A mask.
        var example: String
    }

    static func `is`(_ file: FileName, _ ending: String) -> Bool { file.canBeMask && file.stem.hasSuffix(ending) }

    /// The endings that give photos their mask, the most frequent first.
    ///
    /// - Parameter used: masks that have their photo.
    static func candidates(
        photos: [FileName], masks: MaskNames, used: Set<String>, isOneFolder: Bool
    ) -> [Candidate] {
        let stems = Set(photos.map(\.stem))
        var found: [String: Candidate] = [:]
        for (stem, path) in masks.paths.sorted(by: { $0.key < $1.key }) where isOneFolder || !stems.contains(stem) {
            guard !used.contains(path), let ending = ending(of: stem, beyond: stems) else { continue }
            found[ending, default: Candidate(ending: ending, count: 0, example: path)].count += 1
        }
        return found.values.sorted { ($1.count, $0.ending) < ($0.count, $1.ending) }
    }

    /// What follows the longest of `stems` that the name begins with. It begins with a mark, not in the midst of a word
    /// or a number.
    private static func ending(of name: String, beyond stems: Set<String>) -> String? {
        var place = name.endIndex
        while place > name.startIndex {
            place = name.index(before: place)
            let mark = name[place]
            if mark == "/" { return nil }
            if !mark.isLetter, !mark.isNumber, stems.contains(String(name[..<place])) { return String(name[place...]) }
        }
        return nil
    }

    static func ambiguous(_ candidates: [Candidate], path: String) -> DatasetError {
        let shown = candidates.prefix(4).map { "`\($0.ending)` (\($0.count))" }.joined(separator: ", ")
        return DatasetError(
            .invalid, path: path,
            reason:
                "no mask has its photo's name, and the names of masks end in different ways: \(shown); say in which",
            .suffix)
    }

    static func leftOut(_ candidate: Candidate, path: String) -> LabelNote {
        LabelNote(
            "\(path): \(candidate.count.counted("photo")) without a mask of their name, but with one whose name ends in "
                + "`\(candidate.ending)`, such as \(candidate.example.shown)", .suffix, isWarning: true)
    }
}
