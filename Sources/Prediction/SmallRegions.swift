import BEiTImageIO

/// Takes the class from connected regions of few pixels, in strips that come from top to bottom.
///
/// A strip is held back until the regions in it are large enough or have ended: in memory are no more strips than the
/// highest of the small regions touches.
struct SmallRegions {
    typealias Strip = (classes: SegmentedStrip, photo: PictureStrip?)
    private let least: Int
    private let none: UInt16
    private var scan: RegionScan
    private var held: [Strip] = []

    /// - Parameters:
    ///   - least: pixels that a region must have.
    ///   - none: the index of pixels without a class.
    init(width: Int, least: Int, none: UInt16) {
        (self.least, self.none) = (least, none)
        scan = RegionScan(width: width, listingRunsBelow: least, except: none)
    }

    /// Returns the strips in which nothing changes any more.
    mutating func add(_ strip: SegmentedStrip, _ photo: PictureStrip?) -> [Strip] {
        held.append((strip, photo))
        remove(scan.add(strip.classes))
        let open = scan.firstRowOfSmall
        let final = held.prefix { $0.classes.rows.upperBound <= open ?? .max }
        held.removeFirst(final.count)
        return Array(final)
    }

    /// Ends the mask. Returns the strips that are left.
    mutating func finish() -> [Strip] {
        remove(scan.finish())
        defer { held = [] }
        return held
    }

    private mutating func remove(_ regions: [Region]) {
        for region in regions where region.pixels < least && region.value != none {
            for (row, run) in region.runs {
                guard let place = held.firstIndex(where: { $0.classes.rows.contains(row) }) else { continue }
                let width = held[place].classes.classes.count / held[place].classes.rows.count
                let start = (row - held[place].classes.rows.lowerBound) * width
                for x in run { held[place].classes.classes[start + Int(x)] = none }
            }
        }
    }
}
