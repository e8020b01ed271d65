import BEiTFiles

/// Joins what the parts of a divided run left in a folder, as if one process had done all of it.
package struct PartJoin {
    private let folder: String

    package init(_ folder: String) { self.folder = folder }

    /// Writes one manifest and one file of each kind for the run, and removes those of the parts. Results stay as they are.
    ///
    /// - Returns: the manifest.
    /// - Throws: ``PredictionError``, `FileError`.
    package func join() throws -> PredictionManifest {
        let parts = try parts()
        let own = PredictionManifest.path(folder, nil)
        var locks: [LockedFile] = []
        for path in parts + [own] {
            guard let lock = try LockedFile(PredictionManifest.lock(path)) else {
                throw PredictionError.busy(folder: folder)
            }
            locks.append(lock)
        }
        defer { withExtendedLifetime(locks) {} }
        let manifests = try parts.map(manifest)
        for (path, manifest) in zip(parts, manifests) where !manifest.goesWith(manifests[0]) {
            throw cannot("\(parts[0].lastName) and \(path.lastName) are of different models or options; predict anew")
        }
        var joined = manifests[0]
        guard let classes = joined.classes, let formats = joined.formats else {
            throw cannot("\(parts[0].lastName) is of an older version, which did not note its formats; predict anew")
        }
        joined.images = Self.interleaved(manifests.map(\.images))
        if let earlier = try PredictionManifest.earlier(own), earlier.goesWith(joined) {
            let names = Set(joined.images.map(\.name))
            joined.images += earlier.images.filter { !names.contains($0.name) }
        }
        joined.review = RunFiles.leastSureFirst(joined.images).map(\.name)
        try joined.write(to: own)
        let numbered = joined.images.enumerated().map { ($0.offset + 1, $0.element) }
        try RunFiles(folder, formats, classes, nil).write(numbered)
        for path in parts { RunFiles.remove(with: path) }
        return joined
    }

    /// The manifests of the parts, 1 to N.
    private func parts() throws -> [String] {
        _ = try FileSystem.requireStatus(of: folder)
        let found = PredictionManifest.paths(in: folder).compactMap { path in
            path.lastName.wholeMatch(of: /predictions-([0-9]+)-of-([0-9]+)\.json/).map { (path, Int($0.2) ?? 0) }
        }
        let counts = Set(found.map(\.1)).sorted()
        guard let count = counts.first else {
            throw cannot("there are no parts of a divided run; those of `shard` I/N leave predictions-I-of-N.json")
        }
        if counts.count > 1 {
            let both = counts.map { "-of-\($0)" }.joined(separator: ", ")
            throw cannot(
                "there are parts of several divisions (\(both)); remove the manifests of those that are not wanted")
        }
        let known = Set(found.map(\.0))
        var parts: [String] = []
        for number in 1...max(1, count) {
            guard let part = Shard(number: number, count: count).map({ PredictionManifest.path(folder, $0) }),
                known.contains(part)
            else { throw cannot("part \(number) of \(count) is missing; segment it with `shard` \(number)/\(count)") }
            parts.append(part)
        }
        return parts
    }

    private func manifest(_ path: String) throws -> PredictionManifest {
        if FileSystem.exists(PredictionJournal.path(path)) {
            throw cannot("\(path.lastName) is of a run that was cut off; `resume` it first")
        }
        guard let manifest = try PredictionManifest.earlier(path) else { throw cannot("\(path.lastName) has gone") }
        return manifest
    }

    /// The first of each, then the second of each: the order before the division.
    static func interleaved<Element>(_ lists: [[Element]]) -> [Element] {
        (0..<(lists.map(\.count).max() ?? 0)).flatMap { place in
            lists.compactMap { place < $0.count ? $0[place] : nil }
        }
    }

    private func cannot(_ reason: String) -> PredictionError { .cannotJoin(folder: folder, reason: reason) }
}
