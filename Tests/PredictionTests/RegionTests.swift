import BEiTImageIO
import BEiTTensorCore
import Foundation
import Testing

@testable import BEiTPrediction

/// Masks with what scipy, pycocotools and shapely say of their regions (`scripts/make-result-fixtures.py`).
struct KnownMasks: Decodable {
    struct Outline: Decodable, Equatable {
        var outer: [[Int]]
        var holes: [[[Int]]]
    }
    struct Class: Decodable {
        var index: Int
        var sizes: [Int]
        var counts: String
        var box: [Int]
        var outlines: [Outline]
    }
    struct Mask: Decodable {
        var width, height: Int
        var values: [UInt16]
        var classes: [Class]

        /// Strips of so many rows.
        func strips(_ rows: Int) -> [[UInt16]] {
            stride(from: 0, to: values.count, by: rows * width).map { Array(values[$0...].prefix(rows * width)) }
        }
    }
    var masks: [Mask]

    static func read() throws -> [Mask] {
        let folder = try #require(Bundle.module.resourceURL).appendingPathComponent("Fixtures")
        let data = try Data(contentsOf: folder.appendingPathComponent("regions.json"))
        return try JSONDecoder().decode(KnownMasks.self, from: data).masks
    }
}

@Suite struct RegionTests {
    private let classes = LabelClass.named(["a", "b", "c", "d"])

    @Test(arguments: [1, 2, 5, 64]) func regionsAreThoseOfSciPy(_ rows: Int) throws {
        for mask in try KnownMasks.read() {
            var count = AreaCount(width: mask.width, classes)
            for strip in mask.strips(rows) { count.add(strip) }
            let found = count.finish()
            #expect(found.map(\.index) == mask.classes.map(\.index))
            for (area, known) in zip(found, mask.classes) {
                #expect(area.pixels == known.sizes.reduce(0, +) && area.name == classes[area.index].name)
                #expect(area.regions == known.sizes.count && area.largest == known.sizes.last)
            }
        }
    }

    /// Against a flood fill.
    @Test(arguments: [2, 5, 40]) func smallRegionsLoseTheirClass(_ least: Int) throws {
        var generator = Philox(seed: UInt64(least))
        for _ in 0..<40 {
            let (width, height) = (1 + generator.integer(below: 30), 1 + generator.integer(below: 30))
            let values = (0..<width * height).map { _ in UInt16(max(0, generator.integer(below: 7) - 3)) }
            var wanted = values
            for region in Self.regions(values, width: width) where region.count < least && values[region[0]] != 3 {
                for place in region { wanted[place] = 3 }
            }
            var small = SmallRegions(width: width, least: least, none: 3)
            var (found, row, isDelayed): ([SegmentedStrip], Int, Bool) = ([], 0, false)
            while row < height {
                let rows = row..<min(height, row + 1 + generator.integer(below: 4))
                let part = Array(values[rows.lowerBound * width..<rows.upperBound * width])
                found += small.add(SegmentedStrip(rows: rows, classes: part), nil).map(\.classes)
                row = rows.upperBound
                isDelayed = isDelayed || found.last?.rows.upperBound ?? 0 < row
            }
            found += small.finish().map(\.classes)
            #expect(found.flatMap(\.classes) == wanted)
            #expect(found.map(\.rows.lowerBound) == [0] + found.dropLast().map(\.rows.upperBound))
        }
    }

    /// A large region decides at once.
    @Test func largeRegionsHoldNothingBack() {
        var small = SmallRegions(width: 100, least: 50, none: 9)
        for row in 0..<20 {
            let strip = SegmentedStrip(rows: row..<row + 1, classes: [UInt16](repeating: 1, count: 100))
            #expect(small.add(strip, nil).count == 1)
        }
    }

    private static func regions(_ values: [UInt16], width: Int) -> [[Int]] {
        var (seen, regions) = ([Bool](repeating: false, count: values.count), [[Int]]())
        for start in values.indices where !seen[start] {
            var (region, open) = ([Int](), [start])
            seen[start] = true
            while let place = open.popLast() {
                region.append(place)
                var beside = [place - width, place + width]
                if place % width > 0 { beside.append(place - 1) }
                if place % width < width - 1 { beside.append(place + 1) }
                for other in beside where values.indices.contains(other) && !seen[other] {
                    if values[other] == values[start] {
                        seen[other] = true
                        open.append(other)
                    }
                }
            }
            regions.append(region)
        }
        return regions
    }

    @Test func codesAndBoxesAreThoseOfCOCO() throws {
        for mask in try KnownMasks.read() {
            var columns = ColumnRuns(width: mask.width)
            for strip in mask.strips(3) { columns.add(strip) }
            let found = columns.ofClasses
            #expect(found.map { RunLengthCode.compressed($0.counts) } == mask.classes.map(\.counts))
            #expect(found.map(\.box) == mask.classes.map(\.box))
        }
    }

    @Test func pixelsWithoutAClassAreNoRegion() {
        var count = AreaCount(width: 3, Array(classes.prefix(2)))
        count.add([0, 2, 2, 1, 1, 2])
        #expect(count.finish().map { [$0.index, $0.pixels, $0.regions] } == [[0, 1, 1], [1, 2, 1]])
    }
}
