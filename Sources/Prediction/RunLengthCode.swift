import BEiTCheckpoints
import BEiTFiles
import Foundation
import BEiTImageIO

/// COCO's compressed run-length code of binary masks (`rleToString` of the COCO API's `common/maskApi.c`).
enum RunLengthCode {
    /// An annotation of a class, with the keys of COCO's results format.
    private struct Annotation: Encodable {
        struct Code: Encodable {
            /// Height and width.
            var size: [Int]
            var counts: String
        }
        var category_id: Int
        var category_name: String
        /// Pixels.
        var area: Int
        var segmentation: Code
    }

    /// A JSON list with an element for each class that occurs, by index.
    static func json(_ mask: IndexMask, _ classes: [LabelClass]) throws -> String {
        let annotations = runs(mask).map { index, counts in
            Annotation(
                category_id: index, category_name: classes[index].name,
                area: stride(from: 1, to: counts.count, by: 2).reduce(0) { $0 + counts[$1] },
                segmentation: .init(size: [mask.height, mask.width], counts: compressed(counts)))
        }
        return try JSONText.line(annotations) + "\n"
    }

    /// For each class that occurs the lengths of runs down the columns, the first of them outside the class.
    static func runs(_ mask: IndexMask) -> [(index: Int, counts: [Int])] {
        var ends: [UInt16: (counts: [Int], end: Int)] = [:]
        let pixels = mask.width * mask.height
        var start = 0
        let value = { (place: Int) in mask.values[place % mask.height * mask.width + place / mask.height] }
        while start < pixels {
            let index = value(start)
            var end = start + 1
            while end < pixels, value(end) == index { end += 1 }
            ends[index, default: ([], 0)].counts += [start - (ends[index]?.end ?? 0), end - start]
            ends[index]?.end = end
            start = end
        }
        return ends.sorted { $0.key < $1.key }.map { index, runs in
            (Int(index), runs.end < pixels ? runs.counts + [pixels - runs.end] : runs.counts)
        }
    }

    /// Six bits a character: five of the number, lowest first, and whether more follow. From the third on, numbers are
    /// differences from the one before the last.
    static func compressed(_ counts: [Int]) -> String {
        var characters: [UInt8] = []
        for (place, count) in counts.enumerated() {
            var rest = place > 2 ? count - counts[place - 2] : count
            var more = true
            while more {
                let bits = rest & 0x1F
                rest >>= 5
                more = bits & 0x10 != 0 ? rest != -1 : rest != 0
                characters.append(UInt8(bits | (more ? 0x20 : 0)) + 48)
            }
        }
        return String(decoding: characters, as: UTF8.self)
    }
}
