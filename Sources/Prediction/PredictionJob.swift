import BEiTDatasets
import BEiTFiles
import BEiTHDF5
import BEiTImageIO

/// An image that is to be segmented.
struct PredictionJob: Sendable {
    /// Its place among the records.
    var place: Int
    var image: InputImage
    var photo: KnownFile
}

extension InputImage {
    /// The record of an image that failed for a reason which lies in it.
    func failure(_ error: any Error) -> PredictionRecord {
        // Of what there is not the error itself names the page.
        var isOfPage = page != nil
        if case .noPage = (error as? ImageError)?.reason { isOfPage = false }
        let ofResult = error is HDF5Error || (error as? FileError).map { $0.path != path } ?? false
        let reason =
            error is NotFinite
            ? NotFinite(path: path).description
            : ofResult ? "\(path.shown): its result cannot be written: \(error)" : "\(error)"
        return PredictionRecord(self, failed: reason + (isOfPage ? " (page \(page ?? 1))" : ""))
    }
}

/// A photo in memory, read ahead of the network.
struct ReadPhoto: Sendable {
    let prepared: PreparedPhoto
    /// In its own size, where an overlay needs it.
    let original: RGBImage?
    let reference: GeoReference?

    init(_ path: String, _ plan: PhotoPlan, keepingPhoto keeps: Bool) throws {
        (prepared, original) = try PreparedPhoto.read(path, plan, keepingPhoto: keeps)
        reference = try GeoReference(of: path, page: plan.reading.page)
    }

    var bytes: Int { prepared.bytes + (original?.pixels.count ?? 0) }
}

/// A photo that is ready for the network.
struct LoadedPhoto {
    let input: PhotoInput
    /// In its own size, where an overlay needs it.
    let original: (any PictureRows)?
    /// Where it lies on a map.
    let reference: GeoReference?

    init(_ photo: ReadPhoto) {
        (input, original) = (photo.prepared.input, photo.original.map(WholePicture.init))
        reference = photo.reference
    }

    /// Read row by row; a second time for the overlay, in step with its classes.
    init(streaming path: String, _ plan: PhotoPlan, keepingPhoto keeps: Bool) throws {
        input = try PhotoInput(streaming: path, plan)
        original = keeps ? StoredRows(try ImageRows(path, as: plan.reading, limits: plan.limits)) : nil
        reference = try GeoReference(of: path, page: plan.reading.page)
    }
}

/// The results of an image on their way to the disk; used on the writer's thread alone.
final class ImageWriting: @unchecked Sendable {
    private let job: PredictionJob
    private let form: ResultForm
    private let width, height: Int
    private let reference: GeoReference?
    /// How often every pixel is seen: at several sizes, and mirrored.
    private let views: Int
    private var files: ResultFiles?
    private var failure: (any Error)?

    /// - Parameter views: how often every pixel of the photo is seen.
    init(_ job: PredictionJob, _ form: ResultForm, _ photo: LoadedPhoto, views: Int) {
        (self.job, self.form, self.views) = (job, form, views)
        (width, height, reference) = (photo.input.width, photo.input.height, photo.reference)
    }

    /// Throws what ends the run; what lies in the image alone is kept for its record.
    func write(_ strip: SegmentedStrip, _ photo: PictureStrip?) throws {
        try keepingFailure {
            let files = try self.files ?? ResultFiles(form, job.image.stem, width: width, height: height, reference)
            self.files = files
            try files.write(strip, photo)
        }
    }

    /// Gives the results their names. Throws what ends the run.
    func finish(seconds: Double) throws -> PredictionRecord {
        try keepingFailure { try files?.finish() }
        guard let files, failure == nil else { return job.image.failure(failure ?? NotFinite()) }
        var record = PredictionRecord(
            job.image.path, width, height, files.counts, form.classes, photo: job.photo, files: files.names,
            seconds: seconds)
        record.page = job.image.page
        record.note(files.certainty, classes: form.classes.count, views: views)
        record.areas = files.areas
        record.pixelArea = form.pixelArea(reference)
        return record
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
