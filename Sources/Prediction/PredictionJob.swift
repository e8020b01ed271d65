import BEiTDatasets
import BEiTFiles
import BEiTHDF5
import BEiTImageIO

/// An image that is to be segmented.
struct PredictionJob: Sendable {
    /// Its place among the records.
    var place: Int
    var image: InputImage
    var photo: PredictionRecord.Photo

    /// The record of an image that failed for a reason which lies in it.
    func failure(_ error: any Error) -> PredictionRecord {
        let ofResult = error is HDF5Error || (error as? FileError).map { $0.path != image.path } ?? false
        let reason =
            error is NotFinite
            ? NotFinite(path: image.path).description
            : ofResult ? "\(image.path.shown): its result cannot be written: \(error)" : "\(error)"
        return PredictionRecord(image.path, failed: reason)
    }
}

/// A photo that is ready for the network.
struct LoadedPhoto {
    let input: PhotoInput
    /// In its own size, where an overlay needs it.
    let original: (any PictureRows)?

    fileprivate init(_ prepared: PreparedPhoto, _ photo: RGBImage?) {
        (input, original) = (prepared.input, photo.map(WholePicture.init))
    }

    /// Read row by row; a second time for the overlay, in step with its classes.
    fileprivate init(streaming path: String, _ plan: PhotoPlan, keepingPhoto keeps: Bool) throws {
        input = try PhotoInput(streaming: path, plan)
        original = keeps ? StoredRows(try ImageRows(path, limits: plan.limits)) : nil
    }
}

/// The photos of a run, one after another.
struct PhotoQueue {
    private let take: () throws -> LoadedPhoto

    /// - Parameter streams: photos are read row by row while they are segmented; else as a whole, some ahead.
    init(_ jobs: [PredictionJob], _ plan: PhotoPlan, _ form: ResultForm, streams: Bool) {
        let keeps = form.formats.contains(.overlay)
        if streams {
            var next = 0
            take = {
                defer { next += 1 }
                return try LoadedPhoto(streaming: jobs[next].image.path, plan, keepingPhoto: keeps)
            }
        } else {
            let photos = Prefetcher(
                0..<jobs.count, ahead: 3,
                cost: { decodedBytes(jobs[$0].image.path) * (keeps ? 2 : 1) },
                size: { (loaded: (prepared: PreparedPhoto, photo: RGBImage?)) in
                    loaded.prepared.bytes + (loaded.photo?.pixels.count ?? 0)
                }, threads: 1
            ) {
                try PreparedPhoto.read(jobs[$0].image.path, plan, keepingPhoto: keeps)
            }
            take = {
                guard let (prepared, photo) = try photos.next() else { preconditionFailure("no photo is left") }
                return LoadedPhoto(prepared, photo)
            }
        }
    }

    /// Throws `FileError` and `ImageError` about the photo.
    func next() throws -> LoadedPhoto { try take() }
}

/// The results of an image on their way to the disk; used on the writer's thread alone.
final class ImageWriting: @unchecked Sendable {
    private let job: PredictionJob
    private let form: ResultForm
    private let width, height: Int
    private var files: ResultFiles?
    private var failure: (any Error)?

    init(_ job: PredictionJob, _ form: ResultForm, width: Int, height: Int) {
        (self.job, self.form, self.width, self.height) = (job, form, width, height)
    }

    /// Throws what ends the run; what lies in the image alone is kept for its record.
    func write(_ strip: SegmentedStrip, _ photo: PictureStrip?) throws {
        try keepingFailure {
            let files = try self.files ?? ResultFiles(form, job.image.stem, width: width, height: height)
            self.files = files
            try files.write(strip, photo)
        }
    }

    /// Gives the results their names. Throws what ends the run.
    func finish(seconds: Double) throws -> PredictionRecord {
        try keepingFailure { try files?.finish() }
        guard let files, failure == nil else { return job.failure(failure ?? NotFinite()) }
        return PredictionRecord(
            job.image.path, width, height, files.counts, form.classes, photo: job.photo,
            files: form.names(job.image.stem), seconds: seconds, meanConfidence: files.meanConfidence)
    }

    private func keepingFailure(_ body: () throws -> Void) throws {
        guard failure == nil else { return }
        do { try body() } catch {
            files = nil  // and with it what was written
            if Obstacle.endsRun(error) { throw error }
            failure = error
        }
    }
}
