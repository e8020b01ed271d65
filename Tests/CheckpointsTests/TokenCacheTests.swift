import BEiTCheckpoints
import BEiTHDF5
import Foundation
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

    /// A cache of one photo, but for what `change` makes of it.
    @Test(arguments: [
        ("tokenizer_sha256", "00ff"), ("tokenizer_sha256", String(repeating: "g", count: 64)), ("resize", "smooth"),
        ("vocabulary", "-3"), ("vocabulary", "1"), ("vocabulary", "9000000000000000000"), ("height", "0"),
        ("width", "-16"), ("width", "70000"),
    ]) func aHarmfulAttributeIsNamed(_ name: String, _ value: String) throws {
        defer { try? FileManager.default.removeItem(atPath: path) }
        try write { writer in
            if let number = Int(value) {
                try writer.setAttribute(name, number)
            } else {
                try writer.setAttribute(name, value)
            }
        }
        let error = #expect(throws: CheckpointError.self) { try TokenCache.Reader(path) }
        #expect("\(error!)".hasPrefix("\(path): \(name) is "), "\(error!)")
    }

    @Test(arguments: [[1], [2, 3, 2], [1, 0, 2], [1, 25, 2], [1, 3, 2, 1], [1, 1 << 20, 1 << 20]])
    func harmfulShapesAreRefused(_ shape: [Int]) throws {
        defer { try? FileManager.default.removeItem(atPath: path) }
        try write(shape: shape) { _ in }
        #expect(throws: (any Error).self) { try TokenCache.Reader(path) }
        try write(paths: [""]) { _ in }
        #expect(throws: CheckpointError.notTokens(file: path, reason: "paths: one is empty")) {
            try TokenCache.Reader(path)
        }
    }

    private func write(
        shape: [Int] = [1, 3, 2], paths: [String] = ["a.png"], _ change: (HDF5Writer) throws -> Void
    ) throws {
        let writer = try HDF5Writer(path)
        for (name, text) in [
            ("format", TokenCache.formatName), ("tokenizer_sha256", description.tokenizerSHA256), ("resize", "lanczos"),
        ] { try writer.setAttribute(name, text) }
        for (name, number) in [("format_version", 1), ("vocabulary", 300), ("height", 24), ("width", 16)] {
            try writer.setAttribute(name, number)
        }
        try change(writer)
        try writer.create("/tokens", shape: shape, as: .int32)
        if shape == [1, 3, 2] { try writer.writeRows("/tokens", 0..<1, ints: Array(0..<6)) }
        try writer.write("/paths", strings: paths)
        try writer.commit()
    }
}

extension HDF5Writer {
    fileprivate func writeRows(_ path: String, _ rows: Range<Int>, ints: [Int32]) throws {
        try ints.withUnsafeBufferPointer { try writeRows(path, rows, ints: $0) }
    }
}
