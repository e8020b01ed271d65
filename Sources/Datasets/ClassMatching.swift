import BEiTImageIO

/// How the classes of one list are found in another.
///
/// By name. By position only where one side has no names (`class 0`, `class 1`, …, or no list at all) and as many classes;
/// a name that the other side does not have is a stranger, never the class that happens to stand in its place.
package struct ClassMatching: Equatable, Sendable {
    /// For each class of the list its index in the other one; nil for a stranger.
    package let places: [Int?]
    /// Names that the other list lacks, in the order of the list.
    package let strangers: [String]
    /// Names of the other list that the list lacks.
    package let unused: [String]
    /// Whether class i was taken for class i, for want of names.
    package let isByPosition: Bool
    /// For strangers: the name of the other list that is spelled almost alike.
    private let alike: [String: String]

    package init(_ names: [String], in others: [String]) {
        let isByPosition = names.count == others.count && (Self.areUnnamed(names) || Self.areUnnamed(others))
        var free: [String: ArraySlice<Int>] = [:]
        // Of several classes of one name the n-th goes with the n-th.
        for (index, name) in others.enumerated() { free[name, default: []].append(index) }
        places = isByPosition ? Array(names.indices) : names.map { free[$0]?.popFirst() }
        let used = Set(places.compactMap { $0 })
        self.isByPosition = isByPosition
        strangers = zip(names, places).filter { $1 == nil }.map(\.0)
        unused = others.indices.filter { !used.contains($0) }.map { others[$0] }
        var alike: [String: String] = [:]
        for stranger in strangers.prefix(100) {
            if let name = Spelling.nearest(to: stranger, among: unused) { alike[stranger] = name }
        }
        self.alike = alike
    }

    package init(_ classes: [LabelClass], in others: [LabelClass]) {
        self.init(classes.map(\.name), in: others.map(\.name))
    }

    /// Whether every class of the list has its place.
    package var isComplete: Bool { strangers.isEmpty }

    /// The place of each class; nil where one has none.
    package var complete: [Int]? { isComplete ? places.compactMap { $0 } : nil }

    /// The first strangers for people, each with the name that may be meant: `Bag (bag?), x1 and 12 more`.
    package var strangerList: String {
        let most = 5
        let shown = strangers.prefix(most).map { name in alike[name].map { "\(name) (\($0)?)" } ?? name }
        let rest = strangers.count > most ? " and \(strangers.count - most) more" : ""
        return shown.joined(separator: ", ") + rest
    }

    /// Whether nobody gave these names.
    package static func areUnnamed(_ names: [String]) -> Bool {
        names.enumerated().allSatisfy { $1 == LabelClass.unnamed($0) }
    }
}

/// Names that are probably the same.
package enum Spelling {
    /// The name that differs in case, blanks, hyphens and underscores only, or else by a letter or two of many.
    package static func nearest(to name: String, among others: [String]) -> String? {
        let plain = plain(name)
        if let same = others.first(where: { self.plain($0) == plain }) { return same }
        let most = min(2, plain.count / 4)
        let distances = others.map { distance(plain, self.plain($0), atMost: most) }
        guard let least = distances.min(), least <= most else { return nil }
        return distances.firstIndex(of: least).map { others[$0] }
    }

    private static func plain(_ name: String) -> [Character] {
        name.lowercased().filter { !$0.isWhitespace && $0 != "-" && $0 != "_" }.map { $0 }
    }

    /// Levenshtein's distance, or a larger number than `most`.
    private static func distance(_ a: [Character], _ b: [Character], atMost most: Int) -> Int {
        guard abs(a.count - b.count) <= most else { return most + 1 }
        var row = Array(0...b.count)
        for (i, x) in a.enumerated() {
            var (diagonal, least) = (row[0], i + 1)
            row[0] = i + 1
            for (j, y) in b.enumerated() {
                let next = min(row[j] + 1, row[j + 1] + 1, diagonal + (x == y ? 0 : 1))
                (diagonal, row[j + 1]) = (row[j + 1], next)
                least = min(least, next)
            }
            if least > most { return most + 1 }
        }
        return row[b.count]
    }
}
