import BEiTImageIO

/// A result of an image, written strip by strip. It appears under its name at ``finish()``, whole, or not at all.
protocol ResultFile: AnyObject {
    /// Appends a strip; `photo` has its pixels, where an overlay is wanted.
    func write(_ strip: SegmentedStrip, _ photo: PictureStrip?) throws
    func finish() throws
}

/// The results of one image, and what its record says of them. Used by one thread at a time.
final class ResultFiles: @unchecked Sendable {
    private let files: [any ResultFile]
    private let masks: ClassMasks?
    private var areaCount: AreaCount?
    private(set) var counts: ClassCounts
    private(set) var areas: [ClassArea]?
    private(set) var certainty = Certainty()
    /// Below the output folder.
    var names: [String] { fixedNames + (masks?.names ?? []) }
    private let fixedNames: [String]

    /// Throws `FileError`, `HDF5Error`.
    init(_ form: ResultForm, _ stem: String, width: Int, height: Int) throws {
        fixedNames = form.names(stem)
        var files = try zip(form.fileFormats, fixedNames).map {
            try Self.open($0, form.folder.joined($1), form, width: width, height: height)
        }
        masks = form.formats.contains(.masks) ? ClassMasks(form, stem, width: width, height: height) : nil
        if let masks { files.append(masks) }
        self.files = files
        if form.formats.contains(.areas) { areaCount = AreaCount(width: width, form.classes) }
        counts = ClassCounts(of: form.palette.count)
    }

    func write(_ strip: SegmentedStrip, _ photo: PictureStrip?) throws {
        counts.add(strip.classes)
        areaCount?.add(strip.classes)
        certainty += strip.certainty
        for file in files { try file.write(strip, photo) }
    }

    func finish() throws {
        for file in files { try file.finish() }
        areas = areaCount?.finish()
    }

    /// Throws `FileError`, `HDF5Error`.
    static func open(
        _ format: PredictionFormat, _ path: String, _ form: ResultForm, width: Int, height: Int
    ) throws -> any ResultFile {
        func png(_ kind: PNGKind) throws -> PNGWriter { try PNGWriter(path, width: width, height: height, kind: kind) }
        let palette = form.palette
        switch format {
        case .index: return try indexFile(form.resultClasses, png)
        case .confidence: return PNGFile(try png(.grey8)) { strip, _ in strip.confidence.map(greyLevel) }
        case .color: return PNGFile(try png(.rgb)) { strip, _ in colored(strip.classes, palette) }
        case .overlay:
            var painter = OverlayPainter(
                width: width, height: height, classes: form.classes, palette: palette, form.overlay)
            return PNGFile(try png(.rgb), rest: { painter.finish() }) { strip, photo in
                guard let photo else { preconditionFailure("an overlay without its photo") }
                return painter.add(strip, photo)
            }
        case .probabilities: return try ProbabilityFile(path, width: width, height: height, form.classes)
        case .rle, .coco: return RunLengthFile(path, width: width, height: height, form.classes)
        case .polygons: return try PolygonFile(path, width: width, form)
        case .areas, .masks: preconditionFailure("\(format) is no file of an image")
        }
    }

    /// A mask whose values are class indices, of 8 bits as long as they are enough.
    private static func indexFile(
        _ classes: ResultClasses, _ png: (PNGKind) throws -> PNGWriter
    ) throws -> any ResultFile {
        let values = classes.values
        guard let most = values.max(), most > 255 else {
            let palette = classes.palette + ColorMap.colors(256)[classes.palette.count...]
            let bytes = values.map { UInt8(truncatingIfNeeded: $0) }
            let colors = classes.void == nil ? classes.palette : palette
            return PNGFile(try png(.palette(colors))) { strip, _ in strip.classes.map { bytes[Int($0)] } }
        }
        return PNGFile(try png(.grey16)) { strip, _ in strip.classes.map { values[Int($0)] } }
    }
}

/// A PNG whose rows are made of strips.
private final class PNGFile<Sample>: ResultFile {
    private let png: PNGWriter
    private let rows: (SegmentedStrip, PictureStrip?) -> [Sample]
    private let rest: () -> [Sample]

    /// - Parameters:
    ///   - rest: rows that were held back, at the end.
    ///   - rows: those that a strip gives.
    init(
        _ png: PNGWriter, rest: @escaping () -> [Sample] = { [] },
        rows: @escaping (SegmentedStrip, PictureStrip?) -> [Sample]
    ) {
        (self.png, self.rest, self.rows) = (png, rest, rows)
    }

    func write(_ strip: SegmentedStrip, _ photo: PictureStrip?) throws {
        try rows(strip, photo).withUnsafeBytes { try png.write(rows: $0) }
    }

    func finish() throws {
        try rest().withUnsafeBytes { try png.write(rows: $0) }
        try png.finish()
    }
}

/// 255 · a probability.
func greyLevel(_ probability: Float) -> UInt8 { UInt8((min(max(probability, 0), 1) * 255).rounded()) }

/// The classes' colours, `R G B` a pixel.
private func colored(_ classes: [UInt16], _ palette: [RGBColor]) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: 3 * classes.count) { pixels, count in
        for (place, value) in classes.enumerated() {
            let color = palette[Int(value)]
            pixels[3 * place] = color.red
            pixels[3 * place + 1] = color.green
            pixels[3 * place + 2] = color.blue
        }
        count = 3 * classes.count
    }
}
