/// What a file is that is no image of a known codec, as its first bytes tell, and what to do about it. TIFF and WebP are
/// foreign to a build without their traits.
package struct ForeignFormat: Sendable, Equatable {
    /// With its article: "a TIFF".
    package let name: String
    private let kind: Kind

    package var remedy: String { kind.rawValue }
    /// Whether it is made of letters.
    package var isText: Bool { [.page, .pointer, .annex].contains(kind) }

    /// Nil where they tell nothing.
    package init?(_ head: [UInt8]) {
        let text = String(decoding: head, as: UTF8.self).lowercased()
        for (name, kind, begins) in Self.known where begins(head, text) {
            (self.name, self.kind) = (name, kind)
            return
        }
        return nil
    }

    private enum Kind: String {
        case picture = "convert it to PNG"
        case document = "save its pages as PNG"
        case movie = "save its frames as PNG"
        case archive = "unpack it"
        case page = "download the image itself"
        case pointer = "it stands for the image itself; fetch that (git lfs pull)"
        case annex = "it stands for the image itself; fetch that (git annex get)"
        case other = "name images"
    }

    private typealias Entry = (name: String, kind: Kind, begins: @Sendable (_ head: [UInt8], _ text: String) -> Bool)

    private static let known: [Entry] = [
        ("a TIFF", .picture, starts([0x49, 0x49, 0x2A, 0], [0x4D, 0x4D, 0, 0x2A])),
        ("a BigTIFF", .picture, starts([0x49, 0x49, 0x2B, 0], [0x4D, 0x4D, 0, 0x2B])),
        ("a WebP", .picture, { head, _ in head.starts(with: [0x52, 0x49, 0x46, 0x46]) && at(8, head, "WEBP") }),
        ("a GIF", .picture, { head, _ in at(0, head, "GIF87a") || at(0, head, "GIF89a") }),
        ("a HEIF", .picture, brand("heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1")),
        ("an AVIF", .picture, brand("avif", "avis")),
        ("a camera's raw file", .picture, { head, _ in brand("crx ")(head, "") || at(0, head, "FUJIFILMCCD-RAW") }),
        ("a movie", .movie, { head, _ in at(4, head, "ftyp") || at(8, head, "AVI ") }),
        ("a JPEG XL", .picture, starts([0xFF, 0x0A], [0, 0, 0, 12, 0x4A, 0x58, 0x4C, 0x20])),
        ("a JPEG 2000", .picture, starts([0, 0, 0, 12, 0x6A, 0x50, 0x20, 0x20], [0xFF, 0x4F, 0xFF, 0x51])),
        ("a Photoshop file", .picture, { head, _ in at(0, head, "8BPS") }),
        ("an OpenEXR", .picture, starts([0x76, 0x2F, 0x31, 0x01])),
        ("a DICOM file", .picture, { head, _ in at(128, head, "DICM") }),
        ("an icon", .picture, starts([0, 0, 1, 0])),
        ("a PDF", .document, { head, _ in at(0, head, "%PDF") }),
        ("a Git LFS pointer", .pointer, { _, text in text.hasPrefix("version https://git-lfs") }),
        ("a git-annex pointer", .annex, { _, text in text.hasPrefix("/annex/objects/") }),
        ("an SVG", .picture, { _, text in trimmed(text).hasPrefix("<svg") || (text.contains("<svg") && isXML(text)) }),
        (
            "an HTML page", .page,
            { _, text in
                ["<!doctype html", "<html", "<head", "<body"].contains(where: trimmed(text).hasPrefix)
                    || (text.contains("<html") && isXML(text))
            }
        ),
        ("an XML document", .page, { _, text in isXML(text) }),
        ("an HDF5 file", .other, starts([0x89, 0x48, 0x44, 0x46])),
        ("a NumPy array", .other, starts([0x93, 0x4E, 0x55, 0x4D])),
        ("a ZIP archive", .archive, starts([0x50, 0x4B, 3, 4])),
        ("a gzip archive", .archive, starts([0x1F, 0x8B])),
    ]

    private static func starts(_ beginnings: [UInt8]...) -> @Sendable ([UInt8], String) -> Bool {
        { head, _ in beginnings.contains { head.starts(with: $0) } }
    }

    /// An ISO base media file (ISO/IEC 14496-12) of one of these major brands.
    private static func brand(_ brands: String...) -> @Sendable ([UInt8], String) -> Bool {
        { head, _ in at(4, head, "ftyp") && brands.contains { at(8, head, $0) } }
    }

    private static func at(_ offset: Int, _ head: [UInt8], _ text: String) -> Bool {
        head.dropFirst(offset).starts(with: text.utf8)
    }

    private static func trimmed(_ text: String) -> Substring { text.drop { $0.isWhitespace || $0 == "\u{FEFF}" } }

    private static func isXML(_ text: String) -> Bool { trimmed(text).hasPrefix("<?xml") }
}

extension ForeignFormat {
    /// Endings of images that are not read, in lower case: they are named where the files of a folder are chosen.
    package static let endings = Set([
        "tif", "tiff", "webp", "gif", "heic", "heif", "avif", "jp2", "j2k", "jxl", "exr", "psd", "dcm", "dng", "cr2",
        "cr3",
        "nef", "arw", "raf", "orf", "rw2", "svg", "ico", "tga",
    ]).subtracting(ImageCodec.endings)
}
