import BEiTImageIO
import Foundation
import Testing

/// The path of a fixture.
func fixture(_ name: String) throws -> String {
    try #require(Bundle.module.resourceURL).appendingPathComponent("Fixtures/\(name)").path
}

/// A folder for one test's files, removed with the value.
final class ScratchFolder {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "beit-seg-images-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var isEmpty: Bool { (try? FileManager.default.contentsOfDirectory(atPath: path).isEmpty) ?? false }
}

/// The pixels of a NumPy file (format 1.0) of shape (height, width, 3) and type uint8, in C order.
func pixels(npy name: String) throws -> RGBImage {
    let data = try Data(contentsOf: URL(fileURLWithPath: try fixture(name)))
    let size = Int(data[8]) + Int(data[9]) << 8
    let header = try #require(String(bytes: data[10..<10 + size], encoding: .ascii))
    #expect(header.contains("'|u1'") && header.contains("'fortran_order': False"))
    let shape = try #require(header.firstMatch(of: #/\((\d+), (\d+), 3\)/#))
    let (height, width) = (try #require(Int(shape.1)), try #require(Int(shape.2)))
    return RGBImage(width: width, height: height, pixels: Array(data[(10 + size)...]))
}

/// The largest and the mean difference of two images; infinite where their sizes differ.
func difference(_ a: RGBImage, _ b: RGBImage) -> (largest: Double, mean: Double) {
    guard a.width == b.width && a.height == b.height else { return (.infinity, .infinity) }
    let differences = zip(a.pixels, b.pixels).map { abs(Double($0) - Double($1)) }
    return (differences.max() ?? 0, differences.reduce(0, +) / Double(max(differences.count, 1)))
}

/// An image of arbitrary but fixed pixels.
func noise(width: Int, height: Int) -> RGBImage {
    var state: UInt32 = 12345
    let pixels = (0..<3 * width * height).map { _ in
        state = state &* 1_664_525 &+ 1_013_904_223
        return UInt8(state >> 24)
    }
    return RGBImage(width: width, height: height, pixels: pixels)
}
