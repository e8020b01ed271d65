import ImageIO

/// A picture in a run's `report.html`.
public struct ReportPicture: Sendable {
    public var caption: String
    /// The bytes of a PNG file.
    public var png: [UInt8]

    public init(_ caption: String, _ image: RGBImage) throws {
        (self.caption, png) = (caption, try encodePNG(image))
    }
}
