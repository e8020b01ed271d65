import BEiTImageIO

/// A picture in a run's `report.html`.
package struct ReportPicture: Sendable {
    package var caption: String
    /// The bytes of a PNG file.
    package var png: [UInt8]

    package init(_ caption: String, _ image: RGBImage) throws {
        (self.caption, png) = (caption, try encodePNG(image))
    }
}
