import BEiTFiles
import BEiTImageIO
import Foundation
import Testing

@Suite struct JPEGWriterTests {
    let scratch: ScratchFolder

    init() throws { scratch = try ScratchFolder() }

    /// A slope in each colour, and a sharp edge between two saturated ones.
    private var picture: RGBImage {
        let (width, height) = (45, 31)
        let pixels = (0..<width * height).flatMap { place -> [UInt8] in
            let (x, y) = (place % width, place / width)
            if x >= 29 { return y < 13 ? [230, 20, 30] : [20, 40, 220] }
            return [UInt8(5 * x), UInt8(7 * y), UInt8(120 + x - y)]
        }
        return RGBImage(width: width, height: height, pixels: pixels)
    }

    @Test(arguments: [(60, 14.0), (85, 8), (95, 4)]) func pictureComesBack(_ quality: Int, _ tolerance: Double) throws {
        let path = scratch.path + "/picture.jpg"
        try AtomicFile.write(try encodeJPEG(picture, quality: quality), to: path)
        #expect(try imageHeader(path).codec == .jpeg)
        let read = try decodeImage(path)
        #expect(read.width == picture.width && read.height == picture.height)
        let squares = zip(read.pixels, picture.pixels).map { pow(Double($0) - Double($1), 2) }
        let error = (squares.reduce(0, +) / Double(squares.count)).squareRoot()
        #expect(error < tolerance, "root mean square \(error)")
    }

    @Test func coloursAreNotSubsampled() throws {
        // SOF0: FF C0, length (2), precision (1), height (2), width (2), components (1), then id, sampling, table each.
        let bytes = try encodeJPEG(picture)
        let frame = try #require(bytes.indices.dropLast(20).first { bytes[$0] == 0xFF && bytes[$0 + 1] == 0xC0 })
        #expect([11, 14, 17].map { bytes[frame + $0] } == [0x11, 0x11, 0x11])
    }

    @Test func sameImageSameBytes() throws { #expect(try encodeJPEG(picture) == encodeJPEG(picture)) }

    @Test func whatJPEGCannotHoldIsAnError() {
        let wide = RGBImage(width: 70_000, height: 1, pixels: [UInt8](repeating: 9, count: 210_000))
        #expect(throws: FileError.self) { try encodeJPEG(wide) }
    }
}
