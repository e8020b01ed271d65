import BEiTFiles
import BEiTImageIO
import BEiTTensorCore
import Foundation
import Synchronization

/// What a look at every photo and mask finds, before hours of training rest on them.
package struct DataCheck: Sendable {
    /// A split's findings.
    package struct Split: Sendable {
        package var images = 0
        /// Photos without a mask, and masks without a photo.
        package var warnings: [String] = []
        /// Pixels of each class, and void ones.
        package var pixels: [Int]
        package var void = 0
        /// One line for each pair that a damaged file keeps from being used; training goes on without them.
        package var unreadable: [String] = []
        /// One line for each pair whose labels or sizes are wrong.
        package var errors: [String] = []
        /// Whether some of them are labels outside the classes.
        package var hasUnknownLabels = false
        /// Masks that were read: all of them, or an even sample of a large set.
        package var checked = 0
    }

    package private(set) var splits: [(name: DatasetSplit, findings: Split)] = []
    private let dataset: SegmentationDataset
    /// What was decided and found odd, about names, then about masks.
    package private(set) var notes: [LabelNote] = []

    /// Masks read in a split, at most; larger sets are sampled evenly.
    static let limit = 5000

    /// Reads the masks and the photos' headers. Throws ``DatasetError`` if there is nothing to train on.
    package init(_ dataset: SegmentationDataset) throws {
        self.dataset = dataset
        for split in DatasetSplit.allCases {
            let found = try dataset.images(split)
            guard !found.pairs.isEmpty else { continue }
            var findings = DataCheck.look(at: found.pairs, dataset)
            findings.warnings = found.warnings
            notes += found.notes
            splits.append((split, findings))
        }
        notes += dataset.notes
    }

    private static func look(at pairs: [LabelledImage], _ dataset: SegmentationDataset) -> Split {
        let step = (pairs.count + limit - 1) / limit
        let total = Mutex(Split(images: pairs.count, pixels: [Int](repeating: 0, count: dataset.classes.count)))
        WorkerPool.current.run((pairs.count + step - 1) / step) { index in
            let pair = pairs[index * step]
            let result = Result { try histogram(pair, dataset) }
            total.withLock { total in
                total.checked += 1
                switch result {
                case .failure(let error) where isDamage(error): total.unreadable.append("\(error)")
                case .failure(let error):
                    total.errors.append("\(error)")
                    total.hasUnknownLabels = total.hasUnknownLabels || error is OutsideClasses
                case .success(let (pixels, void)):
                    for (index, count) in pixels.enumerated() { total.pixels[index] += count }
                    total.void += void
                }
            }
        }
        var result = total.withLock { $0 }
        result.errors.sort()
        result.unreadable.sort()
        return result
    }

    private static func histogram(
        _ pair: LabelledImage, _ dataset: SegmentationDataset
    ) throws -> (pixels: [Int], void: Int) {
        let mask = try dataset.loadMask(pair)
        var counts = [Int](repeating: 0, count: 1 << 16)
        for value in mask.values { counts[Int(value)] += 1 }
        return (Array(counts.prefix(dataset.classes.count)), counts[Int(LabelMap.void)])
    }

    /// Pixels of each class in the training split.
    package var trainingPixels: [Int] { splits.first { $0.name == .train }?.findings.pixels ?? [] }

    /// The findings for people to read.
    package var lines: [String] {
        dataset.mapping.map { "data: \($0)" } + notes.map { ($0.isWarning ? "warning: " : "data: ") + $0.text }
            + splits.flatMap { name, split -> [String] in
                let all = max(1, split.pixels.reduce(split.void, +))
                let share = { (count: Int) in String(format: "%.1f %%", 100 * Double(count) / Double(all)) }
                let sample = split.checked < split.images ? " (\(split.checked) masks read)" : ""
                let histogram = zip(dataset.classes, split.pixels).map { "\($0.name) \(share($1))" }
                let absent = zip(dataset.classes, split.pixels).filter { $1 == 0 }.map(\.0.name)
                return [
                    "\(name.rawValue): \(split.images.counted("image"))\(sample); pixels: "
                        + histogram.joined(separator: ", ")
                        + ", void \(share(split.void))"
                ]
                    + (absent.isEmpty
                        ? [] : ["warning: no pixel of \(absent.joined(separator: ", ")) in \(name.rawValue)"])
                    + split.warnings.map { "warning: \($0)" }
                    + split.unreadable.prefix(20).map { "warning: left out: \($0)" }
            }
    }

    /// Throws ``DatasetError`` with the first pair whose labels or sizes are wrong, where more than a few are unreadable,
    /// and where there is nothing to tell apart in the training split.
    package func verdict() throws {
        let errors = splits.flatMap(\.findings.errors)
        if let first = errors.first {
            let more = errors.count > 1 ? " (and \(errors.count - 1) more)" : ""
            let topic: LabelTopic? = splits.contains { $0.findings.hasUnknownLabels } ? .values : nil
            throw DatasetError(.invalid, path: "data check", reason: first + more, topic)
        }
        for (_, split) in splits { try PhotoDataset.check(split.unreadable, of: split.checked) }
        try dataset.checkVoid(pixels: trainingPixels, void: splits.first { $0.name == .train }?.findings.void ?? 0)
        try requireTwoClasses()
    }

    /// A network that has seen one class, or none, names it everywhere.
    private func requireTwoClasses() throws(DatasetError) {
        let present = zip(dataset.classes, trainingPixels).filter { $1 > 0 }.map(\.0.name)
        guard present.count < 2, let masks = splits.first(where: { $0.name == .train }) else { return }
        let found = present.first.map { "no pixel of a class but \($0)" } ?? "no pixel of any class, all is void"
        throw DatasetError(
            .invalid, path: "data check",
            reason:
                "the \(masks.findings.checked.counted("mask")) to learn from hold \(found), which teaches nothing; add masks "
                + "of other classes, or say what the values mean", .values)
    }
}
