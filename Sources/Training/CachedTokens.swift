import BEiTCheckpoints
import Foundation

/// The visual tokens of photos as `tokenizer encode` has written them, found by the photos' paths.
final class CachedTokens: Sendable {
    let source: PinnedFile
    /// How photos became tokens.
    let description: TokenCacheDescription
    /// Rows and columns of tokens.
    let grid: [Int]
    private let reader: TokenCache.Reader
    /// By path.
    private let rows: [String: Int]
    /// Where folders are now, and where they were when their photos were encoded.
    private let moved: [(now: String, then: String)]
    /// All tokens, where they take no more than ``mostHeld`` bytes: opening the file for each photo takes longer.
    private let held: [Int32]?
    private static let mostHeld = 256 << 20

    /// Throws ``CheckpointError``, also where a token is no word of the vocabulary, `HDF5Error` and `FileError`.
    init(_ path: String, moved: [(now: String, then: String)] = []) throws {
        reader = try TokenCache.Reader(path)
        (description, grid) = (reader.description, reader.grid)
        rows = Dictionary(reader.paths.enumerated().map { (CachedTokens.key($1), $0) }) { first, _ in first }
        self.moved = moved.map { (CachedTokens.key($0.now) + "/", CachedTokens.key($0.then) + "/") }
        let (count, cells, portion) = (reader.paths.count, reader.grid[0] * reader.grid[1], 1024)
        var held: [Int32]? = count <= Self.mostHeld / (4 * max(1, cells)) ? [] : nil
        // What is damaged shows now, not in the middle of a run.
        for start in stride(from: 0, to: count, by: portion) {
            held? += try reader.tokens(start..<min(count, start + portion))
            if held == nil { _ = try reader.tokens(start..<min(count, start + portion)) }
        }
        self.held = held
        source = try PinnedFile(path)
    }

    func contains(_ photo: String) -> Bool { row(of: photo) != nil }

    /// Photo by photo, row by row.
    /// - Precondition: all photos are in the cache.
    func tokens(of photos: [String]) throws -> [Int32] {
        let cells = grid[0] * grid[1]
        return try photos.flatMap { photo -> [Int32] in
            guard let row = row(of: photo) else { preconditionFailure("\(photo) has no tokens") }
            return try held.map { Array($0[row * cells..<(row + 1) * cells]) } ?? reader.tokens(row..<row + 1)
        }
    }

    private func row(of photo: String) -> Int? {
        let key = CachedTokens.key(photo)
        if let folder = moved.first(where: { key.hasPrefix($0.now) }) {
            return rows[folder.then + key.dropFirst(folder.now.count)]
        }
        return rows[key]
    }

    /// A path may be written in several ways.
    private static func key(_ path: String) -> String { URL(fileURLWithPath: path).standardizedFileURL.path }
}
