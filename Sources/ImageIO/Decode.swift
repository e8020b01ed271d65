/// What an image is, known without decoding its pixels.
package struct ImageHeader: Sendable, Equatable {
    /// Pixels, after the image is turned upright.
    package private(set) var width, height: Int
    package let codec: ImageCodec
    /// Whether every value is kept as it was.
    package let isExact: Bool
    /// Bytes a pixel that are needed beside the picture while it is decoded.
    private let kept: Int

    init(_ source: any ImageSource, _ codec: ImageCodec) {
        let orientation = source.orientation, turned = orientation.exchangesSides
        (width, height) = turned ? (source.height, source.width) : (source.width, source.height)
        (self.codec, isExact) = (codec, source.isExact)
        kept = source.keptBytes + (orientation == .upright ? 0 : 3)
    }

    /// Of the image as stored, where that lies on its side.
    package var exchangingSides: ImageHeader {
        var header = self
        (header.width, header.height) = (height, width)
        return header
    }

    /// The bytes that decoding takes at its height, three a pixel for the picture itself among them.
    ///
    /// - Parameter shortSide: as of ``decodeImage(_:limits:shrinkingTo:)``.
    package func decodedBytes(shrinkingTo shortSide: Int? = nil) -> Int {
        let shrink = codec.shrink(width: width, height: height, to: shortSide)
        let picture = 3 * ((width + shrink - 1) / shrink) * ((height + shrink - 1) / shrink)
        return picture + kept * width * height
    }
}

/// The size and format of an image, from its header. Throws ``FileError`` or ``ImageError``.
///
/// - Parameter page: counted from 1.
package func imageHeader(_ path: String, page: Int = 1) throws -> ImageHeader {
    let (source, codec) = try openImage(path, page: page)
    return ImageHeader(source, codec)
}

/// The bytes that decoding an image will take, from its header; 0 where there is none to be read.
package func decodedBytes(_ path: String, page: Int = 1, shrinkingTo shortSide: Int? = nil) -> Int {
    (try? imageHeader(path, page: page))?.decodedBytes(shrinkingTo: shortSide) ?? 0
}

extension ImageCodec {
    /// By how much an image is scaled down while it is decoded: the largest of 1, 2, 4 and 8 that leaves its short side at
    /// least `shortSide` pixels.
    fileprivate func shrink(width: Int, height: Int, to shortSide: Int?) -> Int {
        guard shrinks, let shortSide else { return 1 }
        return [8, 4, 2].first { min(width, height) / $0 >= shortSide } ?? 1
    }
}

/// Decodes an image of any format that is read (``ImageCodec``), told apart by content, as RGB and turned upright by its
/// Exif orientation.
///
/// Values are used as stored: gamma and colour profiles are ignored, alpha is dropped (not blended), grey is
/// replicated, more than 8 bits are scaled as `reading` says. A file that ends early or has damaged data is refused, unless the limits allow it.
///
/// - Parameter shortSide: A size in pixels that suffices. A JPEG is then decoded at 1/2, 1/4 or 1/8 of its size where
///   its short side stays at least that long, several times faster; other images keep their size.
/// - Throws: ``FileError`` or ``ImageError``.
package func decodeImage(
    _ path: String, as reading: ImageReading = ImageReading(), limits: ImageLimits = ImageLimits(),
    shrinkingTo shortSide: Int? = nil
) throws -> RGBImage {
    let (source, codec) = try openImage(path, page: reading.page, limits: limits)
    try limits.check(width: source.width, height: source.height, path: path)
    let rows = try ImageRows(
        try colors(of: source, path, reading, limits),
        shrink: codec.shrink(width: source.width, height: source.height, to: shortSide))
    return RGBImage(width: rows.width, height: rows.height, pixels: try rows.read(rows.height))
        .turned(source.orientation)
}

/// An opened image as rows of RGB.
private func colors(
    of source: any ImageSource, _ path: String, _ reading: ImageReading, _ limits: ImageLimits
) throws -> any RowSource {
    // What a decoder makes by itself is what the defaults ask for.
    if let source = source as? any RowSource {
        guard reading.changesColors else { return source }
        if !(source is any SampleSource) { return try colors(of: RGBSamples(source), path, reading, limits) }
    }
    guard let samples = source as? any SampleSource else {
        preconditionFailure("a source of neither colours nor samples")
    }
    let range = try SampleRange(samples.form, reading, path: path) {
        let again = try openImage(path, page: reading.page, limits: limits).source
        if let samples = again as? any SampleSource { return samples }
        guard let rows = again as? any RowSource else { throw ImageError(path: path, .unknownFormat) }
        return RGBSamples(rows)
    }
    return SampleColors(samples, bands: range.bands, ranges: range.ranges)
}

/// Reads an image strip by strip, for images larger than memory.
package final class ImageRows {
    /// Pixels of the rows delivered.
    package let width, height: Int
    /// Rows not yet read.
    package private(set) var remaining: Int
    private let source: any RowSource

    /// An image whose rows do not arrive one after another (an interlaced PNG, a progressive JPEG, an image that must be
    /// turned upright) is decoded as a whole, within `limits`.
    ///
    /// - Parameter shortSide: a size that suffices, as of ``decodeImage(_:limits:shrinkingTo:)``, whose rows these are.
    /// - Throws: ``FileError`` or ``ImageError``; ``ImageError/Reason/notInRows(_:)`` for such an image beyond the limits.
    package convenience init(
        _ path: String, as reading: ImageReading = ImageReading(), limits: ImageLimits = ImageLimits(),
        shrinkingTo shortSide: Int? = nil
    ) throws {
        let (source, codec) = try openImage(path, page: reading.page, limits: limits)
        let turned = source.orientation != .upright
        guard let obstacle = source.obstacle ?? (turned ? "its Exif data turn it; save it upright" : nil) else {
            try self.init(
                try colors(of: source, path, reading, limits),
                shrink: codec.shrink(width: source.width, height: source.height, to: shortSide))
            return
        }
        guard limits.allow(width: source.width, height: source.height) else {
            throw ImageError(path: path, .notInRows(obstacle))
        }
        try self.init(DecodedRows(decodeImage(path, as: reading, limits: limits, shrinkingTo: shortSide)))
    }

    init(_ source: any RowSource, shrink: Int = 1) throws {
        let shrink = try source.beginRGB(shrink: shrink)
        (width, height) = ((source.width + shrink - 1) / shrink, (source.height + shrink - 1) / shrink)
        (self.source, remaining) = (source, height)
    }

    /// The next `count` rows, `3 · width` bytes each, from top to bottom.
    ///
    /// - Precondition: so many remain.
    package func read(_ count: Int) throws -> [UInt8] {
        precondition((0...remaining).contains(count), "\(count) rows wanted, \(remaining) remain")
        remaining -= count
        return try [UInt8](unsafeUninitializedCapacity: 3 * width * count) { buffer, filled in
            guard let rows = buffer.baseAddress else { return }
            try source.read(rows, rowBytes: 3 * width, count: count)
            filled = 3 * width * count
        }
    }
}

/// An image in memory.
private final class DecodedRows: RowSource {
    private let image: RGBImage
    private var next = 0

    init(_ image: RGBImage) { self.image = image }

    var width: Int { image.width }
    var height: Int { image.height }
    func beginRGB(shrink: Int) -> Int { 1 }

    func read(_ rows: UnsafeMutablePointer<UInt8>, rowBytes: Int, count: Int) {
        let target = UnsafeMutableBufferPointer(start: rows, count: count * rowBytes)
        _ = target.update(fromContentsOf: image.pixels[next..<next + count * rowBytes])
        next += count * rowBytes
    }
}

/// Decodes a mask: an image of one sample a pixel, of 1 to 16 bits (grey, or indices into a palette), whose samples are
/// class indices, taken as stored (a 1-bit mask has classes 0 and 1). Exif is ignored.
///
/// - Throws: ``FileError`` or ``ImageError``; ``ImageError/Reason/notAMask(_:)`` for formats that lose exact values and
///   for images with colours or alpha.
package func decodeMask(_ path: String, limits: ImageLimits = ImageLimits()) throws -> IndexMask {
    let (image, codec) = try openImage(path, limits: limits)
    guard let source = image as? any SampleSource, image.isExact else {
        throw ImageError(path: path, .notAMask("it is a \(codec.name), which does not keep exact values"))
    }
    let form = source.form
    guard form.kind == .uint8 || form.kind == .uint16 else {
        throw ImageError(path: path, .notAMask("its samples have a sign, a fraction or more than 16 bits"))
    }
    guard form.isIndex else {
        throw ImageError(path: path, .notAMask("it has colours or transparency, not one number per pixel"))
    }
    try limits.check(width: source.width, height: source.height, path: path)
    _ = try source.beginSamples([0])
    let values =
        form.kind == .uint16
        ? try readSamples(source, as: UInt16.self)
        : try readSamples(source, as: UInt8.self).map { UInt16($0) }
    return IndexMask(width: source.width, height: source.height, values: values, palette: form.palette)
}

private func readSamples<Sample: FixedWidthInteger>(
    _ source: any SampleSource, as type: Sample.Type
) throws -> [Sample] {
    let count = source.width * source.height
    return try [Sample](unsafeUninitializedCapacity: count) { buffer, filled in
        let rowBytes = source.width * MemoryLayout<Sample>.size
        let bytes = UnsafeMutableRawBufferPointer(buffer).assumingMemoryBound(to: UInt8.self)
        guard let rows = bytes.baseAddress else { return }
        try source.read(rows, rowBytes: rowBytes, count: source.height)
        filled = count
    }
}
