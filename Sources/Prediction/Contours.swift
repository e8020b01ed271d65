/// Leaves of each region of a mask the pixels near its border, while rows come from top to bottom. The border of the image is
/// none.
struct Contours {
    private let width, height: Int
    /// How far from a pixel of another class a pixel may be, in columns or rows.
    private let reach: Int
    /// What pixels inside regions get.
    private let none: UInt16
    /// The rows that are still needed; the first is row ``first``.
    private var rows: [Row] = []
    private var first = 0
    /// The row that is to be finished next.
    private var next = 0

    private struct Row {
        let classes: [UInt16]
        let photo: [UInt8]
        /// The class of a pixel where it is that of all pixels of the row within reach; -1 elsewhere.
        let even: [Int32]
    }

    /// - Parameter none: the index that stands for no class.
    init(width: Int, height: Int, none: Int) {
        (self.width, self.height, self.none) = (width, height, UInt16(truncatingIfNeeded: none))
        reach = min(6, max(2, min(width, height) / 250))
    }

    /// - Parameters:
    ///   - classes: whole rows.
    ///   - photo: their pixels, which wait with them.
    /// - Returns: the rows that are finished by these.
    mutating func add(_ classes: [UInt16], _ photo: ArraySlice<UInt8>) -> (classes: [UInt16], photo: [UInt8]) {
        for start in stride(from: 0, to: classes.count, by: width) {
            let row = Array(classes[start..<start + width])
            let pixels = photo[photo.startIndex + 3 * start..<photo.startIndex + 3 * (start + width)]
            rows.append(Row(classes: row, photo: Array(pixels), even: even(row)))
        }
        return finish(upTo: min(height, first + rows.count) - reach)
    }

    /// The last rows.
    mutating func finish() -> (classes: [UInt16], photo: [UInt8]) { finish(upTo: first + rows.count) }

    private mutating func finish(upTo end: Int) -> (classes: [UInt16], photo: [UInt8]) {
        var result: (classes: [UInt16], photo: [UInt8]) = ([], [])
        while next < end {
            let around = max(first, next - reach)...min(first + rows.count - 1, next + reach)
            let row = rows[next - first]
            // Inside is where all rows within reach are even, and of one class.
            var isInside = [Bool](repeating: true, count: width)
            for other in around {
                let even = rows[other - first].even
                for x in 0..<width where even[x] != Int32(row.classes[x]) { isInside[x] = false }
            }
            result.classes += zip(row.classes, isInside).map { $1 ? none : $0 }
            result.photo += row.photo
            next += 1
            let gone = max(0, next - reach - first)
            rows.removeFirst(gone)
            first += gone
        }
        return result
    }

    private func even(_ row: [UInt16]) -> [Int32] {
        var even = [Int32](repeating: -1, count: width)
        var start = 0
        while start < width {
            var end = start + 1
            while end < width, row[end] == row[start] { end += 1 }
            let inside = (start == 0 ? 0 : start + reach, end == width ? width : end - reach)
            if inside.0 < inside.1 { for x in inside.0..<inside.1 { even[x] = Int32(row[start]) } }
            start = end
        }
        return even
    }
}
