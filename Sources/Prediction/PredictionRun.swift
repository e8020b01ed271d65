import BEiTCheckpoints
import BEiTDatasets
import BEiTFiles
import Foundation
import BEiTImageIO
import Synchronization

/// What `predict` is asked for.
package struct PredictionSettings: Sendable {
    package var output: String
    package var formats: [PredictionFormat] = [.index, .overlay]
    package var inference = InferenceOptions()
    /// Images larger than memory are worked through in strips (``StripSegmenter``).
    package var tiles = false
    /// Images whose results are complete are skipped.
    package var resumes = false
    package var shard: Shard?

    package init(output: String) { self.output = output }
}

/// Segments images into an output folder.
///
/// A thread reads and resizes, the caller's runs the network, another writes; a few images wait between them, so that the
/// network never waits for a disk.
package struct PredictionRun {
    private let network: WindowNetwork
    private let classes: [LabelClass]
    /// The manifest, yet without images.
    private let heading: PredictionManifest
    private let settings: PredictionSettings

    package init(
        _ network: WindowNetwork, classes: [LabelClass], heading: PredictionManifest, _ settings: PredictionSettings
    ) {
        (self.network, self.classes, self.heading, self.settings) = (network, classes, heading, settings)
    }

    /// A photo as the network sees it, and itself where an overlay needs it.
    private typealias Loaded = (prepared: PreparedPhoto, photo: RGBImage?)

    /// Segments `images`, this process's part of them. An image that cannot be read gets a record that says why, and the
    /// rest goes on.
    ///
    /// - Parameter report: hears of each image that is done or has failed, on any thread, and of how many are left.
    /// - Throws: ``FileError`` where results cannot be written, ``PredictionError``.
    package func run(
        _ images: [InputImage], report: @escaping @Sendable (PredictionRecord, _ left: Int) -> Void = { _, _ in }
    ) throws -> PredictionResult {
        let owners = Dictionary(images.map { ($0.stem, $0.path) }) { first, _ in first }
        let images = settings.shard?.part(of: images) ?? images
        let writer = PredictionWriter(folder: settings.output, formats: settings.formats, classes: classes)
        let records = RecordList(count: images.count, report: report)
        let manifestPath = PredictionManifest.path(settings.output, settings.shard)
        guard let lock = try LockedFile(PredictionManifest.lock(manifestPath)) else {
            throw PredictionError.busy(folder: settings.output)
        }
        defer { withExtendedLifetime(lock) {} }
        let earlier = try settings.resumes ? Earlier(settings.output, heading) : Earlier()
        if !settings.resumes { forgetOthers(manifestPath) }
        let open = sort(images, writer, owners, earlier, records)
        let folders = open.map { AtomicFile.parent(writer.path(images[$0].stem, .index)) }
        for folder in Set(folders + [settings.output]) { AtomicFile.removeAbandoned(in: folder) }
        let complete = records.all.filter { $0.status == .done }
        let journal = try PredictionJournal(PredictionJournal.path(manifestPath), heading, records: complete)
        try Interruption.noting(patience: Interruption.short) {
            if settings.tiles {
                try segmentInStrips(images, open, writer, records, journal)
            } else {
                try segment(images, open, writer, records, journal)
            }
        }
        var manifest = heading
        manifest.images = records.all
        try manifest.write(to: manifestPath)
        journal.remove()
        if let signal = Interruption.signal, manifest.images.count < images.count {
            throw PredictionError.interrupted(signal: signal, done: manifest.images.count, of: images.count)
        }
        return PredictionResult(manifest: manifest, skipped: complete.count)
    }

    /// Segments the images of these indices, until a signal comes.
    private func segment(
        _ images: [InputImage], _ open: [Int], _ writer: PredictionWriter, _ records: RecordList,
        _ journal: PredictionJournal
    ) throws {
        let queue = BackgroundQueue(places: 3)
        let segmenter = PhotoSegmenter(network, settings.inference)
        let photos = loader(open.map { images[$0].path })
        for index in open where Interruption.signal == nil {
            let image = images[index]
            let loaded: Loaded
            do {
                guard let next = try photos.next() else { break }
                loaded = next
            } catch {
                records.set(index, PredictionRecord(image.path, failed: "\(error)"))
                continue
            }
            let start = ContinuousClock.now
            let probabilities = try writer.probabilities(image.stem, loaded.prepared)
            let result = try segmenter.segment(
                loaded.prepared, confidence: settings.formats.contains(.confidence),
                probabilities: probabilities.map { writer in { try writer.write($0, $1) } })
            try probabilities?.finish()
            let seconds = (ContinuousClock.now - start) / .seconds(1)
            try queue.submit { [classes] in
                try writer.write(result, photo: loaded.photo, stem: image.stem)
                let counts = ClassCounts(result.classes, of: classes.count)
                let record = PredictionRecord(
                    image.path, result.width, result.height, counts, classes, seconds: seconds)
                try journal.add(record)
                records.set(index, record)
            }
        }
        try queue.finish()
    }

    /// As ``segment``, image after image and each strip by strip.
    private func segmentInStrips(
        _ images: [InputImage], _ open: [Int], _ writer: PredictionWriter, _ records: RecordList,
        _ journal: PredictionJournal
    ) throws {
        let prediction = StripPrediction(network, settings.inference, writer)
        for index in open where Interruption.signal == nil {
            let image = images[index]
            do {
                guard let record = try prediction.predict(image) else { return }
                try journal.add(record)
                records.set(index, record)
            } catch let error where StripPrediction.isAbout(image, error) {
                records.set(index, PredictionRecord(image.path, failed: "\(error)"))
            }
        }
    }

    /// Removes manifests of runs that were shared among another number of processes: this one replaces their results.
    private func forgetOthers(_ own: String) {
        for path in PredictionManifest.paths(in: settings.output)
        where path != own && settings.shard?.isBeside(path) != true {
            unlink(path)
            unlink(PredictionJournal.path(path))
        }
    }

    private func loader(_ paths: [String]) -> Prefetcher<Loaded> {
        Prefetcher(0..<paths.count, ahead: 3, threads: 1) {
            [size = network.size, options = settings.inference, keepsPhoto = settings.formats.contains(.overlay)] in
            try PreparedPhoto.read(paths[$0], size, options, keepingPhoto: keepsPhoto)
        }
    }

    /// The images that are to be segmented; the others get their records.
    /// - Parameter owners: by stem the image whose results bear it, among those of all processes.
    private func sort(
        _ images: [InputImage], _ writer: PredictionWriter, _ owners: [String: String], _ earlier: Earlier,
        _ records: RecordList
    ) -> [Int] {
        var taken: Set<String> = []
        return images.indices.filter { index in
            let image = images[index], owner = owners[image.stem] ?? image.path
            if owner != image.path || !taken.insert(image.stem).inserted {
                records.set(
                    index,
                    PredictionRecord(
                        image.path,
                        failed: "\(image.path): its results would overwrite those of \(owner); rename one of them"))
                return false
            }
            guard settings.resumes, writer.isComplete(image.stem) else { return true }
            guard
                let record = earlier.records[image.path] ?? (earlier.isKnown ? nil : writer.record(of: image, classes))
            else { return true }
            records.take(index, record)
            return false
        }
    }
}

extension Shard {
    /// Whether a manifest is that of a process which shares the work with this one.
    fileprivate func isBeside(_ manifest: String) -> Bool { manifest.hasSuffix("-of-\(count).json") }
}

/// What earlier runs left in the output folder.
private struct Earlier {
    /// Of complete images, by path.
    var records: [String: PredictionRecord] = [:]
    /// Whether the last run left records. Results without one are then older, and of other options perhaps: they do not
    /// count.
    var isKnown = false

    init() {}

    /// All that lies in `folder`, of whatever number of processes. Throws ``PredictionError`` where it is of another model
    /// or other options than `heading`.
    init(_ folder: String, _ heading: PredictionManifest) throws(PredictionError) {
        for path in PredictionManifest.paths(in: folder) {
            guard let manifest = try PredictionManifest.earlier(path) else { continue }
            guard manifest.goesWith(heading) else {
                throw .otherResults(folder: folder, manifest.model, options: manifest.options ?? "")
            }
            for record in manifest.images where record.status == .done { records[record.path] = record }
            isKnown = true
        }
    }
}

/// What a run has done.
package struct PredictionResult: Sendable {
    package var manifest: PredictionManifest
    /// Images that an earlier run had done (`--resume`).
    package var skipped: Int
    package var failed: Int { manifest.count(.failed) }
    /// Images that this run has done.
    package var done: Int { manifest.count(.done) - skipped }
}

/// Why a run ends before its images do.
package enum PredictionError: ExitStatus, Equatable {
    /// A signal; what is done is complete and stands in the manifest.
    case interrupted(signal: Int32, done: Int, of: Int)
    /// The folder holds the results of another model, or of other options.
    case otherResults(folder: String, String, options: String)
    /// What an earlier run has noted cannot be read.
    case unreadable(manifest: String)
    /// Another process writes there.
    case busy(folder: String)

    package var exitStatus: Int32 {
        switch self {
        case .interrupted(let signal, _, _): 128 + signal
        case .otherResults, .busy: 64
        case .unreadable: 65
        }
    }

    package var description: String {
        switch self {
        case .interrupted(_, let done, let all): "interrupted after \(done) of \(all) images; --resume goes on"
        case .otherResults(let folder, let model, let options):
            "\(folder): its results were made by \(model) as it was then, with \(options.isEmpty ? "no options" : options); "
                + "resume with the same model and options, or choose another folder"
        case .unreadable(let manifest):
            "\(manifest): is no list of predictions, or a damaged one; remove it, or choose another folder"
        case .busy(let folder):
            "\(folder): another process is writing its results there; wait until it ends, choose another folder, or share "
                + "the images with --shard"
        }
    }
}

extension PredictionWriter {
    /// The record of complete results that no manifest knows: from the index mask, where there is one that fits.
    fileprivate func record(of image: InputImage, _ classes: [LabelClass]) -> PredictionRecord? {
        guard formats.contains(.index), let mask = try? decodeMask(path(image.stem, .index)),
            mask.values.allSatisfy({ $0 < classes.count })
        else { return nil }
        let counts = ClassCounts(mask.values, of: classes.count)
        return PredictionRecord(image.path, mask.width, mask.height, counts, classes)
    }
}

/// The records of a run, filled from several threads.
private final class RecordList: Sendable {
    private struct State {
        var records: [PredictionRecord?]
        var left: Int
    }
    private let state: Mutex<State>
    private let report: @Sendable (PredictionRecord, _ left: Int) -> Void

    init(count: Int, report: @escaping @Sendable (PredictionRecord, _ left: Int) -> Void) {
        state = Mutex(State(records: Array(repeating: nil, count: count), left: count))
        self.report = report
    }

    func set(_ index: Int, _ record: PredictionRecord) { report(record, take(index, record)) }

    /// As ``set``, for what an earlier run did: nobody needs to hear of it. Returns how many are left.
    @discardableResult func take(_ index: Int, _ record: PredictionRecord) -> Int {
        state.withLock {
            $0.records[index] = record
            $0.left -= 1
            return $0.left
        }
    }

    /// In the order of the images.
    var all: [PredictionRecord] { state.withLock { $0.records.compactMap { $0 } } }
}
