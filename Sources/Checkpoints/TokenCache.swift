import BEiTFiles
import BEiTHDF5
import BEiTImageIO
import BEiTModels
import Foundation

/// How the photos of a token cache became tokens; two caches with the same one agree.
package struct TokenCacheDescription: Equatable, Sendable {
    /// SHA-256 of the tokenizer's file, in hexadecimal.
    package var tokenizerSHA256: String
    /// V: tokens are 0 ..< V.
    package var vocabulary: Int
    /// Height and width in pixels of what the tokenizer saw: the largest central part of the photo that has this shape,
    /// resized with the filter `resize`.
    package var size: [Int]
    package var resize: String
    /// How the photos were read.
    package var reading: ImageReading

    package init(
        tokenizerSHA256: String, vocabulary: Int, size: [Int], resize: String, reading: ImageReading = ImageReading()
    ) {
        (self.tokenizerSHA256, self.vocabulary, self.size, self.resize) = (tokenizerSHA256, vocabulary, size, resize)
        self.reading = reading
    }

    /// What makes it impossible, in one sentence that begins with the attribute; nil if nothing does.
    fileprivate var problem: String? {
        if tokenizerSHA256.utf8.count != 64 || !tokenizerSHA256.allSatisfy({ $0.isASCII && $0.isHexDigit }) {
            return "tokenizer_sha256 is no SHA-256"
        }
        if !(2...1 << 20).contains(vocabulary) { return "vocabulary is \(vocabulary)" }
        for (name, value) in zip(["height", "width"], size) where !(1...1 << 15).contains(value) {
            return "\(name) is \(value)"
        }
        if ResizeFilter(rawValue: resize) == nil { return "resize is \(resize.debugDescription)" }
        return reading.problem
    }
}

/// Visual tokens of many photos: HDF5 with `tokens` `[N, h, w]` int32 and `paths` `[N]`, the description in attributes.
package enum TokenCache {
    package static let formatName = "beit-seg-tokens"
    static let formatVersion = 1

    /// Writes a cache photo by photo; it appears with ``finish()``, whole or not at all.
    package final class Writer {
        private let writer: HDF5Writer
        private let cells: Int
        private var paths: [String] = []

        /// - Parameter count: photos at most. Throws `HDF5Error`.
        package init(_ file: String, _ description: TokenCacheDescription, grid: [Int], count: Int) throws {
            writer = try HDF5Writer(file)
            cells = grid[0] * grid[1]
            try writer.setAttribute("format", TokenCache.formatName)
            try writer.setAttribute("format_version", TokenCache.formatVersion)
            try writer.setAttribute("tokenizer_sha256", description.tokenizerSHA256)
            try writer.setAttribute("vocabulary", description.vocabulary)
            try writer.setAttribute("height", description.size[0])
            try writer.setAttribute("width", description.size[1])
            try writer.setAttribute("resize", description.resize)
            try writer.setAttribute("crop", "center")
            try write(description.reading)
            try writer.create("/tokens", shape: [count] + grid, as: .int32)
        }

        /// What is as usual is not said.
        private func write(_ reading: ImageReading) throws {
            if reading.range != .auto { try writer.setAttribute("range", reading.range.rawValue) }
            if let bands = reading.bands {
                try writer.setAttribute("bands", bands.map(String.init).joined(separator: ","))
            }
            if reading.page != 1 { try writer.setAttribute("page", reading.page) }
        }

        /// The tokens of the next photos, photo by photo and row by row.
        package func append(_ tokens: [Int32], _ paths: [String]) throws {
            precondition(tokens.count == paths.count * cells, "\(tokens.count) tokens for \(paths.count) photos")
            let rows = self.paths.count..<self.paths.count + paths.count
            try tokens.withUnsafeBufferPointer { try writer.writeRows("/tokens", rows, ints: $0) }
            self.paths += paths
        }

        package func finish() throws {
            try writer.keepRows("/tokens", paths.count)
            try writer.write("/paths", strings: paths)
            try writer.commit()
        }
    }

    /// A cache that has been written. Tokens stay in the file until they are asked for.
    package final class Reader: Sendable {
        package let description: TokenCacheDescription
        package let paths: [String]
        /// Rows and columns of tokens.
        package let grid: [Int]
        private let file: String
        private let photos: OpenDataset

        /// The reason against a file that does not even say it is one.
        package static let isNone = "this is no token cache"

        /// Throws ``CheckpointError`` or `HDF5Error`.
        package init(_ file: String) throws {
            let reader = try HDF5Reader(file)
            guard try reader.attribute("format") == TokenCache.formatName else {
                throw CheckpointError.notTokens(file: file, reason: Self.isNone)
            }
            let version = try reader.integerAttribute("format_version") ?? 0
            guard version <= TokenCache.formatVersion else {
                throw CheckpointError.newerFormat(file: file, version: version)
            }
            guard let digest = try reader.attribute("tokenizer_sha256"), let resize = try reader.attribute("resize"),
                let vocabulary = try reader.integerAttribute("vocabulary"),
                let height = try reader.integerAttribute("height"), let width = try reader.integerAttribute("width")
            else { throw CheckpointError.notTokens(file: file, reason: "an attribute is missing") }
            guard let reading = try Self.reading(reader) else {
                throw CheckpointError.notTokens(file: file, reason: "range or bands make no sense")
            }
            description = TokenCacheDescription(
                tokenizerSHA256: digest, vocabulary: vocabulary, size: [height, width], resize: resize,
                reading: reading)
            photos = try OpenDataset("/tokens", in: reader)
            paths = try reader.readStrings("/paths")
            (grid, self.file) = (Array(photos.info.shape.dropFirst()), file)
            if let problem = description.problem ?? shapeProblem {
                throw CheckpointError.notTokens(file: file, reason: problem)
            }
        }

        /// Nil where its attributes make no sense.
        private static func reading(_ reader: HDF5Reader) throws -> ImageReading? {
            var reading = ImageReading()
            if let text = try reader.attribute("range") {
                guard let range = ImageReading.Range(rawValue: text) else { return nil }
                reading.range = range
            }
            if let text = try reader.attribute("bands") {
                let bands = text.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
                guard !bands.contains(nil) else { return nil }
                reading.bands = bands.compactMap { $0 }
            }
            reading.page = try reader.integerAttribute("page") ?? 1
            return reading
        }

        private var shapeProblem: String? {
            let shape = photos.info.shape
            guard shape.count == 3, shape[0] == paths.count else {
                return "tokens have the shape \(shape) for \(paths.count) paths"
            }
            guard zip(grid, description.size).allSatisfy({ $0 > 0 && $0 <= $1 }) else {
                return "tokens have the shape \(shape) for images of \(description.size) pixels"
            }
            return paths.contains("") ? "paths: one is empty" : nil
        }

        /// The tokens of some photos, photo by photo and row by row. Throws where one is no word of the vocabulary.
        package func tokens(_ photos: Range<Int>) throws -> [Int32] {
            let tokens = try self.photos.readInts(rows: photos)
            guard tokens.allSatisfy({ (0..<description.vocabulary).contains(Int($0)) }) else {
                throw CheckpointError.notTokens(
                    file: file, reason: "a token is not within 0 and \(description.vocabulary - 1)")
            }
            return tokens
        }
    }
}
