import BEiTImageIO

/// A connected region of a mask: pixels of one class, each beside another of them by a side.
struct Region {
    var value: UInt16
    var pixels = 0
    /// The row that it has reached.
    fileprivate(set) var last = 0
    /// Its outline, where that is traced: to be taken from the scan.
    fileprivate(set) var rings: [Int32] = []
    /// Its pixels by rows, where they are listed and as long as they are few.
    fileprivate(set) var runs: [(row: Int, columns: Range<Int32>)] = []
    /// The topmost row of ``runs``.
    fileprivate var top = Int.max
}

/// Finds the connected regions of a mask whose rows come from top to bottom.
///
/// In memory are the runs of one row and the regions that these belong to.
struct RegionScan {
    /// Neighbours of one class in a row.
    struct Run {
        let start, end: Int32
        let value: UInt16
        /// Its place among the regions; one that was merged into another leads there.
        fileprivate(set) var region: Int32 = -1
    }

    private let width: Int
    private var row = 0
    /// Of the last row.
    private(set) var runs: [Run] = []
    private var regions: [Region] = []
    /// The region that a region is part of, itself where it is whole; -1 for a place that is free.
    private var parents: [Int32] = []
    private var free: [Int32] = []
    private var tracer: OutlineTracer?
    /// Of regions with fewer pixels and another value the runs are listed.
    private let listed: (below: Int, except: UInt16)?

    /// - Parameters:
    ///   - traces: outlines are followed; see ``takeOutline(_:)``.
    ///   - pixels: the runs of regions with fewer are listed, but of those with the value `except`.
    init(
        width: Int, tracingOutlines traces: Bool = false, listingRunsBelow pixels: Int = 0, except: UInt16 = .max
    ) {
        self.width = width
        listed = pixels > 0 ? (pixels, except) : nil
        tracer = traces ? OutlineTracer() : nil
    }

    /// Appends whole rows. Returns the regions that end above one of them.
    mutating func add(_ rows: [UInt16]) -> [Region] {
        var closed: [Region] = []
        for start in stride(from: 0, to: rows.count, by: width) {
            var below = rows.withUnsafeBufferPointer {
                Self.runs(UnsafeBufferPointer(rebasing: $0[start..<start + width]))
            }
            connect(&below)
            trace(below)
            closed += close()
            runs = below
            row += 1
        }
        return closed
    }

    /// Ends the mask. Returns the regions that reach its last row.
    mutating func finish() -> [Region] {
        trace([])
        defer { runs = [] }
        return close()
    }

    /// The rings of a closed region's outline, which are forgotten.
    mutating func takeOutline(_ region: Region) -> [[Corner]] { region.rings.compactMap { tracer?.take($0) } }

    /// The topmost row of regions that are open and still have their runs listed; nil where there are none.
    var firstRowOfSmall: Int? {
        runs.lazy.map { regions[Int($0.region)] }.filter { !$0.runs.isEmpty }.map(\.top).min()
    }

    private mutating func trace(_ below: [Run]) {
        for (ring, run) in tracer?.trace(row, above: runs, below: below) ?? [] {
            regions[Int(whole(run.region))].rings.append(ring)
        }
    }

    private static func runs(_ row: UnsafeBufferPointer<UInt16>) -> [Run] {
        var runs: [Run] = []
        var start = 0
        for x in 1..<max(1, row.count) where row[x] != row[x - 1] {
            runs.append(Run(start: Int32(start), end: Int32(x), value: row[start]))
            start = x
        }
        if start < row.count { runs.append(Run(start: Int32(start), end: Int32(row.count), value: row[start])) }
        return runs
    }

    /// Finds the regions of a row's runs, and merges those that meet in it.
    private mutating func connect(_ below: inout [Run]) {
        var first = 0
        for place in below.indices {
            let run = below[place]
            while first < runs.count, runs[first].end <= run.start { first += 1 }
            var region: Int32?
            var upper = first
            while upper < runs.count, runs[upper].start < run.end {
                if runs[upper].value == run.value {
                    let other = whole(runs[upper].region)
                    region = region.map { merge($0, other) } ?? other
                }
                upper += 1
            }
            below[place].region = region ?? make(run.value)
            // The last one may reach beyond this run.
            first = max(first, upper - 1)
        }
        for place in below.indices {
            let region = whole(below[place].region)
            below[place].region = region
            regions[Int(region)].pixels += Int(below[place].end - below[place].start)
            regions[Int(region)].last = row
            list(below[place], of: Int(region))
        }
    }

    private mutating func list(_ run: Run, of region: Int) {
        guard let listed, run.value != listed.except else { return }
        if regions[region].pixels < listed.below {
            regions[region].runs.append((row, run.start..<run.end))
            regions[region].top = min(regions[region].top, row)
        } else {
            regions[region].runs = []
        }
    }

    /// Takes the regions that have no run in this row, and frees the places of those that became part of another.
    private mutating func close() -> [Region] {
        var closed: [Region] = []
        for run in runs where parents[Int(run.region)] >= 0 {
            let isWhole = parents[Int(run.region)] == run.region
            if isWhole, regions[Int(run.region)].last == row { continue }
            parents[Int(run.region)] = -1
            free.append(run.region)
            if isWhole { closed.append(regions[Int(run.region)]) }
        }
        return closed
    }

    private mutating func make(_ value: UInt16) -> Int32 {
        if let place = free.popLast() {
            (regions[Int(place)], parents[Int(place)]) = (Region(value: value), place)
            return place
        }
        regions.append(Region(value: value))
        parents.append(Int32(parents.count))
        return Int32(parents.count - 1)
    }

    private mutating func whole(_ region: Int32) -> Int32 {
        var region = region
        while parents[Int(region)] != region {
            let parent = parents[Int(region)]
            parents[Int(region)] = parents[Int(parent)]
            region = parent
        }
        return region
    }

    private mutating func merge(_ one: Int32, _ other: Int32) -> Int32 {
        let (one, other) = (whole(one), whole(other))
        guard one != other else { return one }
        regions[Int(one)].pixels += regions[Int(other)].pixels
        // The longer list grows: the rings of a large region move seldom.
        if regions[Int(one)].rings.count < regions[Int(other)].rings.count {
            (regions[Int(one)].rings, regions[Int(other)].rings) = (regions[Int(other)].rings, regions[Int(one)].rings)
        }
        regions[Int(one)].rings += regions[Int(other)].rings
        regions[Int(one)].runs += regions[Int(other)].runs
        regions[Int(one)].top = min(regions[Int(one)].top, regions[Int(other)].top)
        parents[Int(other)] = one
        return one
    }
}

/// How much of an image a class covers.
package struct ClassArea: Codable, Equatable, Sendable {
    package var index: Int
    package var name: String
    package var pixels: Int
    /// Connected regions, and the pixels of the largest.
    package var regions, largest: Int
}

/// The areas of an image's classes, and how many regions they lie in.
struct AreaCount {
    private var scan: RegionScan
    private var areas: [ClassArea]

    init(width: Int, _ classes: [LabelClass]) {
        scan = RegionScan(width: width)
        areas = classes.enumerated().map { ClassArea(index: $0, name: $1.name, pixels: 0, regions: 0, largest: 0) }
    }

    mutating func add(_ rows: [UInt16]) { count(scan.add(rows)) }

    /// The classes that occur, by index.
    mutating func finish() -> [ClassArea] {
        count(scan.finish())
        return areas.filter { $0.regions > 0 }
    }

    private mutating func count(_ regions: [Region]) {
        for region in regions where Int(region.value) < areas.count {  // others have no class
            areas[Int(region.value)].pixels += region.pixels
            areas[Int(region.value)].regions += 1
            areas[Int(region.value)].largest = max(areas[Int(region.value)].largest, region.pixels)
        }
    }
}
