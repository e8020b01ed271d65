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
    /// Whether a file begins so; handed are up to ``InputFile/headSize`` bytes.
    let begins: @Sendable ([UInt8]) -> Bool
    /// Reads the header.
    let open: @Sendable (InputFile, ImageLimits) throws -> any RowSource

    /// The registry.
    package static let all = [png, jpeg]

    package static let png = ImageCodec(
        name: "PNG", endings: ["png"], shrinks: false, begins: { $0.starts(with: [0x89, 0x50, 0x4E, 0x47]) },
        open: { file, _ in try PNGReader(file) })

    package static let jpeg = ImageCodec(
        name: "JPEG", endings: ["jpg", "jpeg", "jpe", "jfif"], shrinks: true,
        begins: { $0.starts(with: [0xFF, 0xD8]) },
        open: { file, limits in try JPEGReader(file, allowsDamage: limits.damage) })

    /// The endings of all formats.
    package static let endings = Set(all.flatMap(\.endings))

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
func openImage(_ path: String, limits: ImageLimits = ImageLimits()) throws -> (source: any RowSource, codec: ImageCodec)
{
    let file = try InputFile(path), head = try file.head()
    guard !head.isEmpty else { throw ImageError(path: path, .undecodable("the file is empty")) }
    guard let codec = ImageCodec(beginning: head) else {
        throw ImageError(path: path, ForeignFormat(head).map { .foreign($0) } ?? .unknownFormat)
    }
    return (try codec.open(file, limits), codec)
}
