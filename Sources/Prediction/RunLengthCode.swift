import BEiTFiles
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
    static func json(_ runs: [(index: Int, counts: [Int])], width: Int, height: Int, _ classes: [LabelClass]) throws
        -> String
    {
        let annotations = runs.map { index, counts in
            Annotation(
                category_id: index, category_name: classes[index].name,
                area: stride(from: 1, to: counts.count, by: 2).reduce(0) { $0 + counts[$1] },
                segmentation: .init(size: [height, width], counts: compressed(counts)))
        }
        return try JSONText.line(annotations) + "\n"
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

/// The runs of a mask down its columns, found while its rows come from top to bottom.
struct ColumnRuns {
    private let width: Int
    private var columns: [[(value: UInt16, length: Int)]]

    init(width: Int) {
        self.width = width
        columns = Array(repeating: [], count: width)
    }

    /// - Parameter rows: whole rows of class indices.
    mutating func add(_ rows: [UInt16]) {
        for row in stride(from: 0, to: rows.count, by: width) {
            for x in 0..<width {
                let value = rows[row + x], last = columns[x].count - 1
                if last >= 0, columns[x][last].value == value {
                    columns[x][last].length += 1
                } else {
                    columns[x].append((value, 1))
                }
            }
        }
    }

    /// For each class that occurs the lengths of runs down one column after another, the first of them outside the class.
    var ofClasses: [(index: Int, counts: [Int])] {
        var found: [UInt16: ClassRuns] = [:]
        var start = 0
        for run in columns.joined() {
            found[run.value, default: ClassRuns()].add(start, run.length)
            start += run.length
        }
        return found.sorted { $0.key < $1.key }.map { index, runs in
            (Int(index), runs.end < start ? runs.counts + [start - runs.end] : runs.counts)
        }
    }

    private struct ClassRuns {
        var counts: [Int] = []
        var end = 0

        mutating func add(_ start: Int, _ length: Int) {
            if start == end, !counts.isEmpty {
                counts[counts.count - 1] += length
            } else {
                counts += [start - end, length]
            }
            end = start + length
        }
    }
}

/// The run-length codes of a mask.
final class RunLengthFile: ResultFile {
    private let path: String
    private let width, height: Int
    private let classes: [LabelClass]
    private var runs: ColumnRuns

    init(_ path: String, width: Int, height: Int, _ classes: [LabelClass]) {
        (self.path, self.width, self.height, self.classes) = (path, width, height, classes)
        runs = ColumnRuns(width: width)
    }

    func write(_ strip: SegmentedStrip, _ photo: PictureStrip?) { runs.add(strip.classes) }

    func finish() throws {
        try AtomicFile.write(
            RunLengthCode.json(runs.ofClasses, width: width, height: height, classes), to: path)
    }
}
