import BEiTDatasets
import BEiTImageIO
import BEiTMetrics
import BEiTPrediction
import BEiTProcesses
import BEiTTensorCore
import Foundation

/// How well a classifier does on photos whose classes are known.
package struct ClassificationScore: Sendable {
    package struct Image: Codable, Sendable {
        package var path: String
        /// Class indices of the model.
        package var truth, prediction: Int
        /// Of the true class among all by their probability, from 0.
        package var rank: Int
        /// What the model gives to the predicted and to the true class.
        package var confidence, truthProbability: Float

        /// Whether the true class is the most probable one.
        var isHit: Bool { rank == 0 }

        package init(path: String, truth: Int, _ result: Classification) {
            (self.path, self.truth) = (path, truth)
            let best = result.top(1)[0]
            (prediction, confidence) = (best.index, best.probability)
            truthProbability = result.probabilities[truth]
            rank = Tensor(result.probabilities, [1, result.probabilities.count]).ranks(of: [truth])[0]
        }
    }
    package let classes: [LabelClass]
    package let images: [Image]
    package let failed: [SegmentationScore.Failure]
    /// Photos counted.
    package let matrix: ConfusionMatrix

    package init(classes: [LabelClass], images: [Image], failed: [SegmentationScore.Failure]) {
        (self.classes, self.images, self.failed) = (classes, images, failed)
        var matrix = ConfusionMatrix(classes: classes.count)
        for image in images { matrix.add(1, truth: image.truth, prediction: image.prediction) }
        self.matrix = matrix
    }

    /// The share of photos whose class is among the `places` most probable; nil without photos.
    package func accuracy(within places: Int) -> Double? {
        images.isEmpty ? nil : images.map(\.rank).share(within: places)
    }

    /// The same for the photos of each class; nil where it has none.
    func classAccuracies(within places: Int) -> [Double?] {
        var (hits, all) = ([Int](repeating: 0, count: classes.count), [Int](repeating: 0, count: classes.count))
        for image in images {
            all[image.truth] += 1
            if image.rank < places { hits[image.truth] += 1 }
        }
        return zip(hits, all).map { $1 == 0 ? nil : Double($0) / Double($1) }
    }

    /// The 2.5 and 97.5 percent points of ``accuracy(within:)`` when photos are drawn with replacement, as many as there
    /// are (Efron's percentile bootstrap); nil without photos.
    package func interval(within places: Int, resamples: Int = 1000, seed: UInt64 = 0) -> ClosedRange<Double>? {
        guard !images.isEmpty else { return nil }
        let hits = images.map { $0.rank < places ? 1 : 0 }
        var generator = Philox(seed: seed)
        let draws = (0..<resamples).map { _ in
            let sum = (0..<hits.count).reduce(0) { sum, _ in sum + hits[generator.integer(below: hits.count)] }
            return Double(sum) / Double(hits.count)
        }
        return SegmentationScore.interval(draws)
    }

    /// What is known of a photo that was scored.
    private struct Scored: Codable {
        var image: Image
        /// Where it may be one to show.
        var entry: ClassificationGallery.Entry?
    }

    /// Scores a classifier on a split.
    ///
    /// - Parameters:
    ///   - team: who shares the work.
    ///   - report: hears of each photo that cannot be read here; it is left out.
    /// - Throws: ``DatasetError`` where the classes are not the model's, or there is no photo.
    package init(
        _ classifier: PhotoClassifier, _ dataset: ClassFolders, _ split: DatasetSplit,
        by team: any Communicator = SingleProcess(), batch: Int,
        gallery: ClassificationGallery? = nil, report: (SegmentationScore.Failure) -> Void = { _ in },
        progress: (_ done: Int) -> Void = { _ in }
    ) throws {
        let indices = try Self.indices(of: dataset, in: classifier)
        let photos = dataset.images(split)
        // Photos whose headers cannot be read do not come as far as the network.
        var failed = dataset.unreadable.map {
            SegmentationScore.Failure(path: $0.components(separatedBy: ": ")[0], reason: $0)
        }
        if team.isFirst { failed.forEach(report) }
        var images: [Image] = []
        let side = gallery == nil ? nil : ClassificationGallery.side
        try classifier.classify(
            PhotoPaths(photos.map(\.path), as: dataset.reading), by: team, batch: batch, shrinkingTo: side,
            progress: progress
        ) { index, error in
            report(.init(path: photos[index].path, reason: "\(error)"))
        } summary: { index, result in
            let image = Image(path: photos[index].path, truth: indices[photos[index].label], result)
            return Scored(image: image, entry: try result.small.flatMap { try gallery?.offer(index, image, $0) })
        } take: { index, outcome in
            switch outcome {
            case .failed(let reason): failed.append(.init(path: photos[index].path, reason: reason))
            case .done(let scored):
                images.append(scored.image)
                if let entry = scored.entry { gallery?.take(entry) }
            }
        }
        self.init(classes: classifier.classes, images: images, failed: failed)
    }

    /// For each class of the data its index in the model. Throws ``DatasetError`` for classes that the model does not know.
    static func indices(of dataset: ClassFolders, in classifier: PhotoClassifier) throws(DatasetError) -> [Int] {
        guard classifier.classes.count <= LabelMap.maximumClasses else {
            throw DatasetError(
                .invalid, path: classifier.path,
                reason:
                    "has \(classifier.classes.count) classes; confusions are counted among \(LabelMap.maximumClasses)")
        }
        let matching = ClassMatching(dataset.classes, in: classifier.classes.map(\.name))
        if let places = matching.complete { return places }
        throw DatasetError(
            .invalid, path: classifier.path,
            reason:
                "its \(classifier.classes.count) classes are not the \(dataset.classes.count) of the data: it does not "
                + "know \(matching.strangerList); score a model that was trained for these classes", .classes)
    }

    /// That classes go by their position, in a sentence; nil where they go by name.
    package static func positionNote(_ dataset: ClassFolders, _ classifier: PhotoClassifier) -> LabelNote? {
        guard ClassMatching(dataset.classes, in: classifier.classes.map(\.name)).isByPosition else { return nil }
        return LabelNote(
            "the model's classes have no names, so class i of the model is taken for folder i of the data", .classes,
            isWarning: true)
    }
}
