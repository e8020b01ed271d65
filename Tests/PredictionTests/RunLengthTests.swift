import BEiTTensorCore
import Testing

@testable import BEiTPrediction

@Suite struct RunLengthTests {
    @Test func runsGoDownTheColumns() {
        var columns = ColumnRuns(width: 3)
        columns.add([1, 0, 0])
        columns.add([1, 1, 0])
        let runs = columns.ofClasses
        #expect(runs.map(\.index) == [0, 1])
        #expect(runs.map(\.counts) == [[2, 1, 1, 2], [0, 2, 1, 1, 2]])
    }

    /// Numbers through COCO's own decoder (`rleFrString` in `maskApi.c`), rewritten here.
    @Test func codesDecode() {
        var generator = Philox(seed: 4)
        let values = (0..<35 * 53).map { UInt16($0 / 200 % 3 == 0 ? 1 : Int(generator.next() % 40 == 0 ? 2 : 0)) }
        var columns = ColumnRuns(width: 53)
        for start in stride(from: 0, to: values.count, by: 53 * 8) {
            columns.add(Array(values[start...].prefix(53 * 8)))
        }
        for (_, counts, _) in columns.ofClasses {
            #expect(decode(RunLengthCode.compressed(counts)) == counts)
            #expect(counts.reduce(0, +) == 35 * 53)
        }
        #expect(RunLengthCode.compressed([0, 31, 1_000_000]) == "0o0Pb`n0")  // worked by hand
    }

    private func decode(_ text: String) -> [Int] {
        var counts: [Int] = [], bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            var (value, shift, more) = (0, 0, true)
            while more, let byte = bytes.popFirst() {
                let bits = Int(byte) - 48
                value |= (bits & 0x1F) << shift
                more = bits & 0x20 != 0
                shift += 5
                if !more && bits & 0x10 != 0 { value |= -1 << shift }
            }
            counts.append(counts.count > 2 ? value + counts[counts.count - 2] : value)
        }
        return counts
    }
}
