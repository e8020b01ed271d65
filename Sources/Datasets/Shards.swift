import BEiTFiles
import BEiTImageIO
import BEiTTensorCore
import Foundation
import Synchronization

/// Tar archives that hold the samples of a data set (WebDataset's form).
///
/// A path stands for shards where it is a `.tar` file, a folder with such files in it or in a folder of a split, or, where
/// nothing of its name is there, a pattern: `shards/train-*.tar`, `train-{000..099}.tar`, `{train,val}-*.tar`.
package struct Shards: Sendable {
    /// In the order of their names, or that of the braces.
    package let paths: [String]

    /// Nil for a path that stands for something else. Throws `FileError` for a pattern that nothing has the form of.
    package init?(_ path: String) throws(FileError) {
        switch FileSystem.status(of: path)?.kind {
        case .folder:
            let splits = ["train", "val", "test"].flatMap { DatasetSplit(rawValue: $0).folders }
            let folders = [path] + splits.map { path.joined($0) }.filter(FileSystem.isFolder)
            paths = folders.flatMap { folder in
                ((try? FileSystem.names(in: folder)) ?? []).filter { TarArchive.isNamed($0) && !$0.hasPrefix(".") }
                    .map { folder.joined($0) }.filter(FileSystem.isFile)
            }
            if paths.isEmpty { return nil }
        case nil where ShardPattern.isOne(path): paths = try ShardPattern.files(path)
        case nil: return nil
        default:
            guard TarArchive.isNamed(path) else { return nil }
            paths = [path]
        }
    }

    /// Throws ``DatasetError`` where a path stands for none.
    static func required(_ path: String) throws -> Shards {
        guard let shards = try Shards(path) else {
            throw DatasetError(
                FileSystem.exists(path) ? .invalid : .missing, path: path,
                reason: "there are no .tar files; name some, or a folder or pattern of them")
        }
        return shards
    }

    /// Opens all, on several threads. Throws `ArchiveError` and `FileError`.
    package func open() throws -> [TarArchive] {
        let opened = Mutex([Result<TarArchive, any Error>?](repeating: nil, count: paths.count))
        WorkerPool.current.run(paths.count) { index in
            let archive = Result { try TarArchive.at(paths[index]) }
            opened.withLock { $0[index] = archive }
        }
        return try opened.withLock { $0 }.compactMap { try $0?.get() }
    }

    /// The name of the list of classes beside shards.
    package static let classList = "classes.txt"

    /// Where it lies.
    var folder: String {
        let folder = paths.first?.parent ?? "."
        return DatasetSplit.usual(folder.lastName) == nil ? folder : folder.parent
    }

    /// The split of a shard by the name of its folder, or by a word of its own: `train-003.tar`, `imagenet-val-01.tar`; nil
    /// where neither says one.
    static func split(of path: String) -> DatasetSplit? {
        if let split = DatasetSplit.usual(path.parent.lastName) { return split }
        return path.stem.lowercased().split { !$0.isLetter }.lazy.compactMap { DatasetSplit.usual(String($0)) }.first
    }
}

extension DatasetSplit {
    /// The split whose folder may be called so, of `train`, `val` and `test`.
    static func usual(_ name: String) -> DatasetSplit? {
        [train, val, DatasetSplit(rawValue: "test")].first { $0.folders.contains(name) }
    }
}

/// A path with braces, and wildcards of the shell.
private enum ShardPattern {
    static func isOne(_ path: String) -> Bool { path.utf8.contains { "*?[{".utf8.contains($0) } }

    /// More would be a slip of the keys.
    private static let most = 1_000_000

    /// Throws `FileError` where there is none, and for one of a range that is not there.
    static func files(_ pattern: String) throws(FileError) -> [String] {
        func refuse(_ reason: String) -> FileError { FileError(.missing, path: pattern, reason: reason) }
        guard let names = expand(pattern) else { throw refuse("its braces stand for more than \(most) names") }
        var files: [String] = []
        for name in names {
            let found = glob(name)
            if found.isEmpty, names.count > 1 {
                throw FileError(
                    .missing, path: name,
                    reason: "there is no such file, and \(pattern.shown) names it; see whether all are there")
            }
            files += found
        }
        guard let first = files.first else { throw refuse("no file has such a name") }
        if let other = files.first(where: { !TarArchive.isNamed($0) }) {
            throw refuse("it stands for \(other.shown) among others, which is no .tar file; let it end in .tar")
        }
        if files.count == 1, FileSystem.isFolder(first) { throw refuse("it stands for a folder") }
        return files
    }

    /// What braces stand for: ranges of numbers (`{000..099}`, all as wide as the first) and lists (`{train,val}`). Nil for
    /// more than ``most`` names.
    static func expand(_ pattern: String) -> [String]? {
        guard let open = pattern.firstIndex(of: "{"), let close = pattern[open...].firstIndex(of: "}") else {
            return [pattern]
        }
        let inside = pattern[pattern.index(after: open)..<close]
        guard let parts = range(inside) ?? list(inside),
            let rests = expand(String(pattern[pattern.index(after: close)...])), parts.count * rests.count <= most
        else { return nil }
        return parts.flatMap { part in rests.map { pattern[..<open] + part + $0 } }
    }

    private static func list(_ inside: Substring) -> [String]? {
        let parts = inside.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        return parts.count > 1 ? parts : ["{" + inside + "}"]
    }

    private static func range(_ inside: Substring) -> [String]? {
        let ends = inside.components(separatedBy: "..")
        guard ends.count == 2, let first = Int(ends[0]), let last = Int(ends[1]), 0...last ~= first,
            last - first < most
        else { return nil }
        return (first...last).map { number in
            let digits = String(number)
            return String(repeating: "0", count: max(0, ends[0].count - digits.count)) + digits
        }
    }

    /// Sorted by the bytes of their names.
    private static func glob(_ pattern: String) -> [String] {
        var found = glob_t()
        defer { globfree(&found) }
        guard pattern.withFileSystemName({ Foundation.glob($0, GLOB_NOSORT, nil, &found) }) == 0 else { return [] }
        let names = (0..<Int(found.gl_pathc)).compactMap { found.gl_pathv[$0].map { String(fileSystemName: $0) } }
        return names.sorted { $0.fileSystemBytes.lexicographicallyPrecedes($1.fileSystemBytes) }
    }
}
