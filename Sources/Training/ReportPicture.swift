/// A picture in a run's `report.html`.
public struct ReportPicture: Sendable {
    public var caption: String
    /// The bytes of a PNG file.
    public var png: [UInt8]

    public init(caption: String, png: [UInt8]) { (self.caption, self.png) = (caption, png) }
}
