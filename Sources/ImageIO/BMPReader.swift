import BEiTFiles
import CBEiTImageShim

/// Decodes a BMP of Windows or OS/2: 1 to 32 bits a pixel, with palettes, colour masks and run lengths.
///
/// Source: Microsoft's documentation of BITMAPFILEHEADER, BITMAPINFOHEADER and its later versions.
final class BMPReader: SampleSource {
    private let file: InputFile
    private let header: BMPHeader
    private var nextRow = 0
    /// Of a run-length coded picture all indices, from top to bottom.
    private var indices: [UInt8] = []

    /// Reads the header, and refuses a file that is too short for its pixels.
    init(_ file: InputFile) throws {
        self.file = file
        header = try BMPHeader(file)
        guard header.isRunLengthCoded || header.end <= file.size else {
            throw ImageError(path: file.path, .undecodable("the file ends too early"))
        }
    }

    var width: Int { header.width }
    var height: Int { header.height }
    var obstacle: String? { header.isRunLengthCoded ? "its pixels are run lengths; save it as PNG" : nil }
    /// The file and its indices.
    var keptBytes: Int { header.isRunLengthCoded ? 3 : 0 }

    var form: SampleForm {
        SampleForm(
            bands: header.bits <= 8 ? 1 : 3, kind: .uint8, color: header.bits <= 8 ? .palette(header.palette) : .rgb,
            full: 0...255)
    }

    func beginSamples(_ bands: [Int]) throws -> [Int] {
        if header.isRunLengthCoded {
            // Runs of one pixel, and an end at every row, are the longest code that makes sense.
            let size = min(file.size - header.pixels, 4 * width * height + 2 * height + 1024)
            let code = try file.bytes(at: header.pixels, count: max(size, 0))
            indices = BMPRuns.decode(code, width: width, height: height, isNibbles: header.bits == 4)
        }
        return Array(0..<form.bands)
    }

    func read(_ rows: UnsafeMutablePointer<UInt8>, rowBytes: Int, count: Int) throws {
        for row in 0..<count {
            let target = rows + row * rowBytes
            if header.isRunLengthCoded {
                for x in 0..<width { target[x] = indices[nextRow * width + x] }
            } else {
                let stored = header.isTopDown ? nextRow : height - 1 - nextRow
                let bytes = try file.bytes(at: header.pixels + stored * header.rowBytes, count: header.rowBytes)
                bytes.withUnsafeBufferPointer { header.unpack($0, to: target) }
            }
            nextRow += 1
        }
    }
}

/// What stands before the pixels.
private struct BMPHeader {
    let width, height: Int
    let bits: Int
    let isTopDown, isRunLengthCoded: Bool
    let palette: [RGBColor]
    /// Where the pixels begin.
    let pixels: Int
    /// Where red, green and blue lie in 16 or 32 bits.
    private let masks: [BMPMask]

    /// Rows fill words of four bytes.
    var rowBytes: Int { (width * bits + 31) / 32 * 4 }
    var end: Int { pixels + rowBytes * height }

    init(_ file: InputFile) throws {
        let bytes = try file.bytes(at: 0, count: min(file.size, 1 << 12))
        func refuse(_ why: String) -> ImageError { ImageError(path: file.path, .undecodable(why)) }
        func number(_ place: Int, _ size: Int) throws -> Int {
            guard place + size <= bytes.count else { throw refuse("the file ends too early") }
            return (0..<size).reduce(0) { $0 | Int(bytes[place + $1]) << (8 * $1) }
        }
        pixels = try number(10, 4)
        let size = try number(14, 4), isCore = size == 12
        guard isCore || (16...256).contains(size) else { throw refuse("a header of \(size) bytes is not read") }
        let signed = { (value: Int) in Int(Int32(truncatingIfNeeded: value)) }
        let (width, rows) =
            isCore ? (try number(18, 2), try number(20, 2)) : (signed(try number(18, 4)), signed(try number(22, 4)))
        bits = try number(isCore ? 24 : 28, 2)
        let compression = size >= 20 ? try number(30, 4) : 0
        (self.width, height, isTopDown) = (width, abs(rows), rows < 0)
        guard width > 0, rows != 0, max(width, height) <= beitseg_maximum_side else {
            throw refuse("\(width) × \(abs(rows)) pixels make no image")
        }
        isRunLengthCoded = compression == 1 || compression == 2
        let hasMasks = (compression == 3 || compression == 6) && size != 64
        let fits: Bool =
            switch compression {
            case 0: [1, 2, 4, 8, 16, 24, 32].contains(bits)
            case 1: bits == 8 && !isTopDown
            case 2: bits == 4 && !isTopDown
            case 3, 6: hasMasks && (bits == 16 || bits == 32)
            default: false
            }
        guard fits else { throw refuse("\(bits) bits with compression \(compression) are not read") }
        let masks =
            hasMasks
            ? try [54, 58, 62].map { UInt32(try number($0, 4)) }
            : bits == 16 ? [0x7C00, 0x3E0, 0x1F] : [0xFF0000, 0xFF00, 0xFF]
        self.masks = masks.map(BMPMask.init)
        let begin = 14 + size + (hasMasks && size == 40 ? (compression == 6 ? 16 : 12) : 0), entry = isCore ? 3 : 4
        let used = size >= 36 ? try number(46, 4) : 0
        var colors = bits > 8 ? 0 : used == 0 ? 1 << bits : min(used, 1 << bits)
        colors = max(0, min(colors, (min(pixels > begin ? pixels : .max, bytes.count) - begin) / entry))
        palette = (0..<colors).map { index in
            let place = begin + entry * index
            return RGBColor(bytes[place + 2], bytes[place + 1], bytes[place])
        }
    }

    /// A row as indices (up to 8 bits) or RGB.
    func unpack(_ row: UnsafeBufferPointer<UInt8>, to target: UnsafeMutablePointer<UInt8>) {
        switch bits {
        case 1, 2, 4, 8:
            let perByte = 8 / bits, mask = UInt8(truncatingIfNeeded: 1 << bits - 1)
            for x in 0..<width {
                target[x] = row[x / perByte] >> UInt8(8 - bits - x % perByte * bits) & mask
            }
        case 24:
            for x in 0..<width {
                for c in 0..<3 { target[3 * x + c] = row[3 * x + 2 - c] }
            }
        default:
            let size = bits / 8
            for x in 0..<width {
                let pixel = (0..<size).reduce(UInt32(0)) { $0 | UInt32(row[size * x + $1]) << UInt32(8 * $1) }
                for c in 0..<3 { target[3 * x + c] = masks[c].byte(pixel) }
            }
        }
    }
}

/// The bits of a pixel that are one colour.
private struct BMPMask {
    private let mask, shift, largest: UInt32

    init(_ mask: UInt32) {
        self.mask = mask
        shift = mask == 0 ? 0 : UInt32(mask.trailingZeroBitCount)
        largest = mask >> shift
    }

    func byte(_ pixel: UInt32) -> UInt8 {
        guard largest > 0 else { return 0 }
        let value = UInt64((pixel & mask) >> shift), largest = UInt64(largest)
        return UInt8(min((value * 255 + largest / 2) / largest, 255))
    }
}

/// Run lengths of a BMP: RLE8 and RLE4.
private enum BMPRuns {
    /// The index of each pixel, from top to bottom; 0 where the code says nothing.
    static func decode(_ code: [UInt8], width: Int, height: Int, isNibbles: Bool) -> [UInt8] {
        var indices = [UInt8](repeating: 0, count: width * height)
        var (x, y, next) = (0, 0, 0)
        func put(_ index: UInt8) {
            if x < width && y < height { indices[(height - 1 - y) * width + x] = index }
            x += 1
        }
        while next + 1 < code.count, y < height {
            let (count, value) = (Int(code[next]), code[next + 1])
            next += 2
            if count > 0 {
                for i in 0..<count { put(!isNibbles ? value : i % 2 == 0 ? value >> 4 : value & 15) }
                continue
            }
            switch value {
            case 0: (x, y) = (0, y + 1)
            case 1: return indices
            case 2:
                guard next + 1 < code.count else { return indices }
                (x, y, next) = (x + Int(code[next]), y + Int(code[next + 1]), next + 2)
            default:
                let size = isNibbles ? (Int(value) + 1) / 2 : Int(value)
                guard next + size <= code.count else { return indices }
                for i in 0..<Int(value) {
                    let byte = code[next + (isNibbles ? i / 2 : i)]
                    put(!isNibbles ? byte : i % 2 == 0 ? byte >> 4 : byte & 15)
                }
                next += size + size % 2
            }
        }
        return indices
    }
}
