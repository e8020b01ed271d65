#if TIFF
    import BEiTFiles
    import CBEiTImageShim

    /// Decodes a page of a TIFF through libtiff.
    final class TIFFReader: SampleSource {
        private let file: InputFile
        private let reader: OpaquePointer
        private let header: beitseg_tiff_header
        private let damage: DamagedImages?
        let form: SampleForm

        /// Reads the directory of a page, counted from 1.
        init(_ file: InputFile, page: Int, allowsDamage damage: DamagedImages?) throws {
            guard let reader = beitseg_tiff_reader_open(file.descriptor, file.start, file.size) else {
                throw file.outOfMemory()
            }
            var header = beitseg_tiff_header()
            guard beitseg_tiff_reader_header(reader, Int32(clamping: page - 1), &header) else {
                defer { beitseg_tiff_reader_close(reader) }
                if header.pages > 0 { throw ImageError(path: file.path, .noPage(page, of: Int(header.pages))) }
                throw Self.failure(file, reader)
            }
            (self.file, self.reader, self.header, self.damage) = (file, reader, header, damage)
            form = SampleForm(header, palette: Self.palette(reader), missing: Self.missing(reader))
            if let missing = form.missing { beitseg_tiff_reader_fill_with(reader, missing) }
        }

        deinit { beitseg_tiff_reader_close(reader) }

        /// The number of pages, at least 1.
        static func pages(_ file: InputFile) throws -> Int {
            guard let reader = beitseg_tiff_reader_open(file.descriptor, file.start, file.size) else {
                throw file.outOfMemory()
            }
            defer { beitseg_tiff_reader_close(reader) }
            let pages = beitseg_tiff_reader_pages(reader)
            if pages < 0 { throw failure(file, reader) }
            return max(1, Int(pages))  // of a file without any the first page tells why
        }

        var width: Int { Int(header.width) }
        var height: Int { Int(header.height) }
        var isExact: Bool { !header.lossy }

        /// A raster that lies on a map does not turn.
        var orientation: Orientation {
            let isOnMap = [GeoTag.pixelScale, .transformation].contains { numbers($0) != nil }
            return isOnMap ? .upright : Orientation(rawValue: UInt16(clamping: header.orientation)) ?? .upright
        }

        func beginSamples(_ bands: [Int]) throws -> [Int] {
            guard beitseg_tiff_reader_begin(reader, bands.map(Int32.init), Int32(bands.count)) else {
                throw Self.failure(file, reader)
            }
            return bands
        }

        func read(_ rows: UnsafeMutablePointer<UInt8>, rowBytes: Int, count: Int) throws {
            guard beitseg_tiff_reader_rows(reader, rows, rowBytes, count) else { throw Self.failure(file, reader) }
            guard beitseg_tiff_reader_is_damaged(reader) else { return }
            let error = Self.failure(file, reader)
            guard let damage, let imageError = error as? ImageError else { throw error }
            damage.note(imageError)
        }

        // MARK: Tags

        private static func palette(_ reader: OpaquePointer) -> [RGBColor] {
            var count = 0
            guard let bytes = beitseg_tiff_reader_palette(reader, &count) else { return [] }
            return (0..<count).map { RGBColor(bytes[3 * $0], bytes[3 * $0 + 1], bytes[3 * $0 + 2]) }
        }

        /// GDAL writes the value of pixels that hold nothing as text.
        private static func missing(_ reader: OpaquePointer) -> Double? {
            text(reader, GeoTag.noData).flatMap { Double($0.filter { !$0.isWhitespace }) }
        }

        /// The numbers of a tag that libtiff does not know itself; nil where it is missing or no list of numbers.
        func numbers(_ tag: GeoTag) -> [Double]? {
            var type: Int32 = 0, count = 0
            guard let data = beitseg_tiff_reader_tag(reader, tag.rawValue, &type, &count), count > 0 else { return nil }
            switch type {
            case 3:
                return UnsafeBufferPointer(start: data.assumingMemoryBound(to: UInt16.self), count: count).map(
                    Double.init)
            case 11:
                return UnsafeBufferPointer(start: data.assumingMemoryBound(to: Float.self), count: count).map(
                    Double.init)
            case 12: return Array(UnsafeBufferPointer(start: data.assumingMemoryBound(to: Double.self), count: count))
            default: return nil
            }
        }

        func text(_ tag: GeoTag) -> String? { Self.text(reader, tag) }

        private static func text(_ reader: OpaquePointer, _ tag: GeoTag) -> String? {
            var type: Int32 = 0, count = 0
            guard let data = beitseg_tiff_reader_tag(reader, tag.rawValue, &type, &count), type == 2 else { return nil }
            let bytes = UnsafeRawBufferPointer(start: data, count: count).prefix { $0 != 0 }
            return String(decoding: bytes, as: UTF8.self)
        }

        private static func failure(_ file: InputFile, _ reader: OpaquePointer) -> any Error {
            let code = beitseg_tiff_reader_disk_error(reader)
            if code != 0 { return FileError.system(file.path, doing: "read", code: code) }
            return file.failure(
                beitseg_tiff_reader_error(reader), isDamage: beitseg_tiff_reader_is_damaged(reader))
        }
    }

    /// Tags of GeoTIFF 1.1 (OGC 19-008r4) and of GDAL.
    enum GeoTag: UInt32 {
        case pixelScale = 33550
        case tiePoints = 33922
        case transformation = 34264
        case keyDirectory = 34735
        case keyDoubles = 34736
        case keyTexts = 34737
        case metadata = 42112
        case noData = 42113
    }

    extension SampleForm {
        init(_ header: beitseg_tiff_header, palette: [RGBColor], missing: Double?) {
            let color: Color =
                switch header.color {
                case beitseg_inverted: .inverted
                case beitseg_rgb: .rgb
                case beitseg_palette: .palette(palette)
                case beitseg_inks: .inks
                default: .grey
                }
            let kind: Kind =
                switch header.type {
                case beitseg_u8: .uint8
                case beitseg_u16: .uint16
                case beitseg_f32: .float32
                default: .float64
                }
            let steps = Double(sign: .plus, exponent: Int(header.bits), significand: 1)
            let full: ClosedRange<Double> =
                switch header.kind {
                case beitseg_unsigned: 0...steps - 1
                case beitseg_signed: -steps / 2...steps / 2 - 1
                default: 0...1
                }
            self.init(
                bands: Int(header.samples), alphas: Int(header.alphas), kind: kind, color: color, full: full,
                showsFull: header.bits <= 8 && header.kind == beitseg_unsigned, missing: missing)
        }
    }
#endif
