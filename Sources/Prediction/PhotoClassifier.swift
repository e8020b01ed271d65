import BEiTCheckpoints
import BEiTDatasets
import BEiTFiles
import BEiTImageIO
import BEiTModels
import BEiTOps
import BEiTProcesses
import BEiTTensorCore
import Foundation

/// A classifier of a file, and how it sees photos: the middle of each, resized.
package struct PhotoClassifier {
    package let classes: [LabelClass]
    /// The file.
    package let path: String
    /// How it reads photos.
    package let reading: ImageReading
    private let model: Classifier
    private let view: PhotoView

    /// What the network sees of a photo.
    struct PhotoView: Sendable {
        /// Height and width in pixels.
        var size: [Int]
        var scaling: PixelScaling
        var filter: ResizeFilter
        /// See ``RGBImage/centerCropped(height:width:share:filter:)``.
        var share: Double

        func callAsFunction(_ photo: RGBImage) -> RGBImage {
            photo.centerCropped(height: size[0], width: size[1], share: share, filter: filter)
        }
    }

    /// - Parameters:
    ///   - file: a checkpoint, or one that was imported.
    ///   - cropShare: nil for what the model says, else ``standardCropShare(size:)``.
    ///   - choice: how photos are read otherwise than it has learned.
    /// - Throws: ``CheckpointError``, `HDF5Error`.
    package init(
        _ file: String, cropShare: Double? = nil, precision: Precision? = nil, reading choice: ReadingChoice = .init()
    ) throws {
        let (model, description) = try Checkpoint.load(file, task: .classification, for: .inference(precision))
        guard case .classification(let classifier) = model else { preconditionFailure("a model of another task") }
        let form = description.preprocessing
        (self.model, classes, path) = (classifier, description.classes, file)
        reading = choice.applied(to: form.reading)
        view = PhotoView(
            size: form.size, scaling: PixelScaling(mean: form.mean, std: form.std), filter: form.filter,
            share: cropShare ?? form.cropShare ?? standardCropShare(size: form.size))
    }

    /// The probability of each class, photo by photo: `[B, K]`.
    private func probabilities(_ views: [RGBImage]) -> Tensor {
        let pixels = Tensor(uninitialized: [views.count, 3] + view.size)
        for (index, picture) in views.enumerated() {
            view.scaling.write(picture, to: pixels.rows(index..<index + 1).pointer)
        }
        let tape = Tape(.inference)
        return tape.softmax(model(Variable(pixels), tape)).value
    }

    /// A photo that was decoded.
    private struct Sample: Sendable {
        var view: RGBImage
        /// For a gallery.
        package var small: RGBImage?
    }

    /// Classifies photos, some at a time; see ``PhotoSource/show(to:by:batch:threads:view:bytes:progress:failed:answer:take:)``.
    ///
    /// - Parameters:
    ///   - side: pixels of the small pictures; nil for none.
    ///   - summary: what is to be known of a photo, on the process that has it.
    package func classify<Found: Codable & Sendable>(
        _ photos: some PhotoSource, by team: any Communicator, batch: Int, shrinkingTo side: Int? = nil,
        progress: (_ done: Int) -> Void = { _ in }, failed: (_ index: Int, any Error) -> Void,
        summary: (_ index: Int, Classification) throws -> Found,
        take: (_ index: Int, Outcome<Found>) throws -> Void
    ) throws {
        try photos.show(
            to: path, by: team, batch: batch, threads: 2,
            view: { [view] in
                let photo = try photos.decode($0)
                return Sample(view: view(photo), small: side.map(photo.shrunk(to:)))
            },
            bytes: { $0.view.pixels.count + ($0.small?.pixels.count ?? 0) }, progress: progress, failed: failed,
            answer: { samples in
                let probabilities = probabilities(samples.map(\.item.view))
                return try samples.enumerated().map { row, sample in
                    let values = probabilities.rows(row..<row + 1).values
                    guard values.allSatisfy(\.isFinite) else { return nil }
                    return try summary(sample.index, Classification(probabilities: values, small: sample.item.small))
                }
            }, take: take)
    }
}

/// What a classifier says of a photo.
package struct Classification: Sendable {
    /// K numbers that add up to 1.
    package let probabilities: [Float]
    /// The photo, shrunk.
    package let small: RGBImage?

    /// The `count` most probable classes, of equals the lower index first.
    package func top(_ count: Int) -> [(index: Int, probability: Float)] {
        let order = probabilities.indices.sorted { (-probabilities[$0], $0) < (-probabilities[$1], $1) }
        return order.prefix(count).map { ($0, probabilities[$0]) }
    }
}
