import BEiTDatasets
import BEiTFiles
import BEiTImageIO
import BEiTProcesses
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
    /// An image is done or has failed; so many of all have been, or are in the hands of other processes.
    case finished(PredictionRecord, done: Int, of: Int)
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
    /// - Parameters:
    ///   - team: the processes that share the work and write one manifest. Each keeps a journal, so that of a run that is cut
    ///     off nothing is lost.
    ///   - report: hears of the run's progress, on any thread.
    /// - Returns: what was done; of several processes the first one knows.
    /// - Throws: `FileError` of status 64 where a result would be a file that is read, and of 74 where nothing more can be
    ///   written; ``PredictionError``.
    package func run(
        _ images: [InputImage], by team: any Communicator = SingleProcess(),
        report: @escaping @Sendable (PredictionEvent) -> Void = { _ in }
    ) throws -> PredictionResult {
        try team.requireSameImages(images.lazy.map { "\($0.path)#\($0.page ?? 1) \($0.stem)" })
        let part = settings.shard?.part(of: Array(images.enumerated())) ?? Array(images.enumerated())
        let records = RecordList(count: part.count, report: report)
        var claim = Claim()
        let open = try team.fromFirst { try begin(images, part, records, &claim) }
        defer { withExtendedLifetime(claim) {} }
        let complete = records.all.filter { $0.status == .done }
        let journalPath = team.isFirst ? manifestPath : PredictionManifest.path(settings.output, process: team.rank)
        let journal = PredictionJournal(
            PredictionJournal.path(journalPath), heading, records: complete + claim.kept.filter { $0.status == .done })
        // Before another process begins one, and with it forgets what it had done before.
        if team.size > 1 { try team.first { try journal.begin() } }
        let stop = try segment(open.map { ($0, part[$0].element) }, team, records, journal)
        var manifest = heading.soFar
        try team.first { manifest = try conclude(records, part.map { $0.offset + 1 }, of: images.count, claim) }
        journal.remove()
        if let stop { throw PredictionError.interrupted(signal: stop.signal, done: records.all.count, of: part.count) }
        return try result(records, manifest, skipped: complete.count)
    }

    private var manifestPath: String { PredictionManifest.path(settings.output, settings.shard) }
    private var runFiles: RunFiles {
        RunFiles(settings.output, form.formats, form.resultClasses.listed, settings.shard)
    }

    /// What the process that writes the manifest has of the folder while the run is under way.
    private struct Claim {
        var lock: LockedFile?
        /// Records of earlier runs, of images that this one was not asked for.
        var kept: [PredictionRecord] = []
        /// The manifests that this run's will stand for.
        var absorbed: [EarlierResults.Absorbed] = []
    }

    /// Takes the folder, and finds out what is to be done.
    ///
    /// - Returns: the places of the images that are to be segmented; the others get their records.
    private func begin(
        _ images: [InputImage], _ part: [(offset: Int, element: InputImage)], _ records: RecordList,
        _ claim: inout Claim
    ) throws -> [Int] {
        let plan = try ResultPlan(
            images, form, reads: settings.alsoRead + [heading.model], shared: [manifestPath] + runFiles.paths)
        claim.lock = try LockedFile(PredictionManifest.lock(manifestPath))
        if claim.lock == nil { throw PredictionError.busy(folder: settings.output) }
        let earlier =
            try settings.resumes
            ? EarlierResults(settings.output, heading.manifest(), own: manifestPath, isWhole: settings.shard == nil)
            : EarlierResults()
        if !settings.resumes { forgetOthers(manifestPath) }
        let open = sort(part, plan, earlier, records)
        (claim.kept, claim.absorbed) = (earlier.others(than: part.map(\.element), form), earlier.absorbed)
        for folder in Set(open.flatMap { form.folders(part[$0].element.stem) } + [settings.output]) {
            AtomicFile.removeAbandoned(in: folder)
        }
        return open
    }

    /// Writes the manifest and what is made of it.
    ///
    /// - Parameters:
    ///   - numbers: of the images of this process's part among all.
    ///   - count: of all.
    private func conclude(
        _ records: RecordList, _ numbers: [Int], of count: Int, _ claim: Claim
    ) throws -> PredictionManifest {
        var manifest = try heading.manifest()
        (manifest.formats, manifest.classes) = (form.formats, form.resultClasses.listed)
        manifest.images = records.all + claim.kept
        manifest.review = RunFiles.leastSureFirst(manifest.images).map(\.name)
        try manifest.write(to: manifestPath)
        // Behind this run's images those of earlier ones, with numbers that no other process gives.
        let earlierNumbers = claim.kept.indices.map {
            count + (settings.shard?.number ?? 1) + $0 * (settings.shard?.count ?? 1)
        }
        try runFiles.write(records.numbered.map { (numbers[$0], $1) } + zip(earlierNumbers, claim.kept))
        for one in claim.absorbed { RunFiles.remove(with: one.path) }
        return manifest
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

    /// The places of the images that are to be segmented; the others get their records.
    private func sort(
        _ images: [(offset: Int, element: InputImage)], _ plan: ResultPlan, _ earlier: EarlierResults,
        _ records: RecordList
    ) -> [Int] {
        var open: [Int] = []
        for (place, (index, image)) in images.enumerated() {
            if let obstacle = plan.obstacles[index] {
                records.set(place, PredictionRecord(image, failed: obstacle))
                continue
            }
            do {
                if let problem = image.problem { throw problem }
                let photo = try KnownFile(photo: image.path)
                if settings.resumes, let record = earlier.record(of: image, photo, form) {
                    records.skip(place, record)
                } else {
                    open.append(place)
                }
            } catch { records.set(place, PredictionRecord(image, failed: "\(error)")) }
        }
        return open
    }

    /// An image to segment, and its place among the records.
    private typealias Open = (place: Int, image: InputImage)

    /// Segments images, until a signal comes; gives that back where one process does all the work. Several it ends, as their
    /// launcher leaves them no time: their journals have what is done.
    private func segment(
        _ open: [Open], _ team: any Communicator, _ records: RecordList, _ journal: PredictionJournal
    ) throws -> Interruption.Stop? {
        var stop: Interruption.Stop?
        try SharedImages(open.count, by: team, path: { open[$0].image.path }).run { share, found in
            records.begin(share)
            var taken: [Int] = []
            do { try segment(open, share, records, journal) { taken.append($0) } } catch let error as Interruption.Stop
                where team.size == 1
            { stop = error }
            for number in taken {
                if let result = records.found(open[number].place) { try found(number, result) }
            }
        } _: { number, found in
            let place = open[number].place
            if team.isFirst { records.take(place, found) } else { records.drop(place) }
        }
        return stop
    }

    /// - Parameter begin: hears of each image that is begun, by its number.
    private func segment(
        _ open: [Open], _ share: ImageShare, _ records: RecordList, _ journal: PredictionJournal,
        begin: (Int) -> Void
    ) throws {
        let queue = BackgroundQueue(places: 16)
        func failed(_ number: Int, _ error: any Error) {
            records.set(open[number].place, open[number].image.failure(error), isNotFinite: error is NotFinite)
        }
        do {
            try loop(open, share).run { number, error in
                begin(number)
                failed(number, error)
            } _: { number, photo in
                begin(number)
                do { try segment(photo, queue, records, journal) } catch  where !Obstacle.endsRun(error) {
                    failed(number, error)
                }
            }
        } catch let error as Interruption.Stop {
            try CannotWrite.leaving { try queue.finish() }
            throw error
        } catch let error as CannotWrite { throw error.reason }
        try CannotWrite.leaving { try queue.finish() }
    }

    /// An image that is ready to be segmented.
    private struct Prepared: Sendable {
        var job: PredictionJob
        /// Nil for what is read row by row while it is segmented.
        var photo: ReadPhoto?
    }

    private func loop(_ open: [Open], _ share: ImageShare) -> ImageLoop<Prepared> {
        let factor = settings.tiles ? 0 : keepsPhoto ? 2 : 1
        return ImageLoop(
            share,
            cost: { [plan] in
                let image = open[$0].image
                return factor == 0 ? 0 : factor * decodedBytes(image.path, page: plan.of(image).reading.page)
            },
            size: { $0.photo?.bytes ?? 0 }
        ) { [plan, keepsPhoto, isRead = !settings.tiles] in
            let (place, image) = open[$0]
            let job = PredictionJob(place: place, image: image, photo: try KnownFile(photo: image.path))
            return Prepared(
                job: job, photo: isRead ? try ReadPhoto(image.path, plan.of(image), keepingPhoto: keepsPhoto) : nil)
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

        static func leaving(_ body: () throws -> Void) throws {
            do { try body() } catch let error as CannotWrite { throw error.reason }
        }
    }

    private func segment(
        _ prepared: Prepared, _ queue: BackgroundQueue, _ records: RecordList, _ journal: PredictionJournal
    ) throws {
        let (start, job) = (ContinuousClock.now, prepared.job)
        let photo =
            try prepared.photo.map(LoadedPhoto.init)
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
    /// What processes tell each other of an image.
    struct Found: Codable {
        var record: PredictionRecord
        /// Whether it failed because the network's output is not finite.
        var isNotFinite = false
    }

    private struct State {
        /// By their places.
        var found: [Int: Found] = [:]
        var left: Int
        /// Images to do.
        var all: Int
        /// Images that others may have in hand.
        var share: ImageShare?

        mutating func set(_ place: Int, _ new: Found) {
            if found[place] == nil { left -= 1 }
            found[place] = new
        }
    }
    private let state: Mutex<State>
    private let report: @Sendable (PredictionEvent) -> Void
    let count: Int

    init(count: Int, report: @escaping @Sendable (PredictionEvent) -> Void) {
        state = Mutex(State(left: count, all: count))
        (self.count, self.report) = (count, report)
    }

    /// What is set from now on is of this share.
    func begin(_ share: ImageShare) { state.withLock { $0.share = share } }

    func set(_ place: Int, _ record: PredictionRecord, isNotFinite: Bool = false) {
        let (done, all) = state.withLock { state in
            state.set(place, Found(record: record, isNotFinite: isNotFinite))
            return (min(state.all, state.all - state.left + (state.share?.takenElsewhere ?? 0)), state.all)
        }
        report(.finished(record, done: done, of: all))
    }

    /// As ``set``, for what another process did: nobody needs to hear of it.
    func take(_ place: Int, _ found: Found) { state.withLock { $0.set(place, found) } }

    /// The same for what an earlier run did, which does not count.
    func skip(_ place: Int, _ record: PredictionRecord) {
        state.withLock {
            $0.set(place, Found(record: record))
            $0.all -= 1
        }
    }

    func found(_ place: Int) -> Found? { state.withLock { $0.found[place] } }

    /// Forgets what another process keeps.
    func drop(_ place: Int) { state.withLock { $0.found[place] = nil } }

    func progress(_ path: String, _ share: Double) { report(.progress(path: path, share)) }

    /// In the order of the images.
    var all: [PredictionRecord] { numbered.map(\.1) }

    /// The same, with their places among the images.
    var numbered: [(Int, PredictionRecord)] {
        state.withLock { $0.found.sorted { $0.key < $1.key }.map { ($0.key, $0.value.record) } }
    }

    /// Images for which the network's output was not finite.
    var neverFinite: Int { state.withLock { $0.found.values.count { $0.isNotFinite } } }
}
