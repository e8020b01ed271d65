import BEiTReports
import BEiTMetrics
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

    /// Throws ``CheckpointError``, also where a token is no word of the vocabulary, `HDF5Error` and `FileError`.
    init(_ path: String) throws {
        reader = try TokenCache.Reader(path)
        (description, grid) = (reader.description, reader.grid)
        rows = Dictionary(reader.paths.enumerated().map { (CachedTokens.key($1), $0) }) { first, _ in first }
        // What is damaged shows now, not in the middle of a run.
        let count = reader.paths.count, portion = 1024
        for start in stride(from: 0, to: count, by: portion) {
            _ = try reader.tokens(start..<min(count, start + portion))
        }
        source = try PinnedFile(path)
    }

    func contains(_ photo: String) -> Bool { rows[CachedTokens.key(photo)] != nil }

    /// Photo by photo, row by row.
    /// - Precondition: all photos are in the cache.
    func tokens(of photos: [String]) throws -> [Int32] {
        try photos.flatMap { photo -> [Int32] in
            guard let row = rows[CachedTokens.key(photo)] else { preconditionFailure("\(photo) has no tokens") }
            return try reader.tokens(row..<row + 1)
        }
    }

    /// A path may be written in several ways.
    private static func key(_ path: String) -> String { URL(fileURLWithPath: path).standardizedFileURL.path }
}
