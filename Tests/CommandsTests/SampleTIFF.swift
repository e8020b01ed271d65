import BEiTFiles
import BEiTTensorCore
import Foundation

/// TIFFs of 16 bits a sample, made byte by byte: uncompressed, a strip a page, bands without a colour.
struct SampleTIFF {
    struct Page {
        var width, height: Int
        var bands = 1
        /// Pixel by pixel, its bands side by side.
        var samples: [UInt16]
    }

    var pages: [Page]

    func write(to path: String) throws {
        var file = Data([0x49, 0x49, 42, 0, 0, 0, 0, 0])  // "II"
        var link = 4  // where the place of the next directory stands
        for page in pages {
            let strip = file.count
            for sample in page.samples { file.append(number: UInt64(sample), bytes: 2) }
            let bits = file.count
            for _ in 0..<page.bands { file.append(number: 16, bytes: 2) }
            for _ in 1..<max(2, page.bands) { file.append(number: 0, bytes: 2) }  // extra samples of no meaning
            let extras = bits + 2 * page.bands
            // Up to two numbers of 16 bits stand in the entry itself.
            func inPlace(_ count: Int, _ value: Int, _ place: Int) -> Int {
                count == 1 ? value : count == 2 ? value << 16 | value : place
            }
            var entries: [(tag: Int, type: Int, count: Int, value: Int)] = [
                (256, 4, 1, page.width), (257, 4, 1, page.height),
                (258, 3, page.bands, inPlace(page.bands, 16, bits)), (259, 3, 1, 1), (262, 3, 1, 1),
                (273, 4, 1, strip), (277, 3, 1, page.bands), (278, 4, 1, page.height),
                (279, 4, 1, 2 * page.samples.count), (284, 3, 1, 1),
            ]
            if page.bands > 1 { entries.append((338, 3, page.bands - 1, inPlace(page.bands - 1, 0, extras))) }
            file.replaceSubrange(link..<link + 4, with: Data(number: UInt64(file.count), bytes: 4))
            file.append(number: UInt64(entries.count), bytes: 2)
            for entry in entries {
                for (value, bytes) in [(entry.tag, 2), (entry.type, 2), (entry.count, 4), (entry.value, 4)] {
                    file.append(number: UInt64(value), bytes: bytes)
                }
            }
            link = file.count
            file.append(number: 0, bytes: 4)
        }
        try AtomicFile.write([UInt8](file), to: path)
    }
}

extension SampleTIFF.Page {
    /// Blocks of grey, as ``SmallModel/picture(_:_:seed:)`` has them, from 0 to `white`.
    static func grey(_ width: Int, _ height: Int, seed: UInt64, white: Int = 4095) -> Self {
        let picture = SmallModel.picture(width, height, seed: seed)
        return Self(
            width: width, height: height,
            samples: (0..<width * height).map { UInt16(Int(picture.pixels[3 * $0]) * white / 255) })
    }
}

extension Data {
    fileprivate init(number: UInt64, bytes: Int) {
        self.init((0..<bytes).map { UInt8(truncatingIfNeeded: number >> (8 * UInt64($0))) })
    }

    fileprivate mutating func append(number: UInt64, bytes: Int) { append(Data(number: number, bytes: bytes)) }
}
