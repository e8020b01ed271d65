import Foundation
import Testing

@testable import BEiTImageIO

/// An image that other programs wrote, and what they read in it (`scripts/make-codec-fixtures.py`).
struct GridImage: Decodable, Sendable, CustomTestStringConvertible {
    let file: String
    let hasSamples: Bool
    let tolerance: Int
    let readers: [String]
    var page: Int?

    var testDescription: String { file + (page.map { ", page \($0)" } ?? "") }
    private var stem: String { file + (page.map { ".\($0)" } ?? "") }

    /// `BEIT_SEG_CODECS` names a folder with more of them than the tests have.
    static let folder: String = {
        if let folder = ProcessInfo.processInfo.environment["BEIT_SEG_CODECS"] { return folder }
        return (try? fixture("codecs")) ?? ""
    }()

    /// Those of the formats of this build.
    static func all() throws -> [GridImage] {
        let data = try Data(contentsOf: URL(fileURLWithPath: folder + "/manifest.json"))
        return try JSONDecoder().decode([GridImage].self, from: data)
            .filter { ImageCodec.endings.contains(String($0.file.split(separator: ".").last ?? "")) }
    }

    var path: String { Self.folder + "/" + file }
    var rgb: NumPyArray { get throws { try NumPyArray(Self.folder + "/\(stem).rgb.npy") } }
    var samples: NumPyArray { get throws { try NumPyArray(Self.folder + "/\(stem).npy") } }

    var reading: ImageReading {
        var reading = ImageReading()
        reading.range = .full
        reading.page = page ?? 1
        return reading
    }
}

/// The numbers of a NumPy file (format 1.0), `[H, W, bands]` in C order.
struct NumPyArray {
    let shape: [Int]
    let values: [Double]

    init(_ path: String) throws {
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        let size = Int(data[8]) + Int(data[9]) << 8
        let header = try #require(String(bytes: data[10..<10 + size], encoding: .ascii))
        #expect(header.contains("'fortran_order': False"))
        let shape = try #require(header.firstMatch(of: #/\((\d+), (\d+), (\d+)\)/#))
        self.shape = try [shape.1, shape.2, shape.3].map { try #require(Int($0)) }
        let type = try #require(header.firstMatch(of: #/'descr': '.([uif]\d)'/#)).1
        let bytes = [UInt8](data[(10 + size)...])
        func read<Number>(_ number: Number.Type, _ convert: (Number) -> Double) -> [Double] {
            bytes.withUnsafeBytes { bytes in
                stride(from: 0, to: bytes.count, by: MemoryLayout<Number>.size).map {
                    convert(bytes.loadUnaligned(fromByteOffset: $0, as: Number.self))
                }
            }
        }
        switch type {
        case "u1": values = read(UInt8.self, Double.init)
        case "i1": values = read(Int8.self, Double.init)
        case "u2": values = read(UInt16.self, Double.init)
        case "i2": values = read(Int16.self, Double.init)
        case "u4": values = read(UInt32.self, Double.init)
        case "i4": values = read(Int32.self, Double.init)
        case "f4": values = read(Float.self, Double.init)
        default: values = read(Double.self) { $0 }
        }
    }
}

@Suite struct CodecGridTests {
    @Test func collectionIsWhole() throws {
        let files = try GridImage.all()
        #expect(files.count >= 12)
        #if TIFF
            #expect(files.count { $0.file.hasSuffix(".tif") } >= 50)
        #endif
    }

    @Test(arguments: try GridImage.all()) func pictureIsWhatOthersSee(_ image: GridImage) throws {
        let seen = try decodeImage(image.path, as: image.reading), expected = try image.rgb
        try #require([seen.height, seen.width, 3] == expected.shape)
        let largest = zip(seen.pixels, expected.values).map { abs(Int($0) - Int($1)) }.max() ?? 0
        #expect(largest <= image.tolerance)
        let rows = try ImageRows(image.path, as: image.reading)
        let first = min(3, rows.height)
        #expect(try rows.read(first) + rows.read(rows.height - first) == seen.pixels)
        let header = try imageHeader(image.path, page: image.page ?? 1)
        #expect(header.width == seen.width && header.height == seen.height)
    }

    @Test(arguments: try GridImage.all().filter(\.hasSamples)) func samplesAreWhatOthersRead(_ image: GridImage) throws
    {
        let source = try #require(try openImage(image.path, page: image.page ?? 1).source as? any SampleSource)
        let expected = try image.samples, form = source.form
        try #require([source.height, source.width, form.bands] == expected.shape)
        // Backwards, and some at a time.
        let all = Array((0..<form.bands).reversed())
        for first in stride(from: 0, to: all.count, by: 4) {
            let wanted = Array(all[first..<min(first + 4, all.count)])
            let samples = try samples(of: image, wanted)
            let other = (0..<source.height * source.width).flatMap { pixel in
                wanted.map { expected.values[pixel * form.bands + $0] }
            }
            #expect(samples.count == other.count && zip(samples, other).allSatisfy { $0 == $1 })
        }
    }

    private func samples(of image: GridImage, _ bands: [Int]) throws -> [Double] {
        let source = try #require(try openImage(image.path, page: image.page ?? 1).source as? any SampleSource)
        let delivered = try source.beginSamples(bands), kind = source.form.kind
        let rowBytes = delivered.count * kind.size * source.width
        var bytes = [UInt8](repeating: 0, count: rowBytes * source.height)
        try bytes.withUnsafeMutableBufferPointer {
            try source.read(try #require($0.baseAddress), rowBytes: rowBytes, count: source.height)
        }
        let places = try bands.map { try #require(delivered.firstIndex(of: $0)) }
        return (0..<source.height * source.width).flatMap { pixel in
            places.map { place in
                let at = (pixel * delivered.count + place) * kind.size
                return bytes.withUnsafeBytes { bytes in
                    switch kind {
                    case .uint8: Double(bytes[at])
                    case .uint16: Double(bytes.loadUnaligned(fromByteOffset: at, as: UInt16.self))
                    case .float32: Double(bytes.loadUnaligned(fromByteOffset: at, as: Float.self))
                    case .float64: bytes.loadUnaligned(fromByteOffset: at, as: Double.self)
                    }
                }
            }
        }
    }
}
