import BEiTFiles

/// What a file is, told by its first bytes and never by its name.
enum FileKind: Equatable {
    case hdf5, zip, pickle, safetensors
    /// JSON, which may name the parts of a model.
    case json
    /// None of them: what it is, in words, and what to do.
    case foreign(what: String, remedy: String)

    /// Bytes that tell it.
    private static let startCount = 4096

    /// Throws `FileError`, or ``WeightFileError`` for a file without a byte.
    init(_ file: OpenFile) throws {
        let start = try file.bytes(at: 0, count: Self.startCount)
        self = try Self.weights(start) ?? Self.hdf5BehindBlock(file) ?? Self.foreign(start, size: file.size)
    }

    private static func weights(_ start: [UInt8]) -> FileKind? {
        if start.starts(with: hdf5Signature) { return .hdf5 }
        if ["PK\u{3}\u{4}", "PK\u{5}\u{6}"].contains(where: { start.starts(with: $0.utf8) }) { return .zip }
        if start.count > 1, start[0] == 0x80, (2...5).contains(start[1]) { return .pickle }  // PROTO and its version
        // Eight bytes with the length of the header, or what is left of them.
        if start.count > 8, start[8] == UInt8(ascii: "{") { return .safetensors }
        if start.first(where: { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }) == UInt8(ascii: "{") { return .json }
        return nil
    }

    private static let hdf5Signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]

    /// An HDF5 file may begin with a block of others' data, of 512 bytes or a power of two of them.
    /// Source: HDF5 File Format Specification 3.0, II.A "Disk Format: Level 0A - Format Signature and Superblock".
    private static func hdf5BehindBlock(_ file: OpenFile) throws -> FileKind? {
        var place = 512
        while place < file.size {
            if try file.bytes(at: place, count: hdf5Signature.count) == hdf5Signature { return .hdf5 }
            place *= 2
        }
        return nil
    }

    private static func foreign(_ start: [UInt8], size: Int) -> FileKind {
        if start.isEmpty { return .foreign(what: "the file is empty", remedy: "fetch it again") }
        if let known = signatures.first(where: { $0.matches(start) }) {
            return .foreign(what: known.what, remedy: known.remedy)
        }
        let text = String(decoding: start.prefix(512), as: UTF8.self).lowercased()
        if text.drop(while: \.isWhitespace).hasPrefix("<") {
            return .foreign(
                what: "a web page, not weights: the download got a page of the site instead of the file",
                remedy: "fetch the file itself (on Hugging Face: the link with /resolve/, not /blob/)")
        }
        if isText(start) {
            return .foreign(what: "a text file, not weights", remedy: "give the file that holds the weights")
        }
        return .foreign(
            what: "no file of weights that beit-seg knows (\(size) bytes)",
            remedy: "give HDF5, safetensors or PyTorch, or fetch it again")
    }

    private static func isText(_ start: [UInt8]) -> Bool {
        start.allSatisfy { $0 >= 0x20 || (9...13).contains($0) }
            && String(validating: start.dropLast(start.count == startCount ? 4 : 0), as: UTF8.self) != nil
    }

    private struct Signature {
        let bytes: [UInt8]
        var offset = 0
        let what, remedy: String

        func matches(_ start: [UInt8]) -> Bool { start.dropFirst(offset).starts(with: bytes) }
    }

    private static let unpack = "unpack it and give the file of weights in it"
    private static let picture = "give a file of weights; photos go to `beit-seg predict`"
    private static let exportDict =
        "export the weights themselves, as safetensors or with torch.save(model.state_dict(), …)"

    private static let signatures: [Signature] =
        [
            Signature(
                bytes: Array("version https://git-lfs".utf8),
                what: "a Git LFS pointer, which stands in the place of the weights",
                remedy: "fetch them with `git lfs pull`"),
            Signature(bytes: [0x1F, 0x8B], what: "a gzip archive", remedy: unpack),
            Signature(bytes: Array("BZh".utf8), what: "a bzip2 archive", remedy: unpack),
            Signature(bytes: [0xFD] + Array("7zXZ".utf8), what: "an xz archive", remedy: unpack),
            Signature(bytes: [0x28, 0xB5, 0x2F, 0xFD], what: "a zstd archive", remedy: unpack),
            Signature(bytes: Array("7z".utf8) + [0xBC, 0xAF], what: "a 7z archive", remedy: unpack),
            Signature(bytes: Array("Rar!".utf8), what: "a rar archive", remedy: unpack),
            Signature(bytes: Array("ustar".utf8), offset: 257, what: "a tar archive", remedy: unpack),
            Signature(bytes: [0x89] + Array("PNG".utf8), what: "a PNG image", remedy: picture),
            Signature(bytes: [0xFF, 0xD8, 0xFF], what: "a JPEG image", remedy: picture),
            Signature(bytes: Array("GIF8".utf8), what: "a GIF image", remedy: picture),
            Signature(bytes: Array("WEBP".utf8), offset: 8, what: "a WebP image", remedy: picture),
            Signature(bytes: Array("II*\0".utf8), what: "a TIFF image", remedy: picture),
            Signature(bytes: Array("MM\0*".utf8), what: "a TIFF image", remedy: picture),
            Signature(bytes: Array("BM".utf8), what: "a BMP image", remedy: picture),
            Signature(
                bytes: [0x93] + Array("NUMPY".utf8), what: "one NumPy array",
                remedy: "give the whole model, as safetensors or HDF5"),
            Signature(bytes: Array("GGUF".utf8), what: "a GGUF file", remedy: exportDict),
            Signature(bytes: Array("TFL3".utf8), offset: 4, what: "a TensorFlow Lite model", remedy: exportDict),
            // A protocol buffer that begins with a version, as ONNX's ModelProto, and TensorFlow's SavedModel with its 1.
            Signature(bytes: [0x08, 0x01, 0x12], what: "a TensorFlow SavedModel or an ONNX model", remedy: exportDict),
        ] + (2...15).map { Signature(bytes: [0x08, $0, 0x12], what: "an ONNX model", remedy: exportDict) }
}
