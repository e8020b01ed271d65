import BEiTFiles
import CBEiTImageShim
import Foundation

/// What a PNG's pixels are.
package enum PNGKind: Sendable, Equatable {
    case rgb
    case grey8
    case grey16
    /// 8-bit indices into at most 256 colours.
    case palette([RGBColor])

    var bytesPerPixel: Int {
        switch self {
        case .rgb: 3
        case .grey16: 2
        case .grey8, .palette: 1
        }
    }
}

/// Writes a PNG strip by strip; the file appears under its name at ``finish()``, whole or not at all.
package final class PNGWriter {
    private let file: AtomicFile
    private let encoder: PNGEncoder
    private let stream: UnsafeMutablePointer<FILE>
    private var isOpen = true

    /// - Parameter compression: 0 (none) to 9 (smallest); 1 is several times faster than zlib's default, 6.
    /// - Throws: ``FileError``.
    package init(_ path: String, width: Int, height: Int, kind: PNGKind, compression: Int = 1) throws {
        file = try AtomicFile(path)
        guard let stream = file.making({ fopen($0, "wxb") }) else {
            throw FileError.writing(path, doing: "create")
        }
        self.stream = stream
        do {
            encoder = try PNGEncoder(
                stream, name: path, width: width, height: height, kind: kind, compression: compression)
        } catch {
            fclose(stream)
            throw error
        }
    }

    deinit { if isOpen { fclose(stream) } }

    /// Appends whole rows: a byte a sample, native-endian `UInt16` for ``PNGKind/grey16``.
    package func write(rows: UnsafeRawBufferPointer) throws { try encoder.write(rows) }

    /// Completes the file. All rows must have been written. Throws ``FileError``.
    package func finish() throws {
        try encoder.end()
        isOpen = false
        guard fclose(stream) == 0 else { throw FileError.system(file.path, doing: "write") }
        try file.commit()
    }
}

/// Writes `image` as an RGB PNG. Throws ``FileError``.
package func writePNG(_ image: RGBImage, to path: String, compression: Int = 1) throws {
    try image.pixels.withUnsafeBytes { rows in
        try writePNG(rows, width: image.width, height: image.height, kind: .rgb, to: path, compression: compression)
    }
}

/// Writes `mask` so that ``decodeMask(_:limits:)`` gives back its values. Up to 256 classes: as a palette PNG where it
/// has a palette (completed by ``ColorMap`` for indices beyond it), else as 8-bit grey. More classes: as 16-bit grey.
/// Throws ``FileError``.
package func writePNG(_ mask: IndexMask, to path: String, compression: Int = 1) throws {
    try mask.withRows { rows, kind in
        try writePNG(rows, width: mask.width, height: mask.height, kind: kind, to: path, compression: compression)
    }
}

/// `mask` as the bytes of a PNG file, as ``writePNG(_:to:compression:)-(IndexMask,_,_)`` writes it.
package func encodePNG(_ mask: IndexMask, compression: Int = 6) throws -> [UInt8] {
    try mask.withRows { rows, kind in
        try encodePNG(rows, width: mask.width, height: mask.height, kind: kind, compression: compression)
    }
}

extension IndexMask {
    /// As a PNG has them.
    fileprivate func withRows<Result>(_ body: (UnsafeRawBufferPointer, PNGKind) throws -> Result) rethrows -> Result {
        let classes = max(Int(values.max() ?? 0) + 1, palette?.count ?? 0)
        if classes > 256 { return try values.withUnsafeBytes { try body($0, .grey16) } }
        let kind = palette.map { PNGKind.palette($0 + ColorMap.colors(classes)[$0.count...]) } ?? .grey8
        return try values.map { UInt8(truncatingIfNeeded: $0) }.withUnsafeBytes { try body($0, kind) }
    }
}

/// Writes rows of 8-bit grey. Throws ``FileError``.
package func writePNG(grey: [UInt8], width: Int, height: Int, to path: String, compression: Int = 1) throws {
    try grey.withUnsafeBytes { rows in
        try writePNG(rows, width: width, height: height, kind: .grey8, to: path, compression: compression)
    }
}

/// `image` as the bytes of an RGB PNG file.
package func encodePNG(_ image: RGBImage, compression: Int = 6) throws -> [UInt8] {
    try image.pixels.withUnsafeBytes {
        try encodePNG($0, width: image.width, height: image.height, kind: .rgb, compression: compression)
    }
}

private func encodePNG(
    _ rows: UnsafeRawBufferPointer, width: Int, height: Int, kind: PNGKind, compression: Int
) throws -> [UInt8] {
    try writtenBytes("PNG") { stream in
        let encoder = try PNGEncoder(
            stream, name: "PNG", width: width, height: height, kind: kind, compression: compression)
        try encoder.write(rows)
        try encoder.end()
    }
}

/// What `write` writes to a stream in memory. `name` stands in errors where a file's path would.
func writtenBytes(_ name: String, _ write: (UnsafeMutablePointer<FILE>) throws -> Void) throws -> [UInt8] {
    var (start, size): (UnsafeMutablePointer<CChar>?, Int) = (nil, 0)
    guard let stream = open_memstream(&start, &size) else { throw FileError.system(name, doing: "encode") }
    defer { free(start) }
    do {
        defer { fclose(stream) }
        try write(stream)
    }
    return Array(UnsafeRawBufferPointer(start: start, count: size))
}

private func writePNG(
    _ rows: UnsafeRawBufferPointer, width: Int, height: Int, kind: PNGKind, to path: String, compression: Int
) throws {
    let writer = try PNGWriter(path, width: width, height: height, kind: kind, compression: compression)
    try writer.write(rows: rows)
    try writer.finish()
}

/// libpng writing to a stream, which stays the caller's.
private final class PNGEncoder {
    private let stream: UnsafeMutablePointer<FILE>
    private let name: String
    private let writer: OpaquePointer
    private let rowBytes: Int

    init(
        _ stream: UnsafeMutablePointer<FILE>, name: String, width: Int, height: Int, kind: PNGKind, compression: Int
    ) throws {
        guard let writer = beitseg_png_writer_open(stream) else {
            throw FileError.system(name, doing: "write", code: ENOMEM)
        }
        (self.stream, self.name, self.writer, rowBytes) = (stream, name, writer, width * kind.bytesPerPixel)
        var layout = beitseg_png_layout()
        (layout.width, layout.height) = (UInt32(width), UInt32(height))
        layout.bit_depth = kind == .grey16 ? 16 : 8
        layout.compression = Int32(compression)
        var colors: [UInt8] = []
        switch kind {
        case .rgb: layout.color_type = 2
        case .grey8, .grey16: layout.color_type = Int32(beitseg_png_grey)
        case .palette(let palette):
            layout.color_type = Int32(beitseg_png_palette)
            layout.palette_count = Int32(palette.count)
            colors = palette.flatMap { [$0.red, $0.green, $0.blue] }
        }
        let begun = colors.withUnsafeBufferPointer { colors in
            layout.palette = colors.baseAddress
            return beitseg_png_writer_begin(writer, &layout)
        }
        guard begun else { throw failure() }
    }

    deinit { beitseg_png_writer_close(writer) }

    func write(_ rows: UnsafeRawBufferPointer) throws {
        precondition(rows.count % rowBytes == 0, "\(rows.count) bytes are not whole rows of \(rowBytes)")
        let bytes = rows.assumingMemoryBound(to: UInt8.self)
        guard let start = bytes.baseAddress else { return }
        guard beitseg_png_writer_rows(writer, start, rowBytes, rows.count / rowBytes) else { throw failure() }
    }

    func end() throws {
        guard beitseg_png_writer_end(writer) else { throw failure() }
        guard fflush(stream) == 0 else { throw FileError.system(name, doing: "write") }
    }

    private func failure() -> FileError {
        if ferror(stream) != 0 { return FileError.system(name, doing: "write") }
        return FileError(.inputOutput, path: name, reason: String(cString: beitseg_png_writer_error(writer)))
    }
}
