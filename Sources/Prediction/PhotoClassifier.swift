import BEiTCheckpoints
import BEiTDatasets
import BEiTFiles
import BEiTImageIO
import BEiTModels
import BEiTOps
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

    /// Classifies photos in order, some at a time.
    ///
    /// - Parameters:
    ///   - side: pixels of the small pictures; nil for none.
    ///   - progress, failed: as of ``ImageLoop``; failed is also a photo for which the model's output is not finite.
    ///   - body: hears of each other photo.
    /// - Throws: ``PredictionError/neverFinite(model:)``, what the loop and `body` throw.
    package func classify(
        _ photos: some PhotoSource, batch: Int, shrinkingTo side: Int? = nil,
        progress: (_ done: Int) -> Void = { _ in },
        failed: (_ index: Int, any Error) -> Void, _ body: (_ index: Int, Classification) throws -> Void
    ) throws {
        let loop = ImageLoop(
            photos.count, batch: batch, threads: 2, cost: { photos.decodedBytes($0) },
            size: { (sample: Sample) in sample.view.pixels.count + (sample.small?.pixels.count ?? 0) }
        ) { [view] in
            let photo = try photos.decode($0)
            return Sample(view: view(photo), small: side.map(photo.shrunk(to:)))
        }
        try loop.run(of: path, photos, progress: progress, failed: failed) { batch in
            let probabilities = probabilities(batch.map(\.item.view))
            var notFinite: [Int] = []
            for (row, (index, sample)) in batch.enumerated() {
                let values = probabilities.rows(row..<row + 1).values
                if values.allSatisfy(\.isFinite) {
                    try body(index, Classification(probabilities: values, small: sample.small))
                } else {
                    notFinite.append(index)
                }
            }
            return notFinite
        }
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
