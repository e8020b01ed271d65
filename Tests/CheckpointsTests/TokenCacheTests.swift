import BEiTCheckpoints
import Foundation
import BEiTHDF5
import Testing

@Suite struct TokenCacheTests {
    private let path = NSTemporaryDirectory() + "beit-seg-" + UUID().uuidString + ".h5"
    private let description = TokenCacheDescription(
        tokenizerSHA256: String(repeating: "ab", count: 32), vocabulary: 300, size: [24, 16], resize: "lanczos")

    @Test func whatIsWrittenIsRead() throws {
        defer { try? FileManager.default.removeItem(atPath: path) }
        // Room for five photos; two of them are left out.
        let writer = try TokenCache.Writer(path, description, grid: [3, 2], count: 5)
        try writer.append([1, 2, 3, 4, 5, 299, 7, 8, 9, 10, 11, 0], ["a/ä.jpg", "b.png"])
        #expect(!FileManager.default.fileExists(atPath: path))
        try writer.append([20, 21, 22, 23, 24, 25], ["a much longer/name.jpeg"])
        try writer.finish()
        let cache = try TokenCache.Reader(path)
        #expect(cache.description == description && cache.grid == [3, 2])
        #expect(cache.paths == ["a/ä.jpg", "b.png", "a much longer/name.jpeg"])
        #expect(try cache.tokens(0..<3).count == 18)
        #expect(try cache.tokens(1..<3) == [7, 8, 9, 10, 11, 0, 20, 21, 22, 23, 24, 25])
    }

    @Test func tokensOutsideTheVocabularyAreRefused() throws {
        defer { try? FileManager.default.removeItem(atPath: path) }
        let writer = try TokenCache.Writer(path, description, grid: [1, 2], count: 1)
        try writer.append([0, 300], ["a.png"])
        try writer.finish()
        let error = #expect(throws: CheckpointError.self) { try TokenCache.Reader(path).tokens(0..<1) }
        #expect(error == .notTokens(file: path, reason: "a token is not within 0 and 299"))
    }

    @Test func anotherFileIsRefused() throws {
        defer { try? FileManager.default.removeItem(atPath: path) }
        let writer = try HDF5Writer(path)
        try writer.write("/tokens", shape: [1, 1, 1], ints: [Int32(1)])
        try writer.commit()
        #expect(throws: CheckpointError.notTokens(file: path, reason: "this is no token cache")) {
            try TokenCache.Reader(path)
        }
    }
}
