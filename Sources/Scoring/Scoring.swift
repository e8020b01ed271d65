import BEiTDatasets
import BEiTFiles
import BEiTImageIO
import BEiTMetrics
import BEiTPrediction
import BEiTProcesses
import BEiTTensorCore

/// A model that is scored.
package struct ScoredModel {
    package var network: WindowNetwork
    package var classes: [LabelClass]
    /// Its file.
    package var path: String
    /// Whether a class that the labels lack counts as background where they say background.
    package var sharesBackground: Bool

    package init(_ network: WindowNetwork, classes: [LabelClass], path: String, sharesBackground: Bool = false) {
        (self.network, self.classes, self.path) = (network, classes, path)
        self.sharesBackground = sharesBackground
    }
}

/// Scores models, or finished masks, on a labelled set.
///
/// An image that cannot be read, or whose mask has another size, is listed as failed and left out; anything else, such as a
/// label outside the classes or a model whose output is not finite, ends the run.
package struct Scoring {
    private let set: LabelledSet
    /// Who shares the work.
    private let team: any Communicator
    /// Sees each image that was scored.
    private let gallery: ScoreGallery?
    /// Hears of each image that failed here.
    private let report: (SegmentationScore.Failure) -> Void
    /// Called with the number of images that are done, from 0.
    private let progress: (Int) -> Void

    package init(
        _ set: LabelledSet, by team: any Communicator = SingleProcess(), gallery: ScoreGallery? = nil,
        report: @escaping (SegmentationScore.Failure) -> Void = { _ in },
        progress: @escaping (Int) -> Void = { _ in }
    ) {
        (self.set, self.team, self.gallery) = (set, team, gallery)
        (self.progress, self.report) = (progress, report)
    }

    private struct Sample: Sendable {
        /// One for each model.
        var photos: [PreparedPhoto]
        var labels: [IndexMask]
        /// For the gallery.
        var small: RGBImage?
    }

    /// Segments the photos with each model and scores the results.
    ///
    /// - Returns: a score for each model, of the same images, with that model's classes; labels are brought to their
    ///   indices.
    /// - Throws: ``OutsideClasses``, ``DatasetError``, `NotFinite`, what `ImageLoop` throws.
    package func score(
        _ models: [ScoredModel], _ options: InferenceOptions = InferenceOptions()
    ) throws -> [SegmentationScore] {
        try set.checkVoid()
        let indices = try indices(models)
        gallery?.begin(palettes(models, indices))
        let side = gallery == nil ? nil : ScoreGallery.side
        // A photo, and for each model what it sees and a label, which weigh no more than a photo together.
        let cost = { @Sendable [set, count = 1 + models.count] in
            decodedBytes(set.pairs[$0].image, page: set.page) * count
        }
        let prepare = { @Sendable [set, plans = models.map { PhotoPlan($0.network, options) }] (number: Int) in
            let pair = set.pairs[number]
            let label = try set.label(pair)
            let photos = try plans.map { plan in
                try set.storedPhoto(pair, as: plan.reading).map { PreparedPhoto($0, plan) }
                    ?? PreparedPhoto(pair.image, plan)
            }
            let small = try side.map { side in
                let reading = plans[0].reading
                let photo =
                    try set.storedPhoto(pair, as: reading)
                    ?? decodeImage(pair.image, as: reading, limits: plans[0].limits, shrinkingTo: 2 * side)
                return photo.shrunk(to: side)
            }
            return Sample(photos: photos, labels: indices.map(label.brought(to:)), small: small)
        }
        let segmenters = models.map { PhotoSegmenter($0.network, options) }
        let backgrounds = models.map { $0.sharesBackground ? set.background(in: $0.classes) : nil }
        return try collect(
            models.map(\.classes), scored: indices, { ImageLoop($0, cost: cost, prepare: prepare) }
        ) { sample in
            let masks = try zip(segmenters, sample.photos).map { segmenter, photo in
                IndexMask(width: photo.width, height: photo.height, values: try segmenter.segment(photo).classes)
            }
            return ScoredImage(
                photo: sample.small, labels: sample.labels, predictions: masks, backgrounds: backgrounds)
        }
    }

    /// For each model, the index of each class of the set.
    private func indices(_ models: [ScoredModel]) throws -> [[UInt16]] {
        try models.enumerated().map { try set.indices(in: $1.classes, file: $0 == 0 ? nil : $1.path) }
    }

    /// The colours of each model's classes; what is one class of the set has the first model's colour in all.
    private func palettes(_ models: [ScoredModel], _ indices: [[UInt16]]) -> [[RGBColor]] {
        zip(models, indices).map { model, own in
            var colors = model.classes.map(\.color)
            for (first, index) in zip(indices[0], own) { colors[Int(index)] = models[0].classes[Int(first)].color }
            return colors
        }
    }

    /// What two scores of the same images have to do with each other: for each class of the set its index in both.
    /// Throws ``DatasetError``.
    package func compare(
        _ models: (ScoredModel, ScoredModel), _ scores: (SegmentationScore, SegmentationScore), seed: UInt64
    ) throws -> ScoreComparison {
        let indices = try indices([models.0, models.1])
        return ScoreComparison(
            scores.0, scores.1, models: (models.0.path, models.1.path),
            classes: zip(indices[0], indices[1]).map { (Int($0), Int($1)) }, seed: seed)
    }

    /// Scores the predictions that the set's pairs name as their images.
    ///
    /// Where the set names no classes they are 0, 1, … to the largest index that occurs.
    /// - Throws: ``OutsideClasses``.
    package func scorePredictions() throws -> SegmentationScore {
        try set.checkVoid()
        let classes = set.classes
        gallery?.begin([classes?.map(\.color) ?? []])
        let cost = { @Sendable [set] in 2 * decodedBytes(set.pairs[$0].mask) }
        let prepare = { @Sendable [set] (number: Int) in
            let pair = set.pairs[number]
            let label = try set.label(pair)
            let prediction = try set.prediction(pair)
            guard (label.width, label.height) == (prediction.width, prediction.height) else {
                throw DatasetError.sizes(
                    pair, (prediction.width, prediction.height), (label.width, label.height))
            }
            return ScoredImage(photo: nil, labels: [label], predictions: [prediction], backgrounds: [nil])
        }
        return try collect(classes.map { [$0] }, { ImageLoop($0, threads: 2, cost: cost, prepare: prepare) }) { $0 }[0]
    }

    /// What is known of an image that was scored.
    private struct Scored: Codable {
        var outcome: Outcome<[ImageConfusion]>
        /// Where it may be one to show.
        var entry: ScoreGallery.Entry?
    }

    /// Scores the images one by one; a score for each of their predictions.
    /// - Parameters:
    ///   - scored: for each prediction the indices that labels can have, where these are not all.
    ///   - loop: over a share of the images.
    private func collect<Item>(
        _ classes: [[LabelClass]]?, scored: [[UInt16]]? = nil, _ loop: (ImageShare) -> ImageLoop<Item>,
        _ score: (Item) throws -> ScoredImage
    ) throws -> [SegmentationScore] {
        var images: [(pair: LabelledImage, confusions: [ImageConfusion])] = []
        var failed: [SegmentationScore.Failure] = []
        try SharedImages(set.pairs.count, by: team, path: { set.pairs[$0].image }).run { share, found in
            var own: [(Int, Outcome<[ImageConfusion]>)] = []
            try loop(share).run(progress: progress) { index, error in
                report(.init(path: set.pairs[index].image, reason: "\(error)"))
                own.append((index, .failed(reason: "\(error)")))
            } _: { index, item in
                let image = try score(item)
                try gallery?.offer(index, set.pairs[index], image)
                own.append((index, .done(image.confusions)))
            }
            // Now it is known which are to show.
            for (index, outcome) in own { try found(index, Scored(outcome: outcome, entry: gallery?.entry(index))) }
        } _: { (index, scored: Scored) in
            switch scored.outcome {
            case .failed(let reason): failed.append(.init(path: set.pairs[index].image, reason: reason))
            case .done(let confusions):
                images.append((set.pairs[index], confusions))
                gallery?.take(confusions, scored.entry)
            }
        }
        try set.gatherNotes(team)
        for path in set.incomplete {
            failed.append(
                .init(
                    path: path,
                    reason: "\(path): nothing of the same name to compare it with; add that, or leave it out"))
            if team.isFirst { report(failed[failed.count - 1]) }
        }
        func total(_ place: Int, _ classes: [LabelClass]?) throws -> SegmentationScore {
            let images = images.map { SegmentationScore.Image(pair: $0.pair, confusion: $0.confusions[place]) }
            return SegmentationScore(
                classes: try classes ?? Self.classes(of: images), scored: scored?[place], images: images,
                failed: failed)
        }
        return try classes.map { try $0.enumerated().map { try total($0, $1) } } ?? [total(0, nil)]
    }

    /// Classes 0, 1, … to the largest index that occurs.
    private static func classes(of images: [SegmentationScore.Image]) throws(OutsideClasses) -> [LabelClass] {
        let most = 1024
        for image in images {
            guard let largest = image.confusion.largestClass, largest >= most else { continue }
            throw OutsideClasses(
                path: image.pair.mask,
                reason:
                    "this mask or its prediction holds \(largest), more than \(most) classes; a class list says what they are"
            )
        }
        return LabelClass.unnamed((images.compactMap(\.confusion.largestClass).max() ?? 0) + 1)
    }
}

/// An image that was scored.
struct ScoredImage: Sendable {
    /// Shrunk, for the gallery; nil where masks are scored.
    var photo: RGBImage?
    /// The truth, and a prediction for each model, in that model's class indices.
    var labels, predictions: [IndexMask]
    var confusions: [ImageConfusion]

    /// - Parameter backgrounds: for each model what may be background where the labels say so; nil for nothing else.
    package init(photo: RGBImage?, labels: [IndexMask], predictions: [IndexMask], backgrounds: [SetBackground?]) {
        (self.photo, self.labels, self.predictions) = (photo, labels, predictions)
        confusions = zip(zip(labels, predictions), backgrounds).map {
            ImageConfusion(label: $0.0.values, prediction: $0.1.values).excusing($1)
        }
    }
}

extension IndexMask {
    /// The mask with class i renamed to `indices[i]`; void stays void.
    fileprivate func brought(to indices: [UInt16]) -> IndexMask {
        var mask = self
        for place in mask.values.indices where mask.values[place] != LabelMap.void {
            mask.values[place] = indices[Int(mask.values[place])]
        }
        return mask
    }
}
