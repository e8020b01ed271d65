/// A corner of a region's outline, in pixels from the image's top left corner.
struct Corner: Hashable {
    var x, y: Int32
    /// Whether more than two edges between pixels of different regions meet here, or it is a corner of the image. Neighbours
    /// have it in common, and it stays where it is.
    var isJunction = false
}

/// Follows the edges between the pixels of different regions, line by line, and closes them to rings.
///
/// A ring has its region to the right as one looks along it with y downwards: as numbers, outer rings turn counterclockwise
/// and holes clockwise. In memory are the corners of rings that are open or not yet taken.
struct OutlineTracer {
    private struct Node {
        var corner: Corner
        var next: Int32 = -1
    }

    /// One of the two ends of an open chain: its first corner, before which another may be put, or its last.
    private struct End {
        var node: Int32
        /// The chain's other end.
        var partner: Int32
    }

    private var nodes: [Node] = [], freeNodes: [Int32] = []
    private var ends: [End] = [], freeEnds: [Int32] = []
    /// Of the runs of the row above: the beginning of the chain that goes up on a run's left side, and the end of that which
    /// comes down on its right side.
    private var left: [Int32] = [], right: [Int32] = []

    /// A corner of the grid between two rows, and what meets in it.
    ///
    /// Quadrants are counted clockwise from the upper left. Edge i lies before quadrant i: 0 goes to the left, 1 up, 2 to the
    /// right, 3 down. From edge to edge the quadrants are of one region, which comes in along the last edge and goes out along
    /// the first.
    private struct Crossing {
        let corner: Corner
        /// The runs of the quadrants; -1 outside of the image.
        let runs: [Int]
        let values: [Int32]
        /// Those that part two regions.
        let edges: [Int]

        init(_ x: Int32, _ y: Int, _ runs: [Int], _ values: [Int32]) {
            (self.runs, self.values) = (runs, values)
            edges = (0..<4).filter { values[$0] != values[($0 + 3) % 4] }
            let isImageCorner = values.count { $0 < 0 } == 3
            corner = Corner(x: x, y: Int32(y), isJunction: edges.count > 2 || isImageCorner)
        }
    }

    /// Chains along a line, whose next corner is still to come.
    private struct Along {
        /// The one that comes from the left, on top of the lower run.
        var top: Int32 = -1
        /// The one that goes to the left, at the bottom of the upper run.
        var bottom: Int32 = -1
    }

    /// Follows the edges of the line between two rows.
    /// - Parameters:
    ///   - y: of the line.
    ///   - above: the runs of the row above it; none above the image.
    ///   - below: those of the row below it; none below the image.
    /// - Returns: the rings that are closed here, each with one of its region's runs.
    mutating func trace(
        _ y: Int, above: [RegionScan.Run], below: [RegionScan.Run]
    ) -> [(ring: Int32, run: RegionScan.Run)] {
        var closed: [(ring: Int32, run: RegionScan.Run)] = []
        var downward = (
            left: [Int32](repeating: -1, count: below.count), right: [Int32](repeating: -1, count: below.count)
        )
        var along = Along()
        let width = max(above.last?.end ?? 0, below.last?.end ?? 0)
        // The runs that begin at x, or reach beyond it.
        var (upper, lower, x) = (0, 0, Int32(0))
        while true {
            let isUpperStart = upper < above.count ? above[upper].start == x : true
            let isLowerStart = lower < below.count ? below[lower].start == x : true
            let runs = [
                above.isEmpty ? -1 : isUpperStart ? upper - 1 : upper, upper < above.count ? upper : -1,
                lower < below.count ? lower : -1, below.isEmpty ? -1 : isLowerStart ? lower - 1 : lower,
            ]
            let values = runs.enumerated().map { quadrant, run in
                run < 0 ? -1 : Int32((quadrant < 2 ? above[run] : below[run]).value)
            }
            for ring in pass(Crossing(x, y, runs, values), &along, &downward) {
                closed.append((ring.node, ring.quadrant < 2 ? above[runs[ring.quadrant]] : below[runs[ring.quadrant]]))
            }
            if x == width { break }
            let ends = (
                upper < above.count ? above[upper].end : width, lower < below.count ? below[lower].end : width
            )
            x = min(ends.0, ends.1)
            if ends.0 == x, upper < above.count { upper += 1 }
            if ends.1 == x, lower < below.count { lower += 1 }
        }
        (left, right) = downward
        return closed
    }

    /// Leads the chains that meet in a corner through it. Returns the rings that it closes, and a quadrant of each.
    private mutating func pass(
        _ crossing: Crossing, _ along: inout Along, _ downward: inout (left: [Int32], right: [Int32])
    ) -> [(node: Int32, quadrant: Int)] {
        var closed: [(node: Int32, quadrant: Int)] = []
        var next = Along()
        let (edges, runs) = (crossing.edges, crossing.runs)
        for (place, out) in edges.enumerated() where crossing.values[out] >= 0 {
            let into = edges[(place + 1) % edges.count]
            var tail = into == 0 ? along.top : into == 1 ? right[runs[0]] : -1
            var head = out == 0 ? along.bottom : out == 1 ? left[runs[1]] : -1
            let goesOn = (tail: tail < 0, head: head < 0)
            let isStraight = (out + 2) % 4 == into
            let node = isStraight && !crossing.corner.isJunction ? -1 : makeNode(crossing.corner)
            if tail >= 0 {
                append(node, to: tail)
            } else if head >= 0 {
                prepend(node, to: head)
            } else {
                (tail, head) = makeChain(node)
            }
            if !goesOn.tail, !goesOn.head {
                if let ring = join(tail, head) { closed.append((ring, out)) }
            } else if goesOn.head {  // the chain's end is still to come
                if out == 2 { next.top = tail } else { downward.right[runs[3]] = tail }
            }
            if goesOn.tail { if into == 2 { next.bottom = head } else { downward.left[runs[2]] = head } }
        }
        along = next
        return closed
    }

    private mutating func makeNode(_ corner: Corner) -> Int32 {
        if let place = freeNodes.popLast() {
            nodes[Int(place)] = Node(corner: corner)
            return place
        }
        nodes.append(Node(corner: corner))
        return Int32(nodes.count - 1)
    }

    private mutating func makeEnd(_ node: Int32) -> Int32 {
        if let place = freeEnds.popLast() {
            ends[Int(place)] = End(node: node, partner: -1)
            return place
        }
        ends.append(End(node: node, partner: -1))
        return Int32(ends.count - 1)
    }

    /// A chain of one corner: its end and its beginning.
    private mutating func makeChain(_ node: Int32) -> (tail: Int32, head: Int32) {
        let (tail, head) = (makeEnd(node), makeEnd(node))
        (ends[Int(tail)].partner, ends[Int(head)].partner) = (head, tail)
        return (tail, head)
    }

    private mutating func append(_ node: Int32, to tail: Int32) {
        guard node >= 0 else { return }
        nodes[Int(ends[Int(tail)].node)].next = node
        ends[Int(tail)].node = node
    }

    private mutating func prepend(_ node: Int32, to head: Int32) {
        guard node >= 0 else { return }
        nodes[Int(node)].next = ends[Int(head)].node
        ends[Int(head)].node = node
    }

    /// Has the chain that begins with `head` follow on the one that ends with `tail`. Returns the ring, where they are one.
    private mutating func join(_ tail: Int32, _ head: Int32) -> Int32? {
        let first = ends[Int(head)].node
        nodes[Int(ends[Int(tail)].node)].next = first
        let (begin, end) = (ends[Int(tail)].partner, ends[Int(head)].partner)
        freeEnds += [tail, head]
        if begin == head { return first }
        (ends[Int(begin)].partner, ends[Int(end)].partner) = (end, begin)
        return nil
    }

    /// The corners of a ring, which is forgotten.
    mutating func take(_ ring: Int32) -> [Corner] {
        var corners: [Corner] = []
        var node = ring
        repeat {
            corners.append(nodes[Int(node)].corner)
            freeNodes.append(node)
            node = nodes[Int(node)].next
        } while node != ring
        return corners
    }
}
