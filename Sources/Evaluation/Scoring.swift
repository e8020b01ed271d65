import Checkpoints
import Datasets
import ImageIO
import TensorCore

/// Scores a model, or finished masks, on a labelled set.
///
/// An image that cannot be read, or whose mask has another size, is listed as failed and left out; a label outside the
/// classes ends the run with ``OutsideClasses``.
public struct Scoring {
    private let set: LabelledSet
    /// Hears of each image that failed.
    private let report: (SegmentationScore.Failure) -> Void

    public init(_ set: LabelledSet, report: @escaping (SegmentationScore.Failure) -> Void = { _ in }) {
        (self.set, self.report) = (set, report)
    }

    private struct Sample: Sendable {
        var photo: PreparedPhoto
        var label: IndexMask
    }

    /// Segments the photos and scores the result.
    ///
    /// - Parameter classes: the model's; labels are brought to their indices.
    /// - Throws: ``OutsideClasses``, ``DatasetError``.
    public func score(
        _ network: WindowNetwork, classes: [ClassInfo], _ options: InferenceOptions
    ) throws -> SegmentationScore {
        let indices = try set.indices(in: classes)
        let samples = Prefetcher(0..<set.pairs.count, ahead: 3, threads: 1) { [set, size = network.size] number in
            let pair = set.pairs[number]
            var label = try set.label(pair)
            for place in label.values.indices where label.values[place] != LabelMap.void {
                label.values[place] = indices[Int(label.values[place])]
            }
            let photo = try PreparedPhoto(pair.image, size, options)
            try Self.check(pair, label, photo.width, photo.height)
            return Sample(photo: photo, label: label)
        }
        let segmenter = PhotoSegmenter(network, options)
        return try collect(classes) { _ in
            guard let sample = try samples.next() else { return nil }
            let result = segmenter.segment(sample.photo)
            return ImageConfusion(label: sample.label.values, prediction: result.classes)
        }
    }

    /// Scores the predictions that the set's pairs name as their images.
    ///
    /// Where the set names no classes they are 0, 1, … to the largest index that occurs.
    /// - Throws: ``OutsideClasses``.
    public func scorePredictions() throws -> SegmentationScore {
        let confusions = Prefetcher(0..<set.pairs.count, ahead: 3, threads: 2) { [set] number in
            let pair = set.pairs[number]
            let label = try set.label(pair)
            let prediction = try decodeMask(pair.image)
            try Self.check(pair, label, prediction.width, prediction.height)
            let confusion = ImageConfusion(label: label.values, prediction: prediction.values)
            if let classes = set.classes, let bad = confusion.entries.map(\.prediction).max(), bad >= classes.count {
                throw OutsideClasses(
                    path: pair.image, reason: "predicts the class \(bad), which is none of the \(classes.count) classes"
                )
            }
            return confusion
        }
        return try collect(set.classes.map { $0.map(ClassInfo.init) }) { _ in try confusions.next() }
    }

    private func collect(
        _ classes: [ClassInfo]?, _ confusion: (LabelledImage) throws -> ImageConfusion?
    ) throws -> SegmentationScore {
        var images: [SegmentationScore.Image] = []
        var failed: [SegmentationScore.Failure] = []
        for pair in set.pairs {
            do {
                guard let confusion = try confusion(pair) else { break }
                images.append(.init(pair: pair, confusion: confusion))
            } catch let error as OutsideClasses {
                throw error
            } catch {
                failed.append(.init(path: pair.image, reason: "\(error)"))
                report(failed[failed.count - 1])
            }
        }
        for path in set.incomplete {
            failed.append(.init(path: path, reason: "\(path): nothing of the same name to compare it with"))
            report(failed[failed.count - 1])
        }
        return SegmentationScore(classes: try classes ?? Self.classes(of: images), images: images, failed: failed)
    }

    /// Classes 0, 1, … to the largest index that occurs.
    private static func classes(of images: [SegmentationScore.Image]) throws(OutsideClasses) -> [ClassInfo] {
        let most = 1024
        for image in images {
            guard let largest = image.confusion.largestClass, largest >= most else { continue }
            throw OutsideClasses(
                path: image.pair.mask,
                reason:
                    "this mask or its prediction holds \(largest), more than \(most) classes; name the classes with --classes"
            )
        }
        return ClassInfo.numbered((images.compactMap(\.confusion.largestClass).max() ?? 0) + 1)
    }

    private static func check(_ pair: LabelledImage, _ label: IndexMask, _ width: Int, _ height: Int) throws {
        guard (label.width, label.height) == (width, height) else {
            throw DatasetError(
                .invalid, path: pair.mask,
                reason: "is \(label.width)×\(label.height) pixels, but \(pair.image) is \(width)×\(height)")
        }
    }
}

extension ClassInfo {
    init(_ label: LabelClass) {
        self.init(name: label.name, color: [label.color.red, label.color.green, label.color.blue])
    }

    static func numbered(_ count: Int) -> [ClassInfo] {
        zip(0..., ColorMap.colors(count)).map {
            ClassInfo(name: "class \($0)", color: [$1.red, $1.green, $1.blue])
        }
    }
}
