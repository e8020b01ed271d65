import BEiTImageIO
import Foundation

/// A folder of generated photos and masks that goes away with the test.
final class GeneratedSet {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "beit-seg-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ text: String, to name: String) throws {
        let url = URL(fileURLWithPath: path + "/" + name)
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: url)
    }

    func photo(_ name: String, width: Int = 7, height: Int = 5) throws {
        let pixels = (0..<width * height * 3).map { UInt8(truncatingIfNeeded: $0 * 37) }
        try writePNG(RGBImage(width: width, height: height, pixels: pixels), to: path + "/" + name)
    }

    func mask(_ name: String, _ values: [UInt16], width: Int = 7, height: Int = 5) throws {
        let all = (0..<width * height).map { values[$0 % values.count] }
        try writePNG(IndexMask(width: width, height: height, values: all), to: path + "/" + name)
    }

    /// A set of the layout `folders` with one pair in each split.
    static func folders(classes: String = "sky 0 0 255\ntall grass 0 255 0\n", _ values: [UInt16] = [0, 1, 255]) throws
        -> GeneratedSet
    {
        let set = try GeneratedSet()
        try set.write(classes, to: "classes.txt")
        for split in ["train", "val"] {
            try set.photo("images/\(split)/a.png")
            try set.mask("masks/\(split)/a.png", values)
        }
        return set
    }
}
