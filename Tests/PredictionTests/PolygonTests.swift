import BEiTTensorCore
import Testing

@testable import BEiTPrediction

@Suite struct PolygonTests {
    /// The regions of a mask whose rows come in strips.
    private func polygons(
        _ values: [UInt16], width: Int, rows: Int, tolerance: Double = 0
    ) -> [(region: Region, polygon: RegionPolygon)] {
        var scan = RegionScan(width: width, tracingOutlines: true)
        var found: [(Region, RegionPolygon)] = []
        for start in stride(from: 0, to: values.count, by: rows * width) {
            for region in scan.add(Array(values[start...].prefix(rows * width))) {
                found.append((region, RegionPolygon(scan.takeOutline(region), tolerance: tolerance)))
            }
        }
        for region in scan.finish() {
            found.append((region, RegionPolygon(scan.takeOutline(region), tolerance: tolerance)))
        }
        return found
    }

    /// From the corner that is least by x, then y, as the fixture has it.
    private func numbers(_ ring: [Corner]) -> [[Int]] {
        let points = ring.map { [Int($0.x), Int($0.y)] }
        let first = points.indices.min { points[$0].lexicographicallyPrecedes(points[$1]) } ?? 0
        return Array(points[first...] + points[..<first])
    }

    private func isBefore(_ one: [[Int]], _ other: [[Int]]) -> Bool {
        one.flatMap { $0 }.lexicographicallyPrecedes(other.flatMap { $0 })
    }

    @Test(arguments: [1, 3, 64]) func outlinesAreThoseOfShapely(_ rows: Int) throws {
        for mask in try KnownMasks.read() {
            let found = polygons(mask.values, width: mask.width, rows: rows)
            for known in mask.classes {
                let own = found.filter { Int($0.region.value) == known.index }.map(\.polygon)
                let outlines = own.map { polygon in
                    KnownMasks.Outline(
                        outer: numbers(polygon.outer), holes: polygon.holes.map(numbers).sorted(by: isBefore))
                }
                #expect(outlines.sorted { isBefore($0.outer, $1.outer) } == known.outlines)
            }
        }
    }

    private func doubleArea(_ polygon: RegionPolygon) -> Int {
        ([polygon.outer] + polygon.holes).reduce(0) { $0 + RegionPolygon.doubleArea($1) }
    }

    private func noise(_ width: Int, _ height: Int, classes: UInt32, block: Int, seed: UInt64) -> [UInt16] {
        var generator = Philox(seed: seed)
        let blocks = (0..<width * height).map { _ in UInt16(generator.next() % classes) }
        return (0..<width * height).map { place in
            let (x, y) = (place % width / block, place / width / block)
            return blocks[y * width + x]
        }
    }

    @Test func areasAreThePixels() {
        for (seed, block) in [(1, 1), (2, 2), (3, 5)] {
            let values = noise(53, 47, classes: 3, block: block, seed: UInt64(seed))
            let found = polygons(values, width: 53, rows: 16)
            #expect(found.allSatisfy { doubleArea($0.polygon) == 2 * $0.region.pixels && $0.polygon.outer.count >= 4 })
            #expect(found.map(\.region.pixels).reduce(0, +) == 53 * 47)
        }
    }

    /// Whatever is left out, neighbours have their borders in common: they still fill the image, without gaps or overlaps,
    /// and every line between two corners is drawn once in each direction, but for those at the image's border.
    @Test(arguments: [0.5, 1, 3]) func neighboursShareTheirSimplerBorders(_ tolerance: Double) {
        let (width, height) = (61, 50)
        for (seed, block) in [(4, 1), (5, 6), (6, 9)] {
            let values = noise(width, height, classes: 3, block: block, seed: UInt64(seed))
            let found = polygons(values, width: width, rows: 7, tolerance: tolerance).map(\.polygon)
            #expect(found.map(doubleArea).reduce(0, +) == 2 * width * height)
            var lines: [[Int32]: Int] = [:]
            for ring in found.flatMap({ [$0.outer] + $0.holes }) {
                for (a, b) in zip(ring, ring.dropFirst() + ring.prefix(1)) {
                    let isBorder: Bool =
                        a.x == b.x && [0, Int32(width)].contains(a.x) || a.y == b.y && [0, Int32(height)].contains(a.y)
                    if !isBorder { lines[[a.x, a.y, b.x, b.y], default: 0] += 1 }
                }
            }
            let unmatched = lines.filter { line, count in lines[[line[2], line[3], line[0], line[1]]] != count }
            // Of noise many regions become lines, and are left out.
            #expect(unmatched.isEmpty || block == 1)
        }
    }

    @Test func aSlantBecomesALine() {
        let size = 40
        let values = (0..<size * size).map { UInt16($0 % size > $0 / size ? 1 : 0) }
        let found = polygons(values, width: size, rows: 16, tolerance: 1).map(\.polygon)
        #expect(found.map(\.outer.count).max() ?? 99 <= 5)
        #expect(found.allSatisfy { $0.holes.isEmpty })
        #expect(polygons(values, width: size, rows: 16).map(\.polygon.outer.count).max() ?? 0 > 70)
    }

    @Test func anIslandKeepsThreeCorners() {
        var values = [UInt16](repeating: 0, count: 100)
        for place in [44, 45, 54] { values[place] = 1 }
        let found = polygons(values, width: 10, rows: 10, tolerance: 50)
        #expect(found.count == 2)
        for (region, polygon) in found {
            #expect(region.value == 1 ? polygon.outer.count == 3 : polygon.holes.map(\.count) == [3])
        }
    }
}
