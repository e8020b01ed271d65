import BEiTFiles
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
    /// Has its strips as they come: it has nothing to do with classes.
    private let probabilities: (any ResultFile)?
    private var smallRegions: SmallRegions?
    private let masks: ClassMasks?
    private var areaCount: AreaCount?
    private(set) var counts: ClassCounts
    private(set) var areas: [ClassArea]?
    private(set) var certainty = Certainty()
    /// Below the output folder.
    var names: [String] { fixedNames + (masks?.names ?? []) + pictures.flatMap { MapSidecar.names($0, reference) } }
    private let fixedNames: [String]
    private let folder: String
    private let reference: GeoReference?
    private var pictures: [String] { (fixedNames + (masks?.names ?? [])).filter { $0.hasSuffix(".png") } }

    /// - Parameter reference: where the photo lies.
    /// - Throws: `FileError`, `HDF5Error`.
    init(_ form: ResultForm, _ stem: String, width: Int, height: Int, _ reference: GeoReference? = nil) throws {
        (fixedNames, folder, self.reference) = (form.names(stem), form.folder, reference)
        var (files, probabilities): ([any ResultFile], (any ResultFile)?) = ([], nil)
        for (format, name) in zip(form.fileFormats, fixedNames) {
            let file = try Self.open(format, form.folder.joined(name), form, width: width, height: height, reference)
            if format == .probabilities { probabilities = file } else { files.append(file) }
        }
        self.probabilities = probabilities
        masks = form.formats.contains(.masks) ? ClassMasks(form, stem, width: width, height: height) : nil
        if let masks { files.append(masks) }
        self.files = files
        if form.formats.contains(.areas) { areaCount = AreaCount(width: width, form.classes) }
        counts = ClassCounts(of: form.palette.count)
        let classes = form.resultClasses
        if classes.leastArea > 1 {
            smallRegions = SmallRegions(width: width, least: classes.leastArea, none: classes.none)
        }
    }

    func write(_ strip: SegmentedStrip, _ photo: PictureStrip?) throws {
        certainty += strip.certainty
        try probabilities?.write(strip, photo)
        guard smallRegions != nil else { return try writeFinal(strip, photo) }
        var strip = strip
        strip.probabilities = nil
        for (strip, photo) in smallRegions?.add(strip, photo) ?? [] { try writeFinal(strip, photo) }
    }

    /// Writes a strip in which nothing changes any more.
    private func writeFinal(_ strip: SegmentedStrip, _ photo: PictureStrip?) throws {
        counts.add(strip.classes)
        areaCount?.add(strip.classes)
        for file in files { try file.write(strip, photo) }
    }

    func finish() throws {
        for (strip, photo) in smallRegions?.finish() ?? [] { try writeFinal(strip, photo) }
        try probabilities?.finish()
        for name in pictures { try MapSidecar.write(beside: folder.joined(name), reference) }
        for file in files { try file.finish() }
        areas = areaCount?.finish()
    }

    /// Throws `FileError`, `HDF5Error`.
    static func open(
        _ format: PredictionFormat, _ path: String, _ form: ResultForm, width: Int, height: Int,
        _ reference: GeoReference? = nil
    ) throws -> any ResultFile {
        func png(_ kind: PNGKind) throws -> PNGWriter { try PNGWriter(path, width: width, height: height, kind: kind) }
        let palette = form.palette
        switch format {
        case .index: return try indexFile(form.resultClasses, png)
        case .tiff:
            return try tiffFile(path, form.resultClasses, width: width, height: height, reference)
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
        case .polygons: return try PolygonFile(path, width: width, form, reference)
        case .areas, .masks: preconditionFailure("\(format) is no file of an image")
        }
    }

    /// A mask whose values are class indices, of 8 bits as long as they are enough.
    private static func indexFile(
        _ classes: ResultClasses, _ png: (PNGKind) throws -> PNGWriter
    ) throws -> any ResultFile {
        guard let palette = classes.bytePalette else {
            return PNGFile(try png(.grey16)) { strip, _ in classes.words(strip) }
        }
        return PNGFile(try png(.palette(palette))) { strip, _ in classes.bytes(strip) }
    }

    private static func tiffFile(
        _ path: String, _ classes: ResultClasses, width: Int, height: Int, _ reference: GeoReference?
    ) throws -> any ResultFile {
        #if TIFF
            let palette = classes.bytePalette
            let tiff = try TIFFWriter(
                path, width: width, height: height, palette: palette, noData: classes.void, reference: reference)
            return palette == nil ? TIFFFile(tiff, rows: classes.words) : TIFFFile(tiff, rows: classes.bytes)
        #else
            throw FileError(.inputOutput, path: path, reason: "this program was built without TIFF")
        #endif
    }
}

extension ResultClasses {
    /// The colours of a mask of bytes; nil where its values need more.
    fileprivate var bytePalette: [RGBColor]? {
        guard values.allSatisfy({ $0 < 256 }) else { return nil }
        return void == nil ? palette : palette + ColorMap.colors(256)[palette.count...]
    }

    fileprivate func bytes(_ strip: SegmentedStrip) -> [UInt8] {
        let bytes = values.map { UInt8($0) }
        return strip.classes.map { bytes[Int($0)] }
    }

    fileprivate func words(_ strip: SegmentedStrip) -> [UInt16] {
        let values = values
        return strip.classes.map { values[Int($0)] }
    }
}

#if TIFF
    private final class TIFFFile<Sample>: ResultFile {
        private let tiff: TIFFWriter
        private let rows: (SegmentedStrip) -> [Sample]

        init(_ tiff: TIFFWriter, rows: @escaping (SegmentedStrip) -> [Sample]) { (self.tiff, self.rows) = (tiff, rows) }

        func write(_ strip: SegmentedStrip, _ photo: PictureStrip?) throws {
            try rows(strip).withUnsafeBytes { try tiff.write(rows: $0) }
        }

        func finish() throws { try tiff.finish() }
    }
#endif

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
