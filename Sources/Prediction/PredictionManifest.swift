import BEiTImageIO
import BEiTCheckpoints
import BEiTFiles
import Foundation

/// What became of an image.
package struct PredictionRecord: Codable, Equatable, Sendable {
    package enum Status: String, Codable, Sendable {
        case done, failed
    }
    /// As it was opened.
    package var path: String
    package var status: Status
    /// Of the image, upright, in pixels.
    package var width, height: Int?
    /// Spent on its segmentation, without reading and writing.
    package var seconds: Double?
    /// Pixels of each class that occurs, by name.
    package var pixels: [String: Int]?
    /// Why it failed.
    package var error: String?

    /// An image that failed.
    init(_ path: String, failed error: String) { (self.path, status, self.error) = (path, .failed, error) }

    /// An image that is done.
    init(
        _ path: String, _ width: Int, _ height: Int, _ counts: ClassCounts, _ classes: [LabelClass],
        seconds: Double? = nil
    ) {
        (self.path, status) = (path, .done)
        (self.width, self.height, self.seconds) = (width, height, seconds)
        var pixels: [String: Int] = [:]
        for (info, count) in zip(classes, counts.pixels) where count > 0 { pixels[info.name, default: 0] += count }
        self.pixels = pixels
    }
}

/// Pixels of each class.
struct ClassCounts {
    private(set) var pixels: [Int]

    /// - Precondition: `values` are below `classes`.
    init(_ values: [UInt16] = [], of classes: Int) {
        pixels = [Int](repeating: 0, count: classes)
        add(values)
    }

    mutating func add(_ values: [UInt16]) { for index in values { pixels[Int(index)] += 1 } }
}

/// The file `predictions.json` in the output folder.
package struct PredictionManifest: Codable, Equatable, Sendable {
    /// The model's file.
    package var model: String
    /// Of its contents (its SHA-256); the first manifests had none.
    package var modelFingerprint: String?
    /// What changes results beside the model, as it was typed: `--slide --flip`; the first manifests did not say.
    package var options: String?
    /// In the order of the images.
    package var images: [PredictionRecord] = []

    /// The manifest of a run that has not begun. Throws ``FileError`` where the model cannot be read.
    package init(model: String, options: String) throws {
        (self.model, self.options) = (model, options)
        modelFingerprint = try SHA256.hexDigest(ofFile: model)
    }

    private enum CodingKeys: String, CodingKey {
        case model, options, images
        case modelFingerprint = "model_fingerprint"
    }

    /// Whether the results of both can lie in one folder.
    func goesWith(_ other: PredictionManifest) -> Bool {
        modelFingerprint == other.modelFingerprint && options == other.options
    }

    package func count(_ status: PredictionRecord.Status) -> Int { images.count { $0.status == status } }

    /// Processes that share the work have a manifest each.
    static func path(_ folder: String, _ shard: Shard?) -> String {
        let name = shard.map { "predictions-\($0.number)-of-\($0.count).json" } ?? "predictions.json"
        return (folder as NSString).appendingPathComponent(name)
    }

    /// The file that a run holds (`LockedFile`), beside its manifest.
    static func lock(_ manifest: String) -> String { hidden(manifest, "lock") }

    fileprivate static func hidden(_ manifest: String, _ ending: String) -> String {
        let manifest = manifest as NSString
        return (manifest.deletingLastPathComponent as NSString)
            .appendingPathComponent(".\(manifest.lastPathComponent).\(ending)")
    }

    /// The paths of the manifests in a folder, whatever number of processes shared the work; of a run that was cut off
    /// there may be the journal alone.
    static func paths(in folder: String) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        let manifests = names.compactMap { name -> String? in
            var name = name
            if name.hasPrefix("."), name.hasSuffix(".journal") { name = String(name.dropFirst().dropLast(8)) }
            guard name.wholeMatch(of: /predictions(-[0-9]+-of-[0-9]+)?\.json/) != nil else { return nil }
            return (folder as NSString).appendingPathComponent(name)
        }
        return Set(manifests).sorted()
    }

    /// What is known of the run whose manifest is or will be at `path`; nil where it left nothing. Throws
    /// ``PredictionError`` where what it left cannot be read.
    static func earlier(_ path: String) throws(PredictionError) -> PredictionManifest? {
        if let journal = PredictionJournal.read(PredictionJournal.path(path)) { return journal }
        guard let data = FileManager.default.contents(atPath: path) else { return nil }
        guard let manifest = try? JSONText.decode(PredictionManifest.self, from: data, of: path) else {
            throw .unreadable(manifest: path)
        }
        return manifest
    }

    /// Throws ``FileError``.
    func write(to path: String) throws {
        try AtomicFile.write(JSONText.pretty(self) + "\n", to: path)
    }
}

/// The records of a run that is not finished, a line each: what a killed run leaves for the next one.
final class PredictionJournal: Sendable {
    private let path: String

    static func path(_ manifest: String) -> String { PredictionManifest.hidden(manifest, "journal") }

    /// A new journal that begins with `records`. Throws ``FileError``.
    init(_ path: String, _ heading: PredictionManifest, records: [PredictionRecord]) throws {
        self.path = path
        let lines = try [Self.line(heading)] + records.map { try Self.line($0) }
        try AtomicFile.write(lines.flatMap { $0 }, to: path)
    }

    /// Throws ``FileError``, also where the journal has been removed, with the folder or without.
    func add(_ record: PredictionRecord) throws { try appendBytes(try Self.line(record), to: path) }

    func remove() { path.withFileSystemName { _ = unlink($0) } }

    private static func line(_ value: some Encodable) throws -> [UInt8] {
        Array((try JSONText.line(value) + "\n").utf8)
    }

    /// What a killed run recorded, without a last line that is not whole; nil where none was killed.
    static func read(_ path: String) -> PredictionManifest? {
        guard let data = FileManager.default.contents(atPath: path) else { return nil }
        let lines = data.split(separator: UInt8(ascii: "\n"))
        guard
            var result = lines.first.flatMap({ try? JSONText.decode(PredictionManifest.self, from: $0, of: path) })
        else { return nil }
        result.images = lines.dropFirst().compactMap { try? JSONText.decode(from: $0, of: path) }
        return result
    }
}
