import BEiTFiles
import BEiTImageIO

/// The regions of an image as GeoJSON (RFC 7946), each a polygon: written as they end, from top to bottom.
final class PolygonFile: ResultFile {
    private let file: AtomicText
    private let classes: [LabelClass]
    private let tolerance: Double
    private let pixelArea: Double?
    /// To the map; nil for coordinates in pixels.
    private let map: GeoReference?
    private var scan: RegionScan
    private var count = 0

    private struct Properties: Encodable {
        var index: Int
        var `class`: String
        var pixels: Int
        var square_metres: Double?
    }

    /// - Parameter reference: where the photo lies.
    /// - Throws: `FileError`.
    init(_ path: String, width: Int, _ form: ResultForm, _ reference: GeoReference?) throws {
        file = try AtomicText(path)
        (classes, tolerance, pixelArea) = (form.classes, form.tolerance, form.pixelArea(reference))
        map = form.polygonsInPixels ? nil : reference
        scan = RegionScan(width: width, tracingOutlines: true)
        try file.write("{\"type\": \"FeatureCollection\", \(map?.systemMember ?? "")\"features\": [")
    }

    func write(_ strip: SegmentedStrip, _ photo: PictureStrip?) throws {
        for region in scan.add(strip.classes) { try write(region) }
    }

    func finish() throws {
        for region in scan.finish() { try write(region) }
        try file.write("\n]}\n")
        try file.commit()
    }

    private func write(_ region: Region) throws {
        let outline = scan.takeOutline(region)
        guard Int(region.value) < classes.count else { return }  // pixels without a class
        let polygon = RegionPolygon(outline, tolerance: tolerance)
        // Simplified away.
        guard !polygon.outer.isEmpty else { return }
        let properties = Properties(
            index: Int(region.value), class: classes[Int(region.value)].name, pixels: region.pixels,
            square_metres: pixelArea.map { Double(region.pixels) * $0 })
        try file.write(
            (count == 0 ? "\n" : ",\n") + "{\"type\": \"Feature\", \"properties\": "
                + (try JSONText.line(properties)) + ", \"geometry\": {\"type\": \"Polygon\", \"coordinates\": [")
        for (place, ring) in ([polygon.outer] + polygon.holes).enumerated() {
            try file.write(place == 0 ? "[" : ",[")
            try write(ring)
            try file.write("]")
        }
        try file.write("]}}")
        count += 1
    }

    /// Writes a ring's corners, the first again at its end; outer rings turn counterclockwise as numbers, in pixels and on
    /// the map. A ring may have millions: their text is made piece by piece.
    private func write(_ ring: [Corner]) throws {
        let isReversed = map?.mirrors ?? false
        for place in 0...ring.count {
            let corner = ring[isReversed ? (ring.count - place) % ring.count : place % ring.count]
            try file.write(place == 0 ? text(corner) : "," + text(corner))
        }
    }

    private func text(_ corner: Corner) -> String {
        guard let map else { return "[\(corner.x),\(corner.y)]" }
        let place = map.place(column: Double(corner.x), row: Double(corner.y))
        return "[\(place.x),\(place.y)]"
    }
}

extension GeoReference {
    /// GeoJSON's member for a coordinate system other than longitude and latitude (GeoJSON 2008, section 3; map programs
    /// read it, though RFC 7946 dropped it).
    fileprivate var systemMember: String? {
        guard let epsg, epsg != 4326 else { return nil }
        return "\"crs\": {\"type\": \"name\", \"properties\": {\"name\": \"urn:ogc:def:crs:EPSG::\(epsg)\"}}, "
    }
}
