import BEiTDatasets

/// The confusion matrix of one image, kept sparse: of K² pairs of classes an image shows a few.
package struct ImageConfusion: Codable, Equatable, Sendable {
    package struct Entry: Codable, Equatable, Sendable {
        package var truth, prediction: UInt16
        package var pixels: Int
    }
    /// Ascending by true, then by predicted class.
    package private(set) var entries: [Entry]
    /// Pixels labelled void.
    package private(set) var ignored = 0
    /// Pixels of a background that count as predicted rightly, because what was predicted may be background there.
    package private(set) var excused = 0

    /// - Parameters: class indices, and ``LabelMap/void``; where the prediction is void it is an error of the true class.
    /// - Precondition: both have the same number of pixels.
    package init(label: [UInt16], prediction: [UInt16]) {
        precondition(label.count == prediction.count, "\(label.count) labels for \(prediction.count) pixels")
        var counts: [UInt32: Int] = [:]
        // Masks have long runs of one pair, so the table is touched once a run.
        var (pair, run): (UInt32, Int) = (0, 0)
        for (truth, guess) in zip(label, prediction) {
            let next = UInt32(truth) << 16 | UInt32(guess)
            if next != pair {
                counts[pair, default: 0] += run
                (pair, run) = (next, 0)
            }
            run += 1
        }
        counts[pair, default: 0] += run
        entries = []
        for (pair, pixels) in counts.sorted(by: { $0.key < $1.key }) where pixels > 0 {
            if pair >> 16 == LabelMap.void {
                ignored += pixels
            } else {
                entries.append(
                    Entry(truth: UInt16(pair >> 16), prediction: UInt16(truncatingIfNeeded: pair), pixels: pixels))
            }
        }
    }

    /// The same where a prediction of a class that the labels lack counts as background on what they call background.
    package func excusing(_ background: SetBackground?) -> ImageConfusion {
        guard let background else { return self }
        let (own, others) = (UInt16(background.index), Set(background.others.map { UInt16($0) }))
        var result = self
        result.entries.removeAll { $0.truth == own && others.contains($0.prediction) }
        let moved = pixels - result.pixels
        guard moved > 0 else { return self }
        result.excused += moved
        if let place = result.entries.firstIndex(where: { ($0.truth, $0.prediction) == (own, own) }) {
            result.entries[place].pixels += moved
        } else {
            let place = result.entries.firstIndex { ($0.truth, $0.prediction) > (own, own) } ?? result.entries.count
            result.entries.insert(Entry(truth: own, prediction: own, pixels: moved), at: place)
        }
        return result
    }

    /// The largest class index that counts; nil if no pixel does.
    package var largestClass: Int? {
        entries.map { Int(max($0.truth, $0.prediction == LabelMap.void ? 0 : $0.prediction)) }.max()
    }

    /// The largest class that is predicted where pixels count.
    package var largestPrediction: Int? {
        entries.lazy.map(\.prediction).filter { $0 != LabelMap.void }.max().map { Int($0) }
    }

    /// Pixels that count.
    package var pixels: Int { entries.reduce(0) { $0 + $1.pixels } }

    /// The mean IoU of the image by itself, over the classes that it is labelled with or that are predicted in it.
    package var meanIoU: Double? {
        var areas: [UInt16: (both: Int, either: Int)] = [:]
        for entry in entries {
            areas[entry.truth, default: (0, 0)].either += entry.pixels
            if entry.truth == entry.prediction {
                areas[entry.truth, default: (0, 0)].both += entry.pixels
            } else if entry.prediction != LabelMap.void {
                areas[entry.prediction, default: (0, 0)].either += entry.pixels
            }
        }
        // In the order of the classes: the order of a dictionary, and with it the rounding, changes from run to run.
        let scores = areas.sorted { $0.key < $1.key }.map { Double($0.value.both) / Double($0.value.either) }
        return scores.isEmpty ? nil : scores.reduce(0, +) / Double(scores.count)
    }

    /// The largest group of pixels of one class that were taken for one other.
    package var largestError: Entry? {
        entries.filter { $0.truth != $0.prediction && $0.prediction != LabelMap.void }.reduce(nil) { most, entry in
            most.map { $0.pixels >= entry.pixels } == true ? most : entry
        }
    }

    /// The share of the image's pixels that were predicted rightly.
    package var pixelAccuracy: Double? {
        let all = pixels
        let right = entries.reduce(0) { $0 + ($1.truth == $1.prediction ? $1.pixels : 0) }
        return all == 0 ? nil : Double(right) / Double(all)
    }

    func add(to totals: inout ClassTotals) {
        for entry in entries { totals.add(entry.pixels, truth: Int(entry.truth), prediction: Int(entry.prediction)) }
    }
}
