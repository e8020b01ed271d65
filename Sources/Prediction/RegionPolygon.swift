/// The outline of a region as a polygon: rings without their first corner at the end again.
struct RegionPolygon {
    /// Counterclockwise, as numbers.
    private(set) var outer: [Corner] = []
    /// Clockwise.
    private(set) var holes: [[Corner]] = []

    /// - Parameters:
    ///   - outline: the region's rings as they are traced.
    ///   - tolerance: pixels that a corner may lie beside the line that replaces it.
    init(_ outline: [[Corner]], tolerance: Double) {
        for ring in outline.flatMap(Self.simple) {
            let isHole = Self.doubleArea(ring) < 0
            let corners = tolerance > 0 ? OutlineSimplifier(tolerance).simplified(ring) : Self.withoutStraight(ring)
            guard corners.count > 2, Self.doubleArea(corners) != 0 else { continue }
            if isHole { holes.append(corners) } else { outer = corners }
        }
        // In an order that does not depend on how the rings were found.
        holes.sort { Self.isBefore($0[0], $1[0]) }
        if !outer.isEmpty { outer = Self.fromLeast(outer) }
    }

    static func isBefore(_ one: Corner, _ other: Corner) -> Bool { (one.y, one.x) < (other.y, other.x) }

    /// The ring from its topmost corner on, of several the leftmost.
    static func fromLeast(_ ring: [Corner]) -> [Corner] {
        guard let first = ring.indices.min(by: { isBefore(ring[$0], ring[$1]) }) else { return ring }
        return Array(ring[first...] + ring[..<first])
    }

    /// Twice the area that a ring turns around counterclockwise.
    static func doubleArea(_ ring: [Corner]) -> Int {
        zip(ring, ring.dropFirst() + ring.prefix(1)).reduce(0) {
            $0 + Int($1.0.x) * Int($1.1.y) - Int($1.1.x) * Int($1.0.y)
        }
    }

    /// A ring that meets itself in corners, as rings that do not: where a region touches itself at a corner, what it encloses
    /// is a hole.
    private static func simple(_ ring: [Corner]) -> [[Corner]] {
        var (rings, open): ([[Corner]], [Corner]) = ([], [])
        var places: [Corner: Int] = [:]
        for corner in ring {
            if corner.isJunction, let place = places[corner] {
                rings.append(Array(open[place...]))
                for gone in open[(place + 1)...] where gone.isJunction { places[gone] = nil }
                open.removeSubrange((place + 1)...)
            } else {
                if corner.isJunction { places[corner] = open.count }
                open.append(corner)
            }
        }
        return rings + [open]
    }

    private static func withoutStraight(_ ring: [Corner]) -> [Corner] {
        ring.indices.filter { place in
            let (before, corner) = (ring[place == 0 ? ring.count - 1 : place - 1], ring[place])
            let after = ring[place + 1 == ring.count ? 0 : place + 1]
            return !(before.x == corner.x && corner.x == after.x || before.y == corner.y && corner.y == after.y)
        }.map { ring[$0] }
    }
}

/// Leaves corners out of outlines (Douglas and Peucker 1973). The part of an outline between two junctions, which a region
/// has in common with one neighbour, loses the same corners in both.
struct OutlineSimplifier {
    private let tolerance: Double

    init(_ tolerance: Double) { self.tolerance = tolerance }

    /// - Parameter ring: at least three corners.
    func simplified(_ ring: [Corner]) -> [Corner] {
        guard let first = ring.firstIndex(where: \.isJunction) else {
            return Array(part(closed(RegionPolygon.fromLeast(ring))).dropLast())
        }
        let ring = closed(Array(ring[first...] + ring[..<first]))
        var (result, start): ([Corner], Int) = ([], 0)
        for end in ring.indices.dropFirst() where ring[end].isJunction {
            result += part(Array(ring[start...end])).dropLast()
            start = end
        }
        return result
    }

    private func closed(_ ring: [Corner]) -> [Corner] { ring + ring.prefix(1) }

    /// A part from end to end, always seen in the same direction.
    private func part(_ corners: [Corner]) -> [Corner] {
        let (first, last) = (corners[0], corners[corners.count - 1])
        let isClosed = first == last
        let isForward =
            isClosed
            ? RegionPolygon.isBefore(corners[1], corners[corners.count - 2]) : RegionPolygon.isBefore(first, last)
        let seen = isForward ? corners : corners.reversed()
        let kept = isClosed ? keptOfRing(seen) : kept(seen, 0, seen.count - 1)
        let result = kept.sorted().map { seen[$0] }
        return isForward ? result : result.reversed()
    }

    /// A ring keeps three corners at least.
    private func keptOfRing(_ ring: [Corner]) -> [Int] {
        let last = ring.count - 1
        guard let far = farthest(ring, 0, last)?.place else { return [0, last] }
        var places = Set(kept(ring, 0, far) + kept(ring, far, last))
        if places.count == 3 {
            let sides = [farthest(ring, 0, far), farthest(ring, far, last)].compactMap { $0 }
            if let most = sides.max(by: { $0.distance < $1.distance }) { places.insert(most.place) }
        }
        return Array(places)
    }

    private func kept(_ corners: [Corner], _ start: Int, _ end: Int) -> [Int] {
        var (kept, open) = ([start, end], [(start, end)])
        while let (start, end) = open.popLast() {
            guard let far = farthest(corners, start, end), far.distance > tolerance * tolerance else { continue }
            kept.append(far.place)
            open += [(start, far.place), (far.place, end)]
        }
        return kept
    }

    /// Between two corners, the first of those that are farthest from the line that joins them: its place, and the distance
    /// squared.
    private func farthest(_ corners: [Corner], _ start: Int, _ end: Int) -> (place: Int, distance: Double)? {
        let (a, b) = (corners[start], corners[end])
        let (dx, dy) = (Double(b.x - a.x), Double(b.y - a.y))
        let length = dx * dx + dy * dy
        var most: (place: Int, distance: Double)?
        for place in start + 1..<max(start + 1, end) {
            let (x, y) = (Double(corners[place].x - a.x), Double(corners[place].y - a.y))
            let share = length > 0 ? min(1, max(0, (x * dx + y * dy) / length)) : 0
            let (offX, offY) = (x - share * dx, y - share * dy)
            let distance = offX * offX + offY * offY
            if distance > most?.distance ?? -1 { most = (place, distance) }
        }
        return most
    }
}
