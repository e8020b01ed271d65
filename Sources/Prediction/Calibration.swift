import BEiTCheckpoints
import BEiTDatasets
import BEiTFiles
import BEiTImageIO
import BEiTModels
import BEiTProcesses
import BEiTTensorCore

/// Shows a few photos to a model that will be quantised, and moves the outliers that they bring about into its weights
/// (``OutlierSmoothing``).
package struct Calibration {
    /// Photos that are read.
    package static let most = 16

    private let model: Model
    private let smoothing: OutlierSmoothing
    private let configuration: BackboneConfiguration
    private let scaling: PixelScaling
    private let filter: ResizeFilter
    private let reading: ImageReading
    private let file: String

    /// - Parameters:
    ///   - file: the model's.
    ///   - choice: how photos are read otherwise than the model has learned.
    /// - Throws: ``CheckpointError/noNorms(file:)`` for a tokenizer.
    /// - Precondition: the model is not frozen.
    package init(
        of model: Model, _ description: ModelDescription, file: String, reading choice: ReadingChoice
    ) throws {
        guard let backbone = model.backbone else { throw CheckpointError.noNorms(file: file) }
        (self.model, smoothing, self.file) = (model, OutlierSmoothing(backbone), file)
        let form = description.preprocessing
        configuration = backbone.configuration
        (scaling, filter) = (PixelScaling(mean: form.mean, std: form.std), form.filter)
        reading = choice.applied(to: form.reading)
    }

    /// Of more photos than ``most`` it takes some from all over the list. The model sees the middle of each.
    ///
    /// - Parameter failed: hears of each photo that cannot be read, and is left out.
    /// - Returns: the number of photos that were seen.
    /// - Throws: ``CalibrationError`` where there is none; ``PredictionError/neverFinite(model:)``.
    package func run(over images: [InputImage], failed: (any Error) -> Void) throws -> Int {
        let count = min(images.count, Self.most)
        let photos = (0..<count).map { images[$0 * images.count / count] }.photos(as: reading)
        let size = configuration.imageSize
        var seen = 0
        try photos.show(
            to: file, by: SingleProcess(), threads: 2,
            view: { [filter] in try photos.decode($0).central(height: size[0], width: size[1], filter: filter) },
            bytes: \.pixels.count, failed: { failed($1) },
            answer: { views in views.map { answer(to: $0.item).isFinite ? true : nil } },
            take: { if case .done = $1 { seen += 1 } })
        guard seen > 0 else { throw CalibrationError() }
        smoothing.apply()
        return seen
    }

    private func answer(to view: RGBImage) -> Tensor {
        let pixels = Tensor(uninitialized: [1, 3] + configuration.imageSize)
        scaling.write(view, to: pixels.pointer)
        let mask = [Bool](repeating: false, count: configuration.patchCount)
        return smoothing.observe { ModelAnswer(of: model, to: pixels, mask: mask).logits }
    }
}

/// No photo to calibrate with.
package struct CalibrationError: ExitStatus, Equatable {
    package var exitStatus: Int32 { 65 }
    package var description: String {
        "none of the photos to calibrate with can be read; name others, or leave `calibrate` out"
    }
}
