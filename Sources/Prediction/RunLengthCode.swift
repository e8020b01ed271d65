import BEiTFiles
import BEiTImageIO

/// The pixels of a class in an image, with the keys of COCO's results format.
struct ClassAnnotation: Codable {
    struct Code: Codable {
        /// Height and width.
        var size: [Int]
        var counts: String
    }
    var categoryID: Int
    var categoryName: String
    /// Pixels.
    var area: Int
    /// x, y, width, height.
    var box: [Int]?
    /// The mean probability of the class in its pixels, 0…1.
    var score: Double?
    var segmentation: Code

    private enum CodingKeys: String, CodingKey {
        case area, score, segmentation
        case categoryID = "category_id"
        case categoryName = "category_name"
        case box = "bbox"
    }
}

/// COCO's compressed run-length code of binary masks (`rleToString` of the COCO API's `common/maskApi.c`).
enum RunLengthCode {
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

    /// For each class that occurs the lengths of runs down one column after another, the first of them outside the class,
    /// and the box around it: x, y, width, height.
    var ofClasses: [(index: Int, counts: [Int], box: [Int])] {
        var found: [UInt16: ClassRuns] = [:]
        var start = 0
        for (x, column) in columns.enumerated() {
            var y = 0
            for run in column {
                found[run.value, default: ClassRuns()].add(start, run.length, x, y)
                start += run.length
                y += run.length
            }
        }
        return found.sorted { $0.key < $1.key }.map { index, runs in
            (Int(index), runs.end < start ? runs.counts + [start - runs.end] : runs.counts, runs.box)
        }
    }

    private struct ClassRuns {
        var counts: [Int] = []
        var end = 0
        private var left = Int.max, right = 0, top = Int.max, bottom = 0

        var box: [Int] { [left, top, right - left, bottom - top] }

        mutating func add(_ start: Int, _ length: Int, _ x: Int, _ y: Int) {
            (left, right) = (min(left, x), max(right, x + 1))
            (top, bottom) = (min(top, y), max(bottom, y + length))
            if start == end, !counts.isEmpty {
                counts[counts.count - 1] += length
            } else {
                counts += [start - end, length]
            }
            end = start + length
        }
    }
}

/// The run-length codes of a mask: a JSON list with an element for each class that occurs, by index.
final class RunLengthFile: ResultFile {
    private let path: String
    private let width, height: Int
    private let classes: [LabelClass]
    private var runs: ColumnRuns
    /// Of the probabilities of each class in its pixels.
    private var sums: [Double]

    init(_ path: String, width: Int, height: Int, _ classes: [LabelClass]) {
        (self.path, self.width, self.height, self.classes) = (path, width, height, classes)
        runs = ColumnRuns(width: width)
        sums = [Double](repeating: 0, count: classes.count + 1)
    }

    func write(_ strip: SegmentedStrip, _ photo: PictureStrip?) {
        runs.add(strip.classes)
        sums.withUnsafeMutableBufferPointer { sums in
            for (value, confidence) in zip(strip.classes, strip.confidence) { sums[Int(value)] += Double(confidence) }
        }
    }

    func finish() throws { try AtomicFile.write(try JSONText.line(annotations) + "\n", to: path) }

    private var annotations: [ClassAnnotation] {
        runs.ofClasses.filter { $0.index < classes.count }.map { index, counts, box in
            let area = stride(from: 1, to: counts.count, by: 2).reduce(0) { $0 + counts[$1] }
            return ClassAnnotation(
                categoryID: index, categoryName: classes[index].name, area: area, box: box,
                score: (sums[index] / Double(area) * 1e6).rounded() / 1e6,
                segmentation: .init(size: [height, width], counts: RunLengthCode.compressed(counts)))
        }
    }
}
