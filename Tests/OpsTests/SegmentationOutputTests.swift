import CBEiTKernels
import Foundation
import Testing

@testable import BEiTOps
@testable import BEiTTensorCore

@Suite struct SegmentationOutputTests {
    struct Case: Sendable {
        var from: (Int, Int), to: (Int, Int), classes: Int
    }
    static let cases = [
        Case(from: (5, 7), to: (23, 31), classes: 3), Case(from: (9, 4), to: (9, 4), classes: 19),
        Case(from: (11, 17), to: (4, 5), classes: 1), Case(from: (1, 1), to: (3, 2), classes: 2),
        Case(from: (3, 40), to: (70, 1100), classes: 5),
    ]

    /// Bilinear interpolation of a single value, as the definition says.
    private static func plain(_ map: Tensor, _ y: Int, _ x: Int, _ k: Int, of to: (Int, Int)) -> Float {
        func place(_ i: Int, _ inputs: Int, _ outputs: Int) -> (Int, Int, Double) {
            let p = min(max((Double(i) + 0.5) * Double(inputs) / Double(outputs) - 0.5, 0), Double(inputs - 1))
            return (Int(p), min(Int(p) + 1, inputs - 1), p - Double(Int(p)))
        }
        let (h, w, classes) = (map.shape[0], map.shape[1], map.shape[2])
        let (y0, y1, fy) = place(y, h, to.0), (x0, x1, fx) = place(x, w, to.1)
        func at(_ y: Int, _ x: Int) -> Double { Double(map.pointer[(y * w + x) * classes + k]) }
        let top = at(y0, x0) * (1 - fx) + at(y0, x1) * fx, bottom = at(y1, x0) * (1 - fx) + at(y1, x1) * fx
        return Float(top * (1 - fy) + bottom * fy)
    }

    /// Mean softmax over the maps, `[K]`.
    private static func probabilities(_ maps: [Tensor], _ y: Int, _ x: Int, of to: (Int, Int)) -> [Float] {
        let classes = maps[0].shape[2]
        var sums = [Float](repeating: 0, count: classes)
        for map in maps {
            let logits = (0..<classes).map { plain(map, y, x, $0, of: to) }
            let most = logits.max() ?? 0
            let terms = logits.map { exp(Double($0 - most)) }
            let total = terms.reduce(0, +)
            for k in 0..<classes { sums[k] += Float(terms[k] / total) / Float(maps.count) }
        }
        return sums
    }

    private static func classify(_ maps: [Tensor], _ to: (Int, Int)) -> (labels: [UInt16], confidence: [Float]) {
        let output = SegmentationOutput(classes: maps[0].shape[2], width: to.1)
        var labels = [UInt16](repeating: 9999, count: to.0 * to.1)
        var confidence = [Float](repeating: .nan, count: to.0 * to.1)
        labels.withUnsafeMutableBufferPointer { labels in
            confidence.withUnsafeMutableBufferPointer { confidence in
                for start in stride(from: 0, to: to.0, by: 13) {
                    let rows = start..<min(to.0, start + 13)
                    let passes = maps.map { map in
                        let vertical = BilinearAxis(from: map.shape[0], to: to.0)
                        let source = vertical.sources(rows)
                        return SegmentationOutput.Pass(
                            rows: source.map { map.rows($0..<$0 + 1) }, firstRow: source.lowerBound, vertical: vertical,
                            horizontal: BilinearAxis(from: map.shape[1], to: to.1))
                    }
                    output.classify(
                        passes, rows: rows, labels: labels.baseAddress! + start * to.1,
                        confidence: confidence.baseAddress! + start * to.1)
                }
            }
        }
        return (labels, confidence)
    }

    @Test(arguments: cases.indices) func onePassIsArgmaxOfTheResizedLogits(_ index: Int) {
        let (c, map) = (
            Self.cases[index],
            randomTensor([Self.cases[index].from.0, Self.cases[index].from.1, Self.cases[index].classes], seed: 3)
        )
        expectRight(Self.classify([map], c.to), [map], c.to)
    }

    @Test func severalPassesAverageProbabilities() {
        let maps = [
            randomTensor([5, 7, 4], seed: 5), randomTensor([9, 6, 4], seed: 6), randomTensor([2, 3, 4], seed: 7),
        ]
        expectRight(Self.classify(maps, (19, 23)), maps, (19, 23))
    }

    /// The label's probability is the largest, and it is the confidence.
    private func expectRight(_ found: (labels: [UInt16], confidence: [Float]), _ maps: [Tensor], _ to: (Int, Int)) {
        var off = 0
        for y in 0..<to.0 {
            for x in 0..<to.1 {
                let wanted = Self.probabilities(maps, y, x, of: to)
                let label = Int(found.labels[y * to.1 + x])
                let right =
                    label < wanted.count && wanted[label] >= (wanted.max() ?? 0) - 1e-5
                    && abs(found.confidence[y * to.1 + x] - wanted[label]) < 1e-5
                off += right ? 0 : 1
            }
        }
        #expect(off == 0, "of \(to.0 * to.1) pixels")
    }

    @Test func theFirstOfEqualClassesWins() {
        let map = Tensor([1, 3, 3, 2, 2, 2, 0, -1, 0].map { $0 }, [1, 3, 3])
        #expect(Self.classify([map], (1, 3)).labels == [1, 0, 0])
    }

    @Test func threadsDoNotMatter() {
        let maps = [randomTensor([5, 7, 3], seed: 8), randomTensor([6, 9, 3], seed: 9)]
        let runs = [1, 2, 5].map { threads in
            WorkerPool.$scoped.withValue(WorkerPool(threads: threads)) { Self.classify(maps, (61, 33)) }
        }
        for run in runs { #expect(run.labels == runs[0].labels && run.confidence == runs[0].confidence) }
    }

    @Test func everyInstructionSetFindsTheSame() {
        let map = randomTensor([37, 21], seed: 10)
        let left: [Int32] = [0, 3, 35, 36, 36], fraction: [Float] = [0, 0.25, 0.75, 0.5, 0]
        var results: [(values: [Float], labels: [UInt16])] = []
        for level in 0...beitseg_kernel_level() {
            guard let kernels = beitseg_kernels_at(level) else { continue }
            var values = [Float](repeating: 0, count: 5 * 21)
            kernels.pointee.interpolate_columns(map.pointer, 36, left, fraction, 5, 21, &values)
            var labels = [UInt16](repeating: 0, count: 37)
            kernels.pointee.argmax_rows(map.pointer, 37, 21, &labels)
            results.append((values, labels))
        }
        for result in results {
            #expect(result.labels == results[0].labels)
            #expect(zip(result.values, results[0].values).allSatisfy { abs($0 - $1) < 1e-5 })
        }
    }
}
