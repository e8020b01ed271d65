import BEiTFiles
import Foundation

/// Where an image lies on a map: GeoTIFF 1.1 (OGC 19-008r4), or a world file beside the image.
package struct GeoReference: Sendable, Equatable {
    /// From places in the image as stored, in pixels from the top left corner (pixel centres have halves), to the map:
    /// `x = originX + columnX · column + rowX · row`, and y alike.
    package var originX, columnX, rowX, originY, columnY, rowY: Double
    /// The code of the coordinate reference system in EPSG's register, where the file names one.
    package var epsg: Int?
    /// The GeoTIFF keys as they stand in the file: the directory (34735), its numbers (34736), its texts (34737).
    package var keys: [UInt16] = [], keyNumbers: [Double] = [], keyTexts = ""
    /// What GDAL's metadata (42112) say of the image as a whole, an `Item` of XML each.
    package var metadata: [String] = []
    /// Metres of a unit of the map; nil where its units are angles, nobody says, or it stretches the ground (Web Mercator).
    var metresOfUnit: Double?

    /// Square metres of a pixel; nil where the reference does not tell.
    package var pixelArea: Double? {
        metresOfUnit.map { $0 * $0 * abs(columnX * rowY - rowX * columnY) }
    }

    /// Whether a ring that turns counterclockwise as numbers of pixels turns clockwise on the map.
    package var mirrors: Bool { columnX * rowY - rowX * columnY < 0 }

    /// Whether the keys tell places of pixel centres.
    var keysArePoints: Bool { GeoKeys(directory: keys).isPoint }

    package func place(column: Double, row: Double) -> (x: Double, y: Double) {
        (originX + columnX * column + rowX * row, originY + columnY * column + rowY * row)
    }

    /// Of an image file, for its pixels as they are decoded: upright. Nil where it lies on no map. Throws as
    /// ``decodeImage(_:as:limits:shrinkingTo:)``.
    package init?(of path: String, page: Int = 1) throws {
        let source = try openImage(path, page: page).source
        var keys = GeoKeys()
        #if TIFF
            if let reader = source as? TIFFReader {
                keys = GeoKeys(reader)
                if var place = GeoReference(reader, keys) {
                    place.adopt(keys)
                    self = place
                    return
                }
            }
        #endif
        guard let text = Self.worldFile(of: path), var place = GeoReference(world: text) else { return nil }
        place.adopt(keys)
        place.turn(source.orientation, width: source.width, height: source.height)
        self = place
    }

    private mutating func adopt(_ found: GeoKeys) {
        (epsg, keys, keyNumbers, keyTexts) = (found.epsg, found.directory, found.numbers, found.texts)
        (metadata, metresOfUnit) = (found.metadata, found.metresOfUnit)
    }

    /// A world file tells of the pixels as stored, `width` × `height`.
    mutating func turn(_ orientation: Orientation, width: Int, height: Int) {
        let (origin, stepX, stepY) = orientation.path(width: width, height: height)
        /// What a step through the stored pixels is in columns and rows.
        func step(_ pixels: Int) -> (columns: Double, rows: Double) {
            abs(pixels) == 1 ? (Double(pixels), 0) : (0, Double(pixels.signum()))
        }
        let (right, down) = (step(stepX), step(stepY))
        let corner = place(
            column: Double(origin % width) + (1 - right.columns - down.columns) / 2,
            row: Double(origin / width) + (1 - right.rows - down.rows) / 2)
        let map = self
        (originX, originY) = corner
        (columnX, columnY) = (
            map.columnX * right.columns + map.rowX * right.rows, map.columnY * right.columns + map.rowY * right.rows
        )
        (rowX, rowY) = (
            map.columnX * down.columns + map.rowX * down.rows, map.columnY * down.columns + map.rowY * down.rows
        )
    }

    private init(_ x: (Double, Double, Double), _ y: (Double, Double, Double)) {
        (originX, columnX, rowX) = x
        (originY, columnY, rowY) = y
    }

    // MARK: World files

    /// Six lines: columnX, columnY, rowX, rowY, and the centre of the first pixel. Nil for anything else, and for a map
    /// without extent.
    init?(world text: String) {
        let numbers = text.split(whereSeparator: \.isWhitespace).map { Double($0) }
        let values = numbers.compactMap { $0 }
        guard numbers.count == 6, values.count == 6, values.allSatisfy(\.isFinite) else { return nil }
        let (columnX, columnY, rowX, rowY) = (values[0], values[1], values[2], values[3])
        guard columnX * rowY - rowX * columnY != 0 else { return nil }
        self.init(
            (values[4] - (columnX + rowX) / 2, columnX, rowX), (values[5] - (columnY + rowY) / 2, columnY, rowY))
    }

    /// As ``init(world:)`` reads it.
    package var world: String {
        let centre = place(column: 0.5, row: 0.5)
        return [columnX, columnY, rowX, rowY, centre.x, centre.y].map { "\($0)\n" }.joined()
    }

    /// The first of `a.tfw`, `a.tifw`, `a.wld` beside `a.tif` (of other endings alike: first and last letter, and w).
    private static func worldFile(of path: String) -> String? {
        let ending = path.ending, stem = path.withoutEnding
        guard let first = ending.first, let last = ending.last else { return nil }
        for name in ["\(first)\(last)w", ending + "w", "wld"].flatMap({ [$0, $0.uppercased()] }) {
            guard let file = try? InputFile(stem + "." + name), file.size <= 4096,
                let bytes = try? file.bytes(at: 0, count: file.size)
            else { continue }
            return String(decoding: bytes, as: UTF8.self)
        }
        return nil
    }
}

/// The keys of a GeoTIFF.
private struct GeoKeys {
    var directory: [UInt16] = []
    var numbers: [Double] = []
    var texts = ""
    var metadata: [String] = []

    /// The value of a key that stands in the directory itself.
    func value(_ key: UInt16) -> Int? {
        guard directory.count >= 4 else { return nil }
        for entry in stride(from: 4, to: directory.count - 3, by: 4)
        where directory[entry] == key && directory[entry + 1] == 0 {
            return Int(directory[entry + 3])
        }
        return nil
    }

    /// ProjectedCRSGeoKey, else GeodeticCRSGeoKey; codes beyond are private or undefined.
    var epsg: Int? { [3072, 2048].lazy.compactMap { value($0) }.first { (1024..<32767).contains($0) } }

    /// Whether places are those of pixel centres (GTRasterTypeGeoKey).
    var isPoint: Bool { value(1025) == 2 }

    /// By ProjLinearUnitsGeoKey: metres, international feet, feet of the US survey. Web Mercator's metres are none.
    var metresOfUnit: Double? {
        guard value(1024) == 1, epsg != 3857 else { return nil }
        switch value(3076) {
        case 9001: return 1
        case 9002: return 0.3048
        case 9003: return 1200.0 / 3937
        default: return nil
        }
    }
}

#if TIFF
    extension GeoKeys {
        init(_ reader: TIFFReader) {
            let words = reader.numbers(.keyDirectory) ?? []
            directory =
                words.allSatisfy { (0...65535).contains($0) && $0 == $0.rounded() } ? words.map { UInt16($0) } : []
            numbers = reader.numbers(.keyDoubles) ?? []
            texts = reader.text(.keyTexts) ?? ""
            metadata = Self.items(reader.text(.metadata) ?? "")
        }

        /// The items of GDAL's metadata but those of single bands, as their statistics. What is long is no such text.
        private static func items(_ text: String) -> [String] {
            guard text.utf8.count <= 1 << 16 else { return [] }
            return text.matches(of: /<Item(\s[^<>]*)?>[^<]*<\/Item>/).map { String($0.output.0) }
                .filter { !$0.contains("sample=") && $0.unicodeScalars.allSatisfy { $0.value >= 32 } }
        }
    }

    extension GeoReference {
        /// By the matrix, else by the scale of pixels and one tie point; nil where there are neither, as with ground
        /// control points alone.
        fileprivate init?(_ reader: TIFFReader, _ keys: GeoKeys) {
            if let matrix = reader.numbers(.transformation), matrix.count == 16 {
                self.init((matrix[3], matrix[0], matrix[1]), (matrix[7], matrix[4], matrix[5]))
            } else if let scale = reader.numbers(.pixelScale), scale.count >= 2,
                let tie = reader.numbers(.tiePoints), tie.count >= 6
            {
                self.init((tie[3] - tie[0] * scale[0], scale[0], 0), (tie[4] + tie[1] * scale[1], 0, -scale[1]))
            } else {
                return nil
            }
            guard [originX, columnX, rowX, originY, columnY, rowY].allSatisfy(\.isFinite),
                columnX * rowY - rowX * columnY != 0
            else { return nil }
            if keys.isPoint {
                originX -= (columnX + rowX) / 2
                originY -= (columnY + rowY) / 2
            }
        }
    }
#endif
