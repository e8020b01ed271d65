/// A format of images that is read: how a file of it begins, and what reads its rows.
///
/// A file is known by its first bytes, never by its name; endings only choose the files of a folder.
package struct ImageCodec: Sendable, Equatable {
    /// As people call it.
    package let name: String
    /// Of file names, in lower case, without the dot.
    package let endings: [String]
    /// Whether it can be decoded at 1/2, 1/4 or 1/8 of its size.
    let shrinks: Bool
    /// Whether it can keep every value as it was, as a mask needs it.
    let isExact: Bool
    /// Whether a file begins so; handed are up to ``InputFile/headSize`` bytes.
    let begins: @Sendable ([UInt8]) -> Bool
    /// Reads the header of a page, counted from 1, of formats that have several.
    let open: @Sendable (InputFile, _ page: Int, ImageLimits) throws -> any ImageSource
    /// Counts the pages, of formats that have several.
    var pages: (@Sendable (InputFile) throws -> Int)?

    /// The registry.
    package static let all = [png, jpeg] + optional + [bmp, pnm]

    package static let png = ImageCodec(
        name: "PNG", endings: ["png"], shrinks: false, isExact: true,
        begins: { $0.starts(with: [0x89, 0x50, 0x4E, 0x47]) },
        open: { file, _, _ in try PNGReader(file) })

    package static let jpeg = ImageCodec(
        name: "JPEG", endings: ["jpg", "jpeg", "jpe", "jfif"], shrinks: true, isExact: false,
        begins: { $0.starts(with: [0xFF, 0xD8]) },
        open: { file, _, limits in try JPEGReader(file, allowsDamage: limits.damage) })

    package static let bmp = ImageCodec(
        name: "BMP", endings: ["bmp", "dib"], shrinks: false, isExact: true,
        begins: { $0.starts(with: [0x42, 0x4D]) && $0.count > 14 && $0[6..<10].allSatisfy { $0 == 0 } },
        open: { file, _, _ in try BMPReader(file) })

    package static let pnm = ImageCodec(
        name: "PNM", endings: ["pnm", "pbm", "pgm", "ppm", "pam"], shrinks: false, isExact: true,
        begins: { head in
            head.count > 2 && head[0] == 0x50 && (0x31...0x37).contains(head[1])
                && [9, 10, 13, 32, 35].contains(head[2])
        },
        open: { file, _, _ in try PNMReader(file) })

    /// Those that come with a trait.
    private static var optional: [ImageCodec] {
        var codecs: [ImageCodec] = []
        #if TIFF
            codecs.append(tiff)
        #endif
        #if WebP
            codecs.append(webp)
        #endif
        return codecs
    }

    #if TIFF
        package static let tiff = ImageCodec(
            name: "TIFF", endings: ["tif", "tiff"], shrinks: false, isExact: true,
            begins: { head in
                // Canon's raw files begin as a TIFF does.
                [[0x49, 0x49, 0x2A, 0], [0x4D, 0x4D, 0, 0x2A], [0x49, 0x49, 0x2B, 0], [0x4D, 0x4D, 0, 0x2B]]
                    .contains { head.starts(with: $0) } && !head.dropFirst(8).starts(with: Array("CR".utf8))
            },
            open: { file, page, limits in try TIFFReader(file, page: page, allowsDamage: limits.damage) },
            pages: { try TIFFReader.pages($0) })
    #endif

    #if WebP
        package static let webp = ImageCodec(
            name: "WebP", endings: ["webp"], shrinks: false, isExact: false,
            begins: { $0.starts(with: Array("RIFF".utf8)) && $0.dropFirst(8).starts(with: Array("WEBP".utf8)) },
            open: { file, _, _ in try WebPReader(file) })
    #endif

    /// The endings of all formats.
    package static let endings = Set(all.flatMap(\.endings))

    /// Those of formats that can keep every value.
    package static let exactEndings = Set(all.filter(\.isExact).flatMap(\.endings))

    /// All names, for people.
    package static let names = all.map(\.name).joined(separator: ", ")

    package static func == (a: ImageCodec, b: ImageCodec) -> Bool { a.name == b.name }
}

extension ImageCodec {
    /// The format of a file that begins so; nil where it is none of these.
    package init?(beginning head: [UInt8]) {
        guard let codec = Self.all.first(where: { $0.begins(head) }) else { return nil }
        self = codec
    }
}

/// Opens an image by its content; its name does not matter.
///
/// - Parameter page: counted from 1.
func openImage(
    _ path: String, page: Int = 1, limits: ImageLimits = ImageLimits()
) throws -> (source: any ImageSource, codec: ImageCodec) {
    let (file, codec) = try openFile(path)
    if page > 1, codec.pages == nil { throw ImageError(path: path, .noPage(page, of: 1)) }
    return (try codec.open(file, page, limits), codec)
}

/// The number of pages of an image. Throws ``FileError`` or ``ImageError``; whether a page can be decoded it does not tell.
package func imagePages(_ path: String) throws -> Int {
    let (file, codec) = try openFile(path)
    return try codec.pages?(file) ?? 1
}

private func openFile(_ path: String) throws -> (file: InputFile, codec: ImageCodec) {
    let file = try InputFile(path), head = try file.head()
    guard !head.isEmpty else { throw ImageError(path: path, .undecodable("the file is empty")) }
    guard let codec = ImageCodec(beginning: head) else {
        throw ImageError(path: path, ForeignFormat(head).map { .foreign($0) } ?? .unknownFormat)
    }
    return (file, codec)
}
