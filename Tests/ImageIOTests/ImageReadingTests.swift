import Foundation
import Testing

@testable import BEiTImageIO

/// How samples become 8-bit RGB, beyond what `CodecGridTests` compare with other programs.
@Suite struct ImageReadingTests {
    /// A PGM of so many bits, whose samples are `values`.
    private func grey(_ values: [UInt16], maximum: Int, _ scratch: ScratchFolder) throws -> String {
        let path = scratch.path + "/grey.pgm"
        var data = Data("P5 \(values.count) 1 \(maximum)\n".utf8)
        for value in values { data += maximum > 255 ? [UInt8(value >> 8), UInt8(value & 255)] : [UInt8(value)] }
        try data.write(to: URL(fileURLWithPath: path))
        return path
    }

    private func bytes(_ path: String, _ range: ImageReading.Range, bands: [Int]? = nil) throws -> [UInt8] {
        var reading = ImageReading()
        (reading.range, reading.bands) = (range, bands)
        let image = try decodeImage(path, as: reading)
        return stride(from: 0, to: image.pixels.count, by: 3).map { image.pixels[$0] }
    }

    @Test func rangesOfWholeNumbers() throws {
        let scratch = try ScratchFolder()
        let path = try grey([0, 200, 400, 1000], maximum: 1000, scratch)
        #expect(try bytes(path, .auto) == [0, 51, 102, 255])  // a PNM says what white is
        #expect(try bytes(path, .full) == [0, 51, 102, 255])
        #expect(try bytes(path, .between(100, 1000)) == [0, 28, 85, 255])
        #expect(try bytes(path, .percentile) == [0, 51, 102, 255])
    }

    /// By nearest rank: of 100 values the 2nd and the 98th.
    @Test func percentilesLeaveTheEndsOut() throws {
        let scratch = try ScratchFolder()
        var values = (0..<100).map { UInt16(1000 + 10 * $0) }
        (values[0], values[99]) = (0, 65535)
        let seen = try bytes(try grey(values.reversed(), maximum: 65535, scratch), .percentile)
        #expect(seen.reversed().prefix(3) == [0, 0, 3] && seen.reversed().suffix(3) == [255, 255, 255])
        #expect(seen.reversed()[50] == UInt8((Double(1500 - 1010) / Double(1970 - 1010) * 255).rounded()))
        let flat = try bytes(try grey([7, 7, 7], maximum: 65535, scratch), .percentile)
        #expect(flat == [0, 0, 0])
    }

    @Test(arguments: ["rgb.ppm", "rgb.bmp"]) func bandsAreChosen(_ file: String) throws {
        let path = try fixture("codecs/" + file), image = try decodeImage(path)
        for bands in [[3, 2, 1], [2], [1, 1, 3]] {
            var reading = ImageReading()
            reading.bands = bands
            let three = bands.count == 1 ? [bands[0], bands[0], bands[0]] : bands
            let expected = (0..<image.width * image.height).flatMap { pixel in
                three.map { image.pixels[3 * pixel + $0 - 1] }
            }
            #expect(try decodeImage(path, as: reading).pixels == expected)
        }
        var reading = ImageReading()
        reading.bands = [4]
        #expect(throws: ImageError(path: path, .noBand(4, of: 3))) { try decodeImage(path, as: reading) }
    }

    /// A JPEG's and an interlaced PNG's bands as well.
    @Test(arguments: ["photo/photo.jpg", "bad-inputs/images/rgb8_interlaced.png", "bad-inputs/images/rgba16.png"])
    func bandsOfOtherDecoders(_ file: String) throws {
        let path = try fixture(file), image = try decodeImage(path)
        var reading = ImageReading()
        reading.bands = [2]
        let greens = (0..<image.width * image.height).flatMap { [UInt8](repeating: image.pixels[3 * $0 + 1], count: 3) }
        #expect(try decodeImage(path, as: reading).pixels == greens)
    }

    @Test(arguments: ["auto", "full", "percentile", "0,4095", "-0.5,1e+300"]) func rangesAreTexts(_ text: String) throws
    {
        let range = try #require(ImageReading.Range(rawValue: text))
        #expect(range.problem == nil && range.rawValue == text)
        #expect(try JSONDecoder().decode([ImageReading.Range].self, from: JSONEncoder().encode([range])) == [range])
    }

    #if TIFF
        /// What has no white is seen by its percentiles, and GDAL's no-data value is black.
        @Test func deepTIFFsAreStretched() throws {
            let image = try #require(
                try GridImage.all().first { $0.file.hasPrefix("gdal-uint16-") || $0.file.hasPrefix("gdal-float32-") })
            let samples = try image.samples, seen = try decodeImage(image.path), bands = samples.shape[2]
            for output in 0..<3 {
                let band = bands >= 3 ? output : 0
                let values = stride(from: band, to: samples.values.count, by: bands).map { samples.values[$0] }
                let sorted = values.sorted(), count = Double(values.count)
                let low = sorted[Int((count * 0.02).rounded(.up)) - 1],
                    high = sorted[Int((count * 0.98).rounded(.up)) - 1]
                for (pixel, value) in values.enumerated() {
                    let share = min(max((value - low) / (high - low), 0), 1)
                    #expect(abs(Double(seen.pixels[3 * pixel + output]) - share * 255) <= 0.51)
                }
            }
        }

        @Test func pagesAreChosen() throws {
            let path = try fixture("codecs/pages.tif")
            #expect(try imageHeader(path, page: 3).height == 7)
            #expect(try imageHeader(path, page: 4).height == 5)  // a reduced copy lies between
            let error = #expect(throws: ImageError.self) { try imageHeader(path, page: 5) }
            #expect(error?.reason == .noPage(5, of: 4))
            #expect(error?.description.contains("it has no page 5, only 4") == true)
            #expect(try imagePages(path) == 4)
            let single = try fixture("codecs/rgb.bmp")
            #expect(try imagePages(single) == 1)
            #expect(throws: ImageError(path: single, .noPage(2, of: 1))) { try imageHeader(single, page: 2) }
        }

        @Test func masksMayBeTIFFs() throws {
            let mask = try decodeMask(try fixture("codecs/palette.tif"))
            #expect(mask.palette != nil && mask.values.contains { $0 > 3 })
            for image in try GridImage.all() where image.file.contains("jpeg") || image.file.contains("float") {
                #expect(throws: ImageError.self) { try decodeMask(image.path) }
            }
        }
    #endif
}
