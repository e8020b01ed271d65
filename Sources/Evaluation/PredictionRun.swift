import Checkpoints
import Datasets
import Foundation
import ImageIO
import Synchronization

/// What `predict` is asked for.
public struct PredictionSettings: Sendable {
    public var output: String
    public var formats: [PredictionFormat] = [.index, .overlay]
    public var inference = InferenceOptions()
    /// Images whose results are complete are skipped.
    public var resumes = false
    public var shard: Shard?

    public init(output: String) { self.output = output }
}

/// Segments images into an output folder.
///
/// A thread reads and resizes, the caller's runs the network, another writes; a few images wait between them, so that the
/// network never waits for a disk.
public struct PredictionRun {
    private let network: WindowNetwork
    private let classes: [ClassInfo]
    /// The model's file, for the manifest.
    private let model: String
    private let settings: PredictionSettings

    public init(_ network: WindowNetwork, classes: [ClassInfo], model: String, _ settings: PredictionSettings) {
        (self.network, self.classes, self.model, self.settings) = (network, classes, model, settings)
    }

    private struct Loaded: Sendable {
        var prepared: PreparedPhoto
        /// Kept where an overlay needs it.
        var photo: RGBImage?
    }

    /// Segments `images`, this process's part of them. An image that cannot be read gets a record that says why, and the
    /// rest goes on.
    ///
    /// - Parameter report: hears of each image that is done or has failed, on any thread.
    /// - Returns: what stands in the manifest.
    /// - Throws: ``FileError`` where results cannot be written.
    public func run(
        _ images: [InputImage], report: @escaping @Sendable (PredictionRecord) -> Void = { _ in }
    ) throws -> PredictionManifest {
        let images = settings.shard?.part(of: images) ?? images
        let writer = PredictionWriter(folder: settings.output, formats: settings.formats, classes: classes)
        let records = RecordList(count: images.count, report: report)
        let manifestPath = PredictionManifest.path(settings.output, settings.shard)
        let open = sort(images, writer, earlier: PredictionManifest.earlierRecords(manifestPath), records)
        let queue = BackgroundQueue(places: 3)
        let segmenter = PhotoSegmenter(network, settings.inference)
        let photos = loader(open.map { images[$0].path })
        for index in open {
            let image = images[index]
            do {
                guard let loaded = try photos.next() else { break }
                let start = ContinuousClock.now
                let result = segmenter.segment(
                    loaded.prepared, confidence: settings.formats.contains(.confidence))
                let seconds = (ContinuousClock.now - start) / .seconds(1)
                try submit(queue) { [classes] in
                    try writer.write(result, photo: loaded.photo, stem: image.stem)
                    records.set(index, PredictionRecord(image.path, result, classes, seconds: seconds))
                }
            } catch let error as WriteFailure {
                throw error.cause
            } catch {
                records.set(index, PredictionRecord(image.path, failed: "\(error)"))
            }
        }
        try queue.finish()
        let manifest = PredictionManifest(model: model, images: records.all)
        try manifest.write(to: manifestPath)
        return manifest
    }

    /// Trouble with the output ends the run, trouble with an image does not.
    private struct WriteFailure: Error {
        var cause: any Error
    }

    private func submit(_ queue: BackgroundQueue, _ job: @escaping @Sendable () throws -> Void) throws {
        do { try queue.submit(job) } catch { throw WriteFailure(cause: error) }
    }

    private func loader(_ paths: [String]) -> Prefetcher<Loaded> {
        Prefetcher(0..<paths.count, ahead: 3, threads: 1) {
            [size = network.size, options = settings.inference, keepsPhoto = settings.formats.contains(.overlay)] in
            let photo = try decodeImage(paths[$0])
            return Loaded(prepared: PreparedPhoto(photo, size, options), photo: keepsPhoto ? photo : nil)
        }
    }

    /// The images that are to be segmented; the others get their records.
    private func sort(
        _ images: [InputImage], _ writer: PredictionWriter, earlier: [String: PredictionRecord], _ records: RecordList
    ) -> [Int] {
        var owners: [String: String] = [:]
        return images.indices.filter { index in
            let image = images[index]
            if let owner = owners.updateValue(image.path, forKey: image.stem) {
                owners[image.stem] = owner
                records.set(
                    index,
                    PredictionRecord(
                        image.path,
                        failed: "\(image.path): its results would overwrite those of \(owner); rename one of them"))
                return false
            }
            guard settings.resumes, writer.isComplete(image.stem) else { return true }
            var record = earlier[image.path] ?? PredictionRecord(image.path, .skipped)
            record.status = .skipped
            records.set(index, record)
            return false
        }
    }
}

/// The records of a run, filled from several threads.
private final class RecordList: Sendable {
    private let records: Mutex<[PredictionRecord?]>
    private let report: @Sendable (PredictionRecord) -> Void

    init(count: Int, report: @escaping @Sendable (PredictionRecord) -> Void) {
        records = Mutex([PredictionRecord?](repeating: nil, count: count))
        self.report = report
    }

    func set(_ index: Int, _ record: PredictionRecord) {
        records.withLock { $0[index] = record }
        if record.status != .skipped { report(record) }
    }

    /// In the order of the images.
    var all: [PredictionRecord] { records.withLock { $0.compactMap { $0 } } }
}

extension PredictionRecord {
    fileprivate init(_ path: String, failed error: String) {
        self.init(path, .failed)
        self.error = error
    }

    fileprivate init(_ path: String, _ result: Segmentation, _ classes: [ClassInfo], seconds: Double) {
        self.init(path, .done)
        (width, height, self.seconds) = (result.width, result.height, seconds)
        var counts = [Int](repeating: 0, count: classes.count)
        for index in result.classes { counts[Int(index)] += 1 }
        var pixels: [String: Int] = [:]
        for (index, count) in counts.enumerated() where count > 0 { pixels[classes[index].name, default: 0] += count }
        self.pixels = pixels
    }
}
