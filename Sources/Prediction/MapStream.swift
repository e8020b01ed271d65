import BEiTImageIO
import BEiTOps
import BEiTTensorCore

/// The network's maps of a photo at one size, from top to bottom and from left to right: logits, or what a classifier makes
/// them of.
///
/// Where windows overlap their maps are averaged. In memory are only the rows of one row of windows, and of a wide photo,
/// when it is taken in parts, little more than the rows that the next row of windows shares with it.
final class MapStream {
    /// Bytes of a row of windows from which a photo is wide.
    static let wide = 128 << 20
    /// Columns of a wide photo's maps that are kept and forgotten together.
    private static let panel = 256

    private let network: WindowNetwork
    private let picture: any PictureRows
    private let plan: WindowPlan
    private let batch: Int
    /// Called after each batch of windows with their number.
    private let progress: (Int) throws -> Void
    private let wide: Int
    private var overlaps: OverlapCheck?
    private(set) var views: [View]
    /// Of each row of windows, how many are computed.
    private var computed: [Int]
    /// Pixels of a map per patch in each direction; known from the first window on.
    private var resolution = 0

    /// The photo as it is, or mirrored, with its maps turned back.
    struct View {
        let isMirrored: Bool
        /// From left to right.
        var panels: [Panel] = []
    }

    /// Some columns of patches.
    struct Panel {
        let patches: Range<Int>
        /// `[w, C]` each; the first is row `first`.
        var rows: [Tensor] = []
        var first = 0
    }

    /// Some rows of maps, `[w, C]` each, that begin with column `firstColumn`.
    struct Part {
        var rows: [Tensor]
        var firstColumn: Int
    }

    /// - Parameters:
    ///   - picture: resized as planned.
    ///   - isAlsoMirrored: the windows are seen mirrored as well.
    ///   - wide: see ``MapStream/wide``.
    ///   - overlaps: compares windows where they overlap.
    /// - Throws: ``NotFinite``, what `picture` and `progress` throw.
    init(
        _ network: WindowNetwork, _ picture: any PictureRows, _ plan: WindowPlan, isAlsoMirrored: Bool, batch: Int,
        wide: Int = MapStream.wide, overlaps: OverlapCheck? = nil, progress: @escaping (Int) throws -> Void = { _ in }
    ) throws {
        (self.network, self.picture, self.plan) = (network, picture, plan)
        (self.batch, self.wide, self.progress) = (max(1, batch), wide, progress)
        self.overlaps = overlaps
        views = (isAlsoMirrored ? [false, true] : [false]).map { View(isMirrored: $0) }
        computed = plan.rows.origins.map { _ in 0 }
        try computeWindows(of: 0, patches: 1)
    }

    /// What the windows so far say of each other.
    var certainty: Certainty { overlaps?.certainty ?? Certainty() }

    var height: Int { plan.rows.count * resolution }
    var width: Int { plan.columns.count * resolution }

    /// Whether it saves memory to take whole rows of windows in parts.
    var isWide: Bool { views[0].panels.count > 1 }

    /// The end of the rows that are final with the windows that the rows above `row` need. The last row of windows, which
    /// may share nearly all of its rows with the one before, comes together with it.
    func finalRows(with row: Int) -> Int {
        let count = windowRows(above: row)
        return count < plan.rows.origins.count - 1 ? plan.rows.origins[count] * resolution : height
    }

    /// Rows of windows that begin above a row.
    private func windowRows(above row: Int) -> Int { plan.rows.origins.prefix { $0 * resolution < row }.count }

    /// A part of the maps of each view.
    ///
    /// Parts of the same rows go from left to right over the whole width, then further down; rows and columns may overlap
    /// those before by two. What lies above and to the left of that is forgotten.
    func part(_ rows: Range<Int>, _ columns: Range<Int>) throws -> [Part] {
        for view in views.indices {
            for panel in views[view].panels.indices {
                let isDone = views[view].panels[panel].patches.upperBound * resolution <= columns.lowerBound
                views[view].panels[panel].forget(above: isDone ? rows.upperBound - 2 : rows.lowerBound)
            }
        }
        let end = (columns.upperBound + resolution - 1) / resolution
        try computeWindows(of: windowRows(above: rows.upperBound) - 1, patches: end)
        return views.map { part(of: $0.panels, rows, columns) }
    }

    private func part(of panels: [Panel], _ rows: Range<Int>, _ columns: Range<Int>) -> Part {
        let channels = network.channels
        var copy: Tensor?
        for panel in panels {
            let own = panel.patches.lowerBound * resolution..<panel.patches.upperBound * resolution
            let shared = own.clamped(to: columns)
            if shared.isEmpty { continue }
            precondition(rows.lowerBound >= panel.first, "rows from \(rows.lowerBound) on are gone")
            let found = panel.rows[rows.lowerBound - panel.first..<rows.upperBound - panel.first]
            if shared == columns { return Part(rows: Array(found), firstColumn: own.lowerBound) }
            let whole = copy ?? Tensor(uninitialized: [rows.count, columns.count, channels])
            copy = whole
            for (place, row) in found.enumerated() {
                (whole.pointer + (place * columns.count + shared.lowerBound - columns.lowerBound) * channels).update(
                    from: row.pointer + (shared.lowerBound - own.lowerBound) * channels, count: shared.count * channels)
            }
        }
        guard let copy else { preconditionFailure("no columns \(columns) of \(width)") }
        return Part(
            rows: (0..<rows.count).map { copy.rows($0..<$0 + 1).reshaped([columns.count, channels]) },
            firstColumn: columns.lowerBound)
    }

    /// Computes the windows of a row of windows that begin left of the patch `end`.
    ///
    /// Before each come those of the rows above that it overlaps, so that sums are always added up in the same order.
    private func computeWindows(of row: Int, patches end: Int) throws {
        let origins = plan.columns.origins
        while computed[row] < origins.count, origins[computed[row]] < end {
            let part = origins[computed[row]..<min(origins.count, computed[row] + batch)]
            if row > 0 { try computeWindows(of: row - 1, patches: origins[part.endIndex - 1] + plan.size.columns) }
            let first = computed.firstIndex { $0 < origins.count } ?? row
            let lines = plan.rows.origins[first]..<plan.rows.origins[row] + plan.size.rows
            var strip = try picture.strip(lines.lowerBound * plan.size.patch..<lines.upperBound * plan.size.patch)
            strip.top += (plan.rows.origins[row] - lines.lowerBound) * plan.size.patch
            for view in views.indices {
                let maps = network.maps(pixels(strip, lefts: part, isMirrored: views[view].isMirrored))
                try check(maps)
                if resolution == 0 { divide(maps.shape[1] / plan.size.rows) }
                for (place, left) in part.enumerated() {
                    add(maps, place, to: view, top: plan.rows.origins[row], left: left)
                }
                try progress(part.count)
            }
            computed[row] = part.endIndex
        }
    }

    /// Divides the views into panels.
    private func divide(_ resolution: Int) {
        self.resolution = resolution
        let floats = views.count * plan.size.rows * resolution * width * network.channels
        let isWhole = plan.isOneWindow || floats * MemoryLayout<Float>.stride < wide
        let count = plan.columns.count
        let step = isWhole ? count : max(1, Self.panel / resolution)
        for view in views.indices {
            views[view].panels = stride(from: 0, to: count, by: step).map { Panel(patches: $0..<min(count, $0 + step)) }
        }
    }

    private func check(_ maps: Tensor) throws(NotFinite) {
        precondition(
            maps.shape.count == 4 && maps.shape[1] % plan.size.rows == 0
                && maps.shape[1] / plan.size.rows == maps.shape[2] / plan.size.columns
                && maps.shape[3] == network.channels, "maps \(maps.shape) do not fit the patches")
        guard Elementwise.isFinite(maps) else { throw NotFinite() }
    }

    private func pixels(_ strip: PictureStrip, lefts: ArraySlice<Int>, isMirrored: Bool) -> Tensor {
        let size = plan.size
        let pixels = Tensor(uninitialized: [lefts.count, 3, size.height, size.width])
        for (index, left) in lefts.enumerated() {
            network.scaling.write(
                strip.image, x: left * size.patch, y: strip.top, width: size.width, height: size.height,
                isMirrored: isMirrored, to: pixels.pointer + index * 3 * size.height * size.width)
        }
        return pixels
    }

    /// Adds the window `index` of `maps` at the patch (`top`, `left`), by its share in the average.
    private func add(_ maps: Tensor, _ index: Int, to view: Int, top: Int, left: Int) {
        let (rows, columns, channels) = (maps.shape[1], maps.shape[2], network.channels)
        if views[view].isMirrored {
            for row in 0..<rows {
                Elementwise.reverseRows(maps.pointer + (index * rows + row) * columns * channels, columns, channels)
            }
        }
        if plan.isOneWindow {
            let all = maps.reshaped([rows, columns, channels])
            views[view].panels[0].rows = (0..<rows).map { all.rows($0..<$0 + 1).reshaped([columns, channels]) }
            return
        }
        let window = left..<left + plan.size.columns
        overlaps?.compare(
            maps, index, with: views[view].panels, plan, top: top, left: left, resolution: resolution)
        for panel in views[view].panels.indices where views[view].panels[panel].patches.overlaps(window) {
            let all = views[view].panels[panel].patches
            let end = top * resolution + rows
            views[view].panels[panel].extend(to: end, [all.count * resolution, channels])
            let shared = all.clamped(to: window)
            let runs = Self.runs(Array(plan.columns.coverage[shared]))
            let first = views[view].panels[panel].first
            for row in max(first, top * resolution)..<max(first, end) {
                let down = plan.rows.coverage[row / resolution]
                let from =
                    maps.pointer
                    + ((index * rows + row - top * resolution) * columns + (shared.lowerBound - left) * resolution)
                    * channels
                let to =
                    views[view].panels[panel].rows[row - first].pointer
                    + (shared.lowerBound - all.lowerBound) * resolution * channels
                for (patches, coverage) in runs {
                    let start = patches.lowerBound * resolution * channels
                    Elementwise.addScaled(
                        1 / Float(down * coverage), from + start, into: to + start,
                        count: patches.count * resolution * channels)
                }
            }
        }
    }

    /// Neighbours with the same value.
    private static func runs(_ values: [Int]) -> [(Range<Int>, Int)] {
        var runs: [(Range<Int>, Int)] = []
        for (place, value) in values.enumerated() {
            if let last = runs.last, last.1 == value {
                runs[runs.count - 1].0 = last.0.lowerBound..<place + 1
            } else {
                runs.append((place..<place + 1, value))
            }
        }
        return runs
    }
}

extension MapStream.Panel {
    fileprivate mutating func forget(above row: Int) {
        let count = min(max(row - first, 0), rows.count)
        rows.removeFirst(count)
        first += count
    }

    /// Appends rows of zeros.
    fileprivate mutating func extend(to end: Int, _ shape: [Int]) {
        while first + rows.count < end { rows.append(.zeros(shape)) }
    }
}
