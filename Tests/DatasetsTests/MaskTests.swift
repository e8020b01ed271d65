import BEiTTensorCore
import Foundation
import Testing

@testable import BEiTDatasets

/// Masks against the statistics of masks that the authors' generator drew.
@Suite struct MaskTests {
    private struct Recorded: Decodable {
        struct Statistics: Decodable {
            struct Patches: Decodable {
                var mean, std: Double
                var histogram: [String: Int]
            }
            struct Blocks: Decodable {
                var mean: Double
                var histogram: [String: Int]
            }
            struct New: Decodable {
                var mean: Double
                var quartiles: [Double]
            }
            struct First: Decodable {
                var area_mean, log_aspect_mean, log_aspect_std: Double
                var side_max: Int
            }
            var masks: Int
            var masked_patches: Patches
            var share_with_exactly_the_target: Double
            var blocks_per_mask: Blocks
            var new_patches_per_block: New
            var first_block: First
            var per_row_frequency, per_column_frequency: [Double]
        }
        var statistics_of_5000: Statistics
    }

    private static let recorded: Result<Recorded.Statistics, any Error> = Result {
        let folder = try #require(Bundle.module.resourceURL).appendingPathComponent("Fixtures/masks/meta.json")
        return try JSONDecoder().decode(Recorded.self, from: Data(contentsOf: folder)).statistics_of_5000
    }

    private let masks = 10_000

    @Test func blockwiseMasksAreDistributedAsTheAuthors() throws {
        let want = try Self.recorded.get()
        let generator = MaskGenerator(rows: 14, columns: 14)
        #expect(generator.count == 75 && generator.minimum == 16)
        var blocks: [[MaskGenerator.Block]] = [], rows = [Double](repeating: 0, count: 14), columns = rows
        for index in 0..<masks {
            var draw = Philox(seed: 1, stream: UInt64(index)), again = draw
            let mask = generator(&draw)
            blocks.append(generator.blocks(&again))
            #expect(mask.count { $0 } == blocks[index].reduce(0) { $0 + $1.new })
            for cell in mask.indices where mask[cell] {
                rows[cell / 14] += 1
                columns[cell % 14] += 1
            }
        }
        let counts = blocks.map { $0.reduce(0) { $0 + $1.new } }
        #expect(counts.allSatisfy { (1...75).contains($0) })
        expect(counts.map(Double.init), mean: want.masked_patches.mean, within: 0.06)
        expect(histogram(counts), want.masked_patches.histogram, of: want.masks)
        expect(histogram(blocks.map(\.count)), want.blocks_per_mask.histogram, of: want.masks)
        let exact = Double(counts.count { $0 == 75 }) / Double(masks)
        #expect(abs(exact - want.share_with_exactly_the_target) < 0.03)
        expect(blocks.map { Double($0.count) }, mean: want.blocks_per_mask.mean, within: 0.1)
        let new = blocks.flatMap { $0.map { Double($0.new) } }.sorted()
        expect(new, mean: want.new_patches_per_block.mean, within: 0.5)
        for (part, quartile) in zip([1, 2, 3], want.new_patches_per_block.quartiles) {
            #expect(abs(new[new.count * part / 4] - quartile) <= 1)
        }
        let first = blocks.map { $0[0] }
        expect(first.map { Double($0.height * $0.width) }, mean: want.first_block.area_mean, within: 1)
        let aspects = first.map { log(Double($0.height) / Double($0.width)) }
        expect(aspects, mean: want.first_block.log_aspect_mean, within: 0.045)
        let deviation = (aspects.reduce(0) { $0 + $1 * $1 } / Double(masks)).squareRoot()
        #expect(abs(deviation - want.first_block.log_aspect_std) < 0.03)
        #expect(first.map { max($0.height, $0.width) }.max() == want.first_block.side_max)
        for (found, want) in zip(rows + columns, want.per_row_frequency + want.per_column_frequency) {
            #expect(abs(found / Double(14 * masks) - want) < 0.015)
        }
    }

    @Test func randomMasksAreUniform() {
        let generator = MaskGenerator(.random, rows: 14, columns: 14)
        var frequency = [Int](repeating: 0, count: 196), pairs = 0
        for index in 0..<masks {
            var draw = Philox(seed: 2, stream: UInt64(index))
            let mask = generator(&draw)
            #expect(mask.count { $0 } == 75)
            for cell in mask.indices where mask[cell] { frequency[cell] += 1 }
            if mask[90] && mask[91] { pairs += 1 }
        }
        // Five deviations of a binomial count.
        let p = 75.0 / 196, deviation = (p * (1 - p) * Double(masks)).squareRoot()
        #expect(frequency.allSatisfy { abs(Double($0) - p * Double(masks)) < 5 * deviation })
        // Neighbours are as independent as 75 of 196 without repetition can be: blocks would hide both far more often.
        #expect(abs(Double(pairs) / Double(masks) - p * 74 / 195) < 0.02)
    }

    @Test(arguments: MaskGenerator.Kind.allCases, [(1, 1), (2, 2), (2, 7), (5, 3), (40, 28)])
    func everyGridGetsAMask(_ kind: MaskGenerator.Kind, _ grid: (Int, Int)) {
        let generator = MaskGenerator(kind, rows: grid.0, columns: grid.1)
        #expect(generator.problem == nil)
        for index in 0..<50 {
            var draw = Philox(seed: 3, stream: UInt64(index)), again = draw
            let mask = generator(&draw)
            #expect(mask.count == grid.0 * grid.1 && (1...generator.count).contains(mask.count { $0 }))
            #expect(generator(&again) == mask)
        }
        #expect(MaskGenerator(kind, rows: 2, columns: 3, count: 7).problem != nil)
        #expect(MaskGenerator(kind, rows: 2, columns: 3, count: 0).problem != nil)
    }

    private func histogram(_ values: [Int]) -> [Int: Int] {
        values.reduce(into: [:]) { $0[$1, default: 0] += 1 }
    }

    /// Shares of both kinds within 0.025 of each other.
    private func expect(_ found: [Int: Int], _ want: [String: Int], of total: Int) {
        for key in Set(found.keys).union(want.keys.compactMap { Int($0) }) {
            let share = Double(found[key] ?? 0) / Double(masks)
            #expect(abs(share - Double(want["\(key)"] ?? 0) / Double(total)) < 0.025, "\(key)")
        }
    }

    private func expect(_ values: [Double], mean: Double, within tolerance: Double) {
        let found = values.reduce(0, +) / Double(values.count)
        #expect(abs(found - mean) < tolerance, "\(found) instead of \(mean)")
    }
}
