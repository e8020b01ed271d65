import Files
import Foundation

/// What became of an image.
public struct PredictionRecord: Codable, Equatable, Sendable {
    public enum Status: String, Codable, Sendable {
        case done, failed
        /// Its results were complete already (`--resume`).
        case skipped
    }
    /// As it was opened.
    public var path: String
    public var status: Status
    /// Of the image, upright, in pixels.
    public var width, height: Int?
    /// Spent on its segmentation, without reading and writing.
    public var seconds: Double?
    /// Pixels of each class that occurs, by name.
    public var pixels: [String: Int]?
    /// Why it failed.
    public var error: String?

    init(_ path: String, _ status: Status) { (self.path, self.status) = (path, status) }
}

/// The file `predictions.json` in the output folder.
public struct PredictionManifest: Codable, Equatable, Sendable {
    /// The model's file.
    public var model: String
    /// In the order of the images.
    public var images: [PredictionRecord]

    public func count(_ status: PredictionRecord.Status) -> Int { images.count { $0.status == status } }

    /// Processes that share the work have a manifest each.
    static func path(_ folder: String, _ shard: Shard?) -> String {
        let name = shard.map { "predictions-\($0.number)-of-\($0.count).json" } ?? "predictions.json"
        return (folder as NSString).appendingPathComponent(name)
    }

    /// The records of an earlier run by path; none where there is no manifest, or no readable one.
    static func earlierRecords(_ path: String) -> [String: PredictionRecord] {
        guard let data = FileManager.default.contents(atPath: path),
            let manifest = try? JSONDecoder().decode(PredictionManifest.self, from: data)
        else { return [:] }
        return Dictionary(manifest.images.map { ($0.path, $0) }) { _, last in last }
    }

    func write(to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try AtomicFile.write(String(decoding: try encoder.encode(self), as: UTF8.self) + "\n", to: path)
    }
}
