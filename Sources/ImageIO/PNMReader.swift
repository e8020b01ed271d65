import BEiTFiles
import CBEiTImageShim

/// Decodes the formats of Netpbm: PBM, PGM and PPM, as text and binary, and PAM.
final class PNMReader: SampleSource {
    private let file: InputFile
    private let layout: PNMHeader
    private var place: Int
    private var text = PNMText()

    /// Reads the header, and refuses a file that is too short for its pixels.
    init(_ file: InputFile) throws {
        let head = try file.bytes(at: 0, count: min(file.size, 1 << 16))
        guard let layout = PNMHeader(head) else {
            throw ImageError(path: file.path, .undecodable("its header makes no sense"))
        }
        (self.file, self.layout, place) = (file, layout, layout.end)
        guard layout.leastBytes <= file.size - layout.end else {
            throw ImageError(path: file.path, .undecodable("the file ends too early"))
        }
    }

    var width: Int { layout.width }
    var height: Int { layout.height }

    var form: SampleForm {
        let color: SampleForm.Color = layout.isBitmap ? .inverted : layout.colors >= 3 ? .rgb : .grey
        return SampleForm(
            bands: layout.samples, alphas: layout.alphas, kind: layout.maximum > 255 ? .uint16 : .uint8, color: color,
            full: 0...Double(layout.maximum))
    }

    func beginSamples(_ bands: [Int]) -> [Int] { Array(0..<layout.samples) }

    func read(_ rows: UnsafeMutablePointer<UInt8>, rowBytes: Int, count: Int) throws {
        for row in 0..<count {
            let target = UnsafeMutableRawPointer(rows + row * rowBytes)
            if layout.isText { try readText(target) } else { try readBinary(target) }
        }
    }

    private var samplesPerRow: Int { layout.width * layout.samples }

    private func readBinary(_ row: UnsafeMutableRawPointer) throws {
        if layout.isBitmap {
            let bytes = try file.bytes(at: place, count: layout.rowBytes)
            for x in 0..<layout.width {
                row.storeBytes(of: bytes[x / 8] >> UInt8(7 - x % 8) & 1, toByteOffset: x, as: UInt8.self)
            }
        } else {
            try file.read(UnsafeMutableRawBufferPointer(start: row, count: layout.rowBytes), at: place)
            if layout.maximum > 255 {
                let samples = row.assumingMemoryBound(to: UInt16.self)
                for x in 0..<samplesPerRow { samples[x] = UInt16(bigEndian: samples[x]) }
            }
        }
        place += layout.rowBytes
    }

    private func readText(_ row: UnsafeMutableRawPointer) throws {
        for x in 0..<samplesPerRow {
            guard let value = try text.number(from: file, at: &place, isDigit: layout.isBitmap) else {
                throw ImageError(
                    path: file.path, .undecodable("it holds something else than numbers, or ends too early"))
            }
            let sample = UInt16(min(value, layout.maximum))
            if layout.maximum > 255 {
                row.storeBytes(of: sample, toByteOffset: 2 * x, as: UInt16.self)
            } else {
                row.storeBytes(of: UInt8(sample), toByteOffset: x, as: UInt8.self)
            }
        }
    }
}

/// Numbers in text, read some kilobytes at a time.
private struct PNMText {
    private var buffer: [UInt8] = []
    private var next = 0

    private mutating func byte(from file: InputFile, at place: inout Int) throws -> UInt8? {
        if next == buffer.count {
            buffer = try file.bytes(at: place, count: min(1 << 16, file.size - place))
            (next, place) = (0, place + buffer.count)
            if buffer.isEmpty { return nil }
        }
        next += 1
        return buffer[next - 1]
    }

    /// The next number; nil where there is none.
    mutating func number(from file: InputFile, at place: inout Int, isDigit: Bool) throws -> Int? {
        var value: Int?
        var isComment = false
        while let byte = try byte(from: file, at: &place) {
            if isComment {
                isComment = byte != UInt8(ascii: "\n")
            } else if (0x30...0x39).contains(byte) {
                value = min((value ?? 0) * 10 + Int(byte - 0x30), 1 << 20)
                if isDigit { return value }
            } else if value != nil {
                return value
            } else if byte == UInt8(ascii: "#") {
                isComment = true
            } else if !PNMHeader.isBlank(byte) {
                return nil
            }
        }
        return value
    }
}

/// What stands before the pixels.
struct PNMHeader {
    let width, height: Int
    /// Of a pixel, and those of them that are colours.
    let samples, colors: Int
    let maximum: Int
    let isText: Bool
    /// Of a pixel a bit: 1 is black.
    let isBitmap: Bool
    /// Where the pixels begin.
    let end: Int

    var alphas: Int { samples - colors }

    /// Of a row in a binary file.
    var rowBytes: Int { isBitmap ? (width + 7) / 8 : width * samples * (maximum > 255 ? 2 : 1) }

    /// What the pixels take at least: in text a digit each, and a blank between two numbers.
    var leastBytes: Int { isText ? width * height * samples * (isBitmap ? 1 : 2) - 1 : rowBytes * height }

    static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (9...13).contains(byte) }

    /// Nil where it makes no sense.
    init?(_ head: [UInt8]) {
        guard head.count > 3, head[0] == UInt8(ascii: "P"), (0x31...0x37).contains(head[1]) else { return nil }
        let kind = Int(head[1] - 0x30)
        var words = PNMWords(head, from: 2)
        if kind == 7 {
            guard let fields = words.fields(), let depth = fields["DEPTH"].flatMap({ Int($0) }) else { return nil }
            let number = { (name: String) in fields[name].flatMap { Int($0) } ?? 0 }
            (width, height, maximum, samples) = (number("WIDTH"), number("HEIGHT"), number("MAXVAL"), depth)
            colors = fields["TUPLTYPE"]?.hasSuffix("_ALPHA") == true ? depth - 1 : depth
            (isText, isBitmap) = (false, false)
        } else {
            isBitmap = kind == 1 || kind == 4
            isText = kind <= 3
            guard let width = words.number(), let height = words.number() else { return nil }
            guard let maximum = isBitmap ? 1 : words.number() else { return nil }
            (self.width, self.height, self.maximum) = (width, height, maximum)
            samples = kind == 3 || kind == 6 ? 3 : 1
            colors = samples
        }
        guard let end = words.end, (1...beitseg_maximum_side).contains(width),
            (1...beitseg_maximum_side).contains(height),
            (1...65535).contains(maximum), (1...64).contains(samples), colors >= 1
        else { return nil }
        self.end = end
    }
}

/// The words of a header.
private struct PNMWords {
    private let bytes: [UInt8]
    private var next: Int

    init(_ bytes: [UInt8], from start: Int) { (self.bytes, next) = (bytes, start) }

    /// Where the pixels begin: behind the one blank after the last word; nil where the header does not end.
    var end: Int? { next <= bytes.count ? next : nil }

    /// The next word, and past the blank behind it.
    private mutating func word() -> String? {
        while next < bytes.count, PNMHeader.isBlank(bytes[next]) || bytes[next] == UInt8(ascii: "#") {
            if bytes[next] == UInt8(ascii: "#") {
                while next < bytes.count, bytes[next] != 0x0A { next += 1 }
            } else {
                next += 1
            }
        }
        let start = next
        while next < bytes.count, !PNMHeader.isBlank(bytes[next]) { next += 1 }
        guard next > start, next < bytes.count else { return nil }
        next += 1
        return String(decoding: bytes[start..<next - 1], as: UTF8.self)
    }

    mutating func number() -> Int? { word().flatMap { $0.count <= 10 ? Int($0) : nil } }

    /// The fields of a PAM, up to ENDHDR.
    mutating func fields() -> [String: String]? {
        var fields: [String: String] = [:]
        for _ in 0..<1000 {
            guard let name = word() else { return nil }
            if name == "ENDHDR" { return fields }
            fields[name] = word()
        }
        return nil
    }
}
