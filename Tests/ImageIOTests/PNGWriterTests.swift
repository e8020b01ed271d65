import BEiTFiles
import BEiTImageIO
import Foundation
import Testing

@Suite struct PNGWriterTests {
    let scratch: ScratchFolder

    init() throws { scratch = try ScratchFolder() }

    @Test(arguments: [0, 1, 6, 9]) func pictureComesBack(_ compression: Int) throws {
        let (image, path) = (noise(width: 31, height: 17), scratch.path + "/new/folder/picture.png")
        try writePNG(image, to: path, compression: compression)
        #expect(try decodeImage(path) == image)
    }

    @Test func encodedPictureIsAFile() throws {
        let (image, path) = (noise(width: 13, height: 29), scratch.path + "/encoded.png")
        try AtomicFile.write(try encodePNG(image), to: path)
        #expect(try decodeImage(path) == image)
    }

    @Test(arguments: [nil, 3, 200, 256, 300], [UInt16(2), 255, 256, 65535])
    func maskComesBack(_ colors: Int?, _ highest: UInt16) throws {
        let path = scratch.path + "/mask.png"
        let values = (0..<35).map { $0 % 5 == 0 ? highest : UInt16($0 % 3) }
        let mask = IndexMask(width: 5, height: 7, values: values, palette: colors.map { ColorMap.colors($0) })
        try writePNG(mask, to: path)
        let read = try decodeMask(path)
        #expect(read.width == 5 && read.height == 7 && read.values == values)
        let isWide = highest > 255 || colors ?? 0 > 256
        #expect(read.palette == (isWide ? nil : colors.map { ColorMap.colors(max($0, Int(highest) + 1)) }))
    }

    @Test func greyComesBack() throws {
        let (grey, path) = ((0..<21).map { UInt8($0 * 12) }, scratch.path + "/grey.png")
        try writePNG(grey: grey, width: 7, height: 3, to: path)
        #expect(try decodeMask(path) == IndexMask(width: 7, height: 3, values: grey.map { UInt16($0) }))
        #expect(try decodeImage(path).pixels == grey.flatMap { [$0, $0, $0] })
    }

    @Test func stripsAppearAtTheEnd() throws {
        let (image, path) = (noise(width: 11, height: 9), scratch.path + "/strips.png")
        let writer = try PNGWriter(path, width: 11, height: 9, kind: .rgb)
        try image.pixels.withUnsafeBytes { bytes in
            try writer.write(rows: UnsafeRawBufferPointer(rebasing: bytes[..<(33 * 4)]))
            #expect(!FileManager.default.fileExists(atPath: path))
            try writer.write(rows: UnsafeRawBufferPointer(rebasing: bytes[(33 * 4)...]))
        }
        try writer.finish()
        #expect(try decodeImage(path) == image)
    }

    @Test func nothingStaysWithoutItsEnd() throws {
        do {
            let writer = try PNGWriter(scratch.path + "/part.png", width: 2, height: 2, kind: .grey8)
            try [UInt8](repeating: 7, count: 2).withUnsafeBytes { try writer.write(rows: $0) }
            #expect(throws: FileError.self) { try writer.finish() }
        }
        #expect(scratch.isEmpty)
    }

    @Test func unwritablePathIsNamed() throws {
        let image = noise(width: 2, height: 2)
        try writePNG(image, to: scratch.path + "/file")
        #expect(throws: FileError.self) { try writePNG(image, to: scratch.path + "/file/below.png") }
    }
}
