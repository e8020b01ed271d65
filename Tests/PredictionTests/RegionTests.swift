import BEiTImageIO
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
