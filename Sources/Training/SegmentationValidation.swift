import BEiTCheckpoints
import BEiTDatasets
import BEiTFiles
import BEiTImageIO
import BEiTMetrics
import BEiTModels
import BEiTPrediction
import BEiTProcesses
import BEiTReports
import BEiTTensorCore
import Foundation
import Logging

/// Validation: what `eval` does with `best.h5`, and with the same result. Whole photos in their own size, seen through
/// windows, and the weights packed as they are for inference, which round otherwise than those that learn.
extension SegmentationObjective {
    /// mIoU, pixel accuracy, the IoU of each class, and the mean cross-entropy of the labelled pixels; of several data sets
    /// also the mIoU of each.
    package func validate(_ team: any Communicator) throws -> Validation? {
        guard validationCount > 0 else { return nil }
        let scores = try team.deal(validationCount, scores)
        guard scores.contains(where: { $0 != nil }) else {
            throw DatasetError(.invalid, path: "data", reason: "no image that is held out for validation is readable")
        }
        var matrices = settings.folders.map { _ in ConfusionMatrix(classes: classes.count) }
        var loss = PixelLoss()
        for score in scores.compactMap(\.self) {
            try matrices[score.set].add(score.confusion)
            loss.merge(score.loss)
        }
        var whole = ConfusionMatrix(classes: classes.count)
        matrices.forEach { whole.merge($0) }
        let totals = whole.totals
        let score = totals.meanIoU ?? 0
        var metrics = ["val_miou": score, "val_pixel_accuracy": totals.pixelAccuracy ?? 0, "val_loss": loss.mean]
        for (index, info) in classes.enumerated() { metrics["val_iou/" + info.name] = totals.iou(index) }
        if matrices.count > 1 { metrics.merge(scoresOfSets(matrices)) { $1 } }
        return Validation(score: score, metrics: metrics, decisive: "val_miou")
    }

    /// The mIoU of each data set, over the classes that it labels: what `eval` says of it.
    private func scoresOfSets(_ matrices: [ConfusionMatrix]) -> [String: Double] {
        var metrics: [String: Double] = [:]
        for (set, name) in settings.data.names.enumerated() {
            var totals = matrices[set].totals
            totals.scored = classes.indices.map(source.dataset.labelled[set].contains)
            if totals.pixels > 0 { metrics["val_miou/" + name] = totals.meanIoU }
        }
        return metrics
    }

    private struct Sample: Sendable {
        var photo: PreparedPhoto
        var label: IndexMask
        /// The number of its data set.
        var set: Int
    }

    /// What the segmentation of an image came to.
    private struct ImageScore: Codable {
        var set: Int
        var confusion: ImageConfusion
        var loss: PixelLoss
    }

    /// Segments images that are held out, by their numbers, one by one. What cannot be read is named once, and has no score.
    private func scores(_ numbers: [Int]) throws -> [ImageScore?] {
        let network = inferenceNetwork()
        let segmenter = PhotoSegmenter(network)
        let photos = source.validation
        let loop = ImageLoop(numbers.count, cost: { 2 * photos.decodedBytes(numbers[$0]) }) {
            [plan = PhotoPlan(network, InferenceOptions())] in
            let number = numbers[$0], label = try photos.mask(number)
            return Sample(photo: try PreparedPhoto(photos, number, plan), label: label, set: photos.set(number))
        }
        var scores = [ImageScore?](repeating: nil, count: numbers.count)
        try loop.run { _, error in
            if knownFailures.insert("\(error)").inserted { Logger(label: "beit-seg").warning("left out: \(error)") }
        } _: { place, sample in
            var loss = PixelLoss()
            let found = try segmenter.segment(sample.photo) { rows, probabilities in
                loss.add(probabilities, sample.label, rows, background(of: sample.set))
            }
            let image = ImageConfusion(label: sample.label.values, prediction: found.classes)
            scores[place] = ImageScore(
                set: sample.set, confusion: image.excusing(background(of: sample.set)), loss: loss)
        }
        validated = network
        return scores
    }

    /// A copy of the network as it is loaded for inference.
    private func inferenceNetwork() -> WindowNetwork {
        guard case .segmentation(let copy) = Model(settings.configuration, .unset) else {
            preconditionFailure("a configuration of another task")
        }
        for (from, to) in zip(segmenter.parameters, copy.parameters) { to.parameter.assign(from.parameter.value) }
        for (from, to) in zip(segmenter.buffers, copy.buffers) {
            to.tensor.pointer.update(from: from.tensor.pointer, count: to.tensor.count)
        }
        copy.freeze(.fp32)
        return WindowNetwork(copy, description(metrics: [:]))
    }
}

/// The cross-entropy of labelled pixels, summed.
private struct PixelLoss: Codable {
    /// As bits: it may be no number.
    private var sum = 0.0.bitPattern
    private var pixels = 0
    private var total: Double {
        get { Double(bitPattern: sum) }
        set { sum = newValue.bitPattern }
    }

    /// - Parameters:
    ///   - probabilities: of the photo's `rows`, `[rows, width, K]`.
    ///   - background: what may be background where the labels say so; nil for nothing else.
    mutating func add(
        _ probabilities: Tensor, _ label: IndexMask, _ rows: Range<Int>, _ background: SetBackground?
    ) {
        var total = 0.0
        defer { self.total += total }
        let (classes, values) = (probabilities.shape[2], probabilities.pointer)
        for (place, index) in (rows.lowerBound * label.width..<rows.upperBound * label.width).enumerated() {
            let value = label.values[index]
            guard value != LabelMap.void else { continue }
            let pixel = values + place * classes
            var share = pixel[Int(value)]  // what is no number stays none
            if let background, background.index == Int(value) { for k in background.others { share += pixel[k] } }
            total -= log(Double(share < .leastNormalMagnitude ? .leastNormalMagnitude : share))
            pixels += 1
        }
    }

    mutating func merge(_ other: PixelLoss) { (total, pixels) = (total + other.total, pixels + other.pixels) }

    var mean: Double { total / Double(max(1, pixels)) }
}

/// Pictures for the report.
extension SegmentationObjective {
    /// Pictures in the report, and the length of the longer side of each of their parts in pixels.
    private static let pictureCount = 4, pictureSide = 208

    /// A few images, the same each time, spread over the validation images, or the training images where there are none:
    /// photo, truth and prediction beside each other. Those that cannot be read are left out.
    package func pictures() throws -> [ReportPicture] {
        let photos = source.validationCount > 0 ? source.validation : source.training
        let network = validated ?? inferenceNetwork()
        validated = nil
        let segmenter = PhotoSegmenter(network)
        let count = min(SegmentationObjective.pictureCount, photos.count)
        return try (0..<count).compactMap {
            do { return try picture(photos, $0 * photos.count / count, segmenter) } catch  where isDamage(error) {
                return nil
            }
        }
    }

    private func picture(
        _ photos: some LabelledSource, _ number: Int, _ segmenter: PhotoSegmenter
    ) throws -> ReportPicture {
        let (mask, image) = (try photos.mask(number), try photos.decode(number))
        let found = try segmenter.segment(image)
        let prediction = IndexMask(width: found.width, height: found.height, values: found.classes)
        let factor = Double(SegmentationObjective.pictureSide) / Double(max(image.width, image.height))
        let side = { (length: Int) in max(1, Int((Double(length) * factor).rounded())) }
        let (width, height) = (side(image.width), side(image.height))
        let photo = image.resized(width: width, height: height, filter: .bilinear)
        let parts = [photo] + [mask, prediction].map { shown($0.resized(width: width, height: height), on: photo) }
        let name = photos.name(number).split(separator: "/").last ?? ""
        return try ReportPicture("\(name): photo, truth, prediction", .sheet(parts, columns: 3, gap: 3))
    }

    /// The photo with the colours of the classes over it; where no class counts, as it is.
    private func shown(_ mask: IndexMask, on photo: RGBImage) -> RGBImage {
        var colors = photo
        for (i, value) in mask.values.enumerated() where value != LabelMap.void {
            let color = classes[Int(value)].color
            colors.pixels.replaceSubrange(3 * i..<3 * i + 3, with: [color.red, color.green, color.blue])
        }
        return photo.overlaid(with: colors, opacity: 0.6)
    }
}
