import Foundation
import Testing

@testable import BEiTImageIO

@Suite struct RowResizerTests {
    private func noise(_ width: Int, _ height: Int) -> RGBImage {
        var state: UInt32 = 9
        return RGBImage(
            width: width, height: height,
            pixels: (0..<3 * width * height).map { _ in
                state = state &* 1_664_525 &+ 1_013_904_223
                return UInt8(state >> 24)
            })
    }

    /// Shrunk, enlarged, and both; the passes in either order; rows in pieces of any size.
    @Test(
        arguments: [
            (31, 47), (64, 17), (300, 90), (64, 90), (31, 90), (1, 1), (200, 3), (7, 400), (64, 91), (63, 5),
        ])
    func rowsGiveTheBytesOfTheWhole(_ width: Int, _ height: Int) {
        let image = noise(64, 90)
        for filter in ResizeFilter.allCases {
            let wanted = image.resized(width: width, height: height, filter: filter)
            for piece in [1, 7, 90] {
                var resizer = RowResizer(width: 64, height: 90, toWidth: width, height: height, filter: filter)
                var found: [UInt8] = []
                for start in stride(from: 0, to: 90, by: piece) {
                    let rows = start..<min(90, start + piece)
                    found += resizer.add(Array(image.pixels[3 * 64 * rows.lowerBound..<3 * 64 * rows.upperBound]))
                }
                let same = found == wanted.pixels
                #expect(same, "\(filter), pieces of \(piece)")
            }
        }
    }

    @Test func shrunkRowsAreThoseOfTheDecodedImage() throws {
        let path = NSTemporaryDirectory() + "beit-seg-" + UUID().uuidString + ".jpg"
        defer { unlink(path) }
        try Data(try encodeJPEG(noise(403, 250))).write(to: URL(fileURLWithPath: path))
        for side in [250, 100, 60, 31] {
            let whole = try decodeImage(path, shrinkingTo: side)
            let rows = try ImageRows(path, shrinkingTo: side)
            #expect(rows.width == whole.width && rows.height == whole.height)
            let same = try rows.read(rows.height) == whole.pixels
            #expect(same, "\(side)")
        }
    }
}
