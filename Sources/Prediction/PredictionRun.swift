import BEiTDatasets
import BEiTFiles
import BEiTImageIO
import Foundation
import Synchronization

/// What a prediction run is asked for.
package struct PredictionSettings: Sendable {
    /// The folder for the results.
    package var output: String
    package var formats: [PredictionFormat] = [.index, .overlay]
    package var overlay = OverlayStyle()
    package var selection = ClassSelection()
    /// The side of a photo's pixel on the ground, in metres; nil where nobody knows it.
    package var pixelSize: Double?
    /// Pixels that a polygon's line may lie beside the region's own.
    package var tolerance = 0.0
    /// Polygons have pixels for coordinates where a photo lies on a map, too.
    package var polygonsInPixels = false
    package var inference = InferenceOptions()
    /// Images are read row by row, whatever their size; the results are the same.
    package var tiles = false
    /// Images whose results are complete are skipped.
    package var resumes = false
    package var shard: Shard?
    /// Files that are read beside the images and the model, and must not be written to.
    package var alsoRead: [String] = []

    package init(output: String) { self.output = output }
}

/// What a run reports while it is under way.
package enum PredictionEvent: Sendable {
    /// An image is done or has failed; so many are left.
    case finished(PredictionRecord, left: Int)
    /// This share of an image is done, 0…1.
    case progress(path: String, Double)
}

/// Segments images into an output folder.
///
/// A thread reads and resizes, the caller's runs the network, another writes; a few images wait between them, so that the
/// network never waits for a disk. What lies in one image (it cannot be read, its result cannot be written, the network's
/// output is not finite) gets that image a record that says why, and the rest goes on; a full disk ends the run.
package struct PredictionRun {
    private let network: WindowNetwork
    private let heading: PredictionHeading
    private let settings: PredictionSettings
    private let form: ResultForm

    /// Throws ``SelectionError``.
    package init(
        _ network: WindowNetwork, classes: [LabelClass], heading: PredictionHeading, _ settings: PredictionSettings
    ) throws(SelectionError) {
        (self.network, self.heading, self.settings) = (network, heading, settings)
        form = ResultForm(
            folder: settings.output, formats: settings.formats,
            classes: try ResultClasses(classes, settings.selection), overlay: settings.overlay,
            pixelSize: settings.pixelSize, tolerance: settings.tolerance,
            polygonsInPixels: settings.polygonsInPixels)
    }

    /// Segments `images`, this process's part of them.
    ///
    /// - Parameter report: hears of the run's progress, on any thread.
    /// - Throws: `FileError` of status 64 where a result would be a file that is read, and of 74 where nothing more can be
    ///   written; ``PredictionError``.
    package func run(
        _ images: [InputImage], report: @escaping @Sendable (PredictionEvent) -> Void = { _ in }
    ) throws -> PredictionResult {
        let manifestPath = PredictionManifest.path(settings.output, settings.shard)
        let runFiles = RunFiles(settings.output, form.formats, form.resultClasses.listed, settings.shard)
        let plan = try ResultPlan(
            images, form, reads: settings.alsoRead + [heading.model], shared: [manifestPath] + runFiles.paths)
        guard let lock = try LockedFile(PredictionManifest.lock(manifestPath)) else {
            throw PredictionError.busy(folder: settings.output)
        }
        defer { withExtendedLifetime(lock) {} }
        let earlier =
            try settings.resumes
            ? EarlierResults(settings.output, heading.manifest(), own: manifestPath) : EarlierResults()
        if !settings.resumes { forgetOthers(manifestPath) }
        let part = settings.shard?.part(of: Array(images.enumerated())) ?? Array(images.enumerated())
        let records = RecordList(count: part.count, report: report)
        let open = sort(part, plan, earlier, records)
        let kept = earlier.others(than: part.map(\.element), form)
        for folder in Set(open.flatMap { form.folders($0.image.stem) } + [settings.output]) {
            AtomicFile.removeAbandoned(in: folder)
        }
        let complete = records.all.filter { $0.status == .done }
        let journal = PredictionJournal(
            PredictionJournal.path(manifestPath), heading, records: complete + kept.filter { $0.status == .done })
        let stop = try segment(open, records, journal)
        var manifest = try heading.manifest()
        (manifest.formats, manifest.classes) = (form.formats, form.resultClasses.listed)
        manifest.images = records.all + kept
        manifest.review = RunFiles.leastSureFirst(manifest.images).map(\.name)
        try manifest.write(to: manifestPath)
        // Behind this run's images those of earlier ones, with numbers that no other process gives.
        let earlierNumbers = kept.indices.map {
            images.count + (settings.shard?.number ?? 1) + $0 * (settings.shard?.count ?? 1)
        }
        let numbered = records.numbered.map { (part[$0].offset + 1, $1) } + zip(earlierNumbers, kept)
        try runFiles.write(numbered)
        journal.remove()
        if let stop { throw PredictionError.interrupted(signal: stop.signal, done: records.all.count, of: part.count) }
        return try result(records, manifest, skipped: complete.count)
    }

    private func result(
        _ records: RecordList, _ manifest: PredictionManifest, skipped: Int
    ) throws(PredictionError) -> PredictionResult {
        let all = records.all
        let failed = all.count { $0.status == .failed }
        if records.neverFinite > 0, records.neverFinite == all.count { throw .neverFinite(model: heading.model) }
        return PredictionResult(
            manifest: manifest, done: all.count - failed - skipped, skipped: skipped, failed: failed)
    }

    /// Removes manifests of runs that were shared among another number of processes: this one replaces their results.
    private func forgetOthers(_ own: String) {
        for path in PredictionManifest.paths(in: settings.output)
        where path != own && settings.shard?.isBeside(path) != true {
            RunFiles.remove(with: path)
        }
    }

    /// The images that are to be segmented; the others get their records.
    private func sort(
        _ images: [(offset: Int, element: InputImage)], _ plan: ResultPlan, _ earlier: EarlierResults,
        _ records: RecordList
    ) -> [PredictionJob] {
        var jobs: [PredictionJob] = []
        for (place, (index, image)) in images.enumerated() {
            if let obstacle = plan.obstacles[index] {
                records.set(place, PredictionRecord(image, failed: obstacle))
                continue
            }
            do {
                if let problem = image.problem { throw problem }
                let photo = try KnownFile(photo: image.path)
                if settings.resumes, let record = earlier.record(of: image, photo, form) {
                    records.take(place, record)
                } else {
                    jobs.append(PredictionJob(place: place, image: image, photo: photo))
                }
            } catch { records.set(place, PredictionRecord(image, failed: "\(error)")) }
        }
        return jobs
    }

    /// Segments images until a signal comes, and gives it back.
    private func segment(
        _ jobs: [PredictionJob], _ records: RecordList, _ journal: PredictionJournal
    ) throws -> Interruption.Stop? {
        let queue = BackgroundQueue(places: 16)
        var stop: Interruption.Stop?
        func failed(_ index: Int, _ error: any Error) {
            records.set(jobs[index].place, jobs[index].failure(error), isNotFinite: error is NotFinite)
        }
        do {
            try loop(jobs).run(failed: failed) { index, photo in
                do { try segment(jobs[index], photo, queue, records, journal) } catch  where !Obstacle.endsRun(error) {
                    failed(index, error)
                }
            }
        } catch let error as Interruption.Stop { stop = error } catch let error as CannotWrite { throw error.reason }
        do { try queue.finish() } catch let error as CannotWrite { throw error.reason }
        return stop
    }

    /// The photos in memory; nil for what is read row by row while it is segmented.
    private func loop(_ jobs: [PredictionJob]) -> ImageLoop<ReadPhoto?> {
        if settings.tiles { return ImageLoop(jobs.count, cost: { _ in 0 }, prepare: { _ in nil }) }
        return ImageLoop(
            jobs.count,
            cost: { [plan, keepsPhoto] in
                decodedBytes(jobs[$0].image.path, page: plan.of(jobs[$0].image).reading.page) * (keepsPhoto ? 2 : 1)
            },
            size: { $0?.bytes ?? 0 }
        ) { [plan, keepsPhoto] in try ReadPhoto(jobs[$0].image.path, plan.of(jobs[$0].image), keepingPhoto: keepsPhoto)
        }
    }

    private var plan: PhotoPlan { PhotoPlan(network, settings.inference) }
    private var keepsPhoto: Bool { form.formats.contains(.overlay) }

    /// On the writer's thread, what ends the run.
    private struct CannotWrite: Error {
        let reason: any Error

        static func translating(_ body: () throws -> Void) throws {
            do { try body() } catch { throw CannotWrite(reason: error) }
        }
    }

    private func segment(
        _ job: PredictionJob, _ photo: ReadPhoto?, _ queue: BackgroundQueue, _ records: RecordList,
        _ journal: PredictionJournal
    ) throws {
        let start = ContinuousClock.now
        let photo =
            try photo.map(LoadedPhoto.init)
            ?? LoadedPhoto(streaming: job.image.path, plan.of(job.image), keepingPhoto: keepsPhoto)
        let writing = ImageWriting(
            job, form, photo, views: photo.input.pictures.count * (settings.inference.flips ? 2 : 1))
        let progress = { (share: Double) in
            try Interruption.check()
            records.progress(job.image.path, share)
        }
        try PhotoSegmenter(network, settings.inference, classes: form.resultClasses).segment(
            photo.input, form.results, progress: progress
        ) {
            strip in
            let part = try photo.original?.strip(strip.rows)
            let bytes = strip.bytes + (part?.image.pixels.count ?? 0)
            try queue.submit(holding: bytes) { try CannotWrite.translating { try writing.write(strip, part) } }
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        try queue.submit {
            try CannotWrite.translating {
                try journal.begin()
                let record = try writing.finish(seconds: seconds)
                if record.status == .done { try journal.add(record) }
                records.set(job.place, record)
            }
        }
    }
}

extension Shard {
    /// Whether a manifest is that of a process which shares the work with this one.
    fileprivate func isBeside(_ manifest: String) -> Bool { manifest.hasSuffix("-of-\(count).json") }
}

/// What a run has done.
package struct PredictionResult: Sendable {
    package var manifest: PredictionManifest
    /// Images that this run has done.
    package var done: Int
    /// Images that an earlier run had done.
    package var skipped: Int
    /// Images of this run that failed.
    package var failed: Int
}

/// The records of a run, filled from several threads.
private final class RecordList: Sendable {
    private struct State {
        var records: [PredictionRecord?]
        var left: Int
        var neverFinite = 0
    }
    private let state: Mutex<State>
    private let report: @Sendable (PredictionEvent) -> Void
    let count: Int

    init(count: Int, report: @escaping @Sendable (PredictionEvent) -> Void) {
        state = Mutex(State(records: Array(repeating: nil, count: count), left: count))
        (self.count, self.report) = (count, report)
    }

    func set(_ place: Int, _ record: PredictionRecord, isNotFinite: Bool = false) {
        if isNotFinite { state.withLock { $0.neverFinite += 1 } }
        report(.finished(record, left: take(place, record)))
    }

    /// As ``set``, for what an earlier run did: nobody needs to hear of it. Returns how many are left.
    @discardableResult func take(_ place: Int, _ record: PredictionRecord) -> Int {
        state.withLock {
            $0.records[place] = record
            $0.left -= 1
            return $0.left
        }
    }

    func progress(_ path: String, _ share: Double) { report(.progress(path: path, share)) }

    /// In the order of the images.
    var all: [PredictionRecord] { state.withLock { $0.records.compactMap { $0 } } }

    /// The same, with their places among the images.
    var numbered: [(Int, PredictionRecord)] {
        state.withLock { $0.records.enumerated().compactMap { place, record in record.map { (place, $0) } } }
    }

    /// Images for which the network's output was not finite.
    var neverFinite: Int { state.withLock { $0.neverFinite } }
}
