import BEiTFiles
import Foundation

/// How the photos of several data sets, which follow each other in one list, take their turns.
///
/// Without proportions they are one list, and all photos have the same share. With them each set is walked through again
/// and again in orders of its own, and the draws go to the sets by Webster's method: draw number j of a set of weight w (both
/// from 0) has the time (j + ½)/w, and the run draws in the order of these times. So any stretch of it has the proportions to
/// within a draw or two a set, and what is drawn at a place of the run follows from the place alone.
package struct SetProportions: Equatable, Sendable {
    struct Part: Equatable, Sendable {
        /// The set's number; a part that is the whole list has 0.
        var set: Int
        /// Its photos in the list.
        var photos: Range<Int>
        var weight: Double
    }
    let parts: [Part]
    /// Photos of all sets: an epoch's draws.
    package let count: Int

    /// All photos alike.
    package init(_ count: Int) { self.init([count], [1]) }

    /// - Parameters:
    ///   - counts: photos of each set; one without any is left out.
    ///   - weights: the sets' proportions, above 0.
    package init(_ counts: [Int], _ weights: [Float]) {
        precondition(counts.count == weights.count && weights.allSatisfy { $0 > 0 }, "\(counts) photos, \(weights)")
        var (first, parts) = (0, [Part]())
        for (set, (count, weight)) in zip(counts, weights).enumerated() {
            if count > 0 { parts.append(Part(set: set, photos: first..<first + count, weight: Double(weight))) }
            first += count
        }
        (self.parts, count) = (parts, first)
    }

    /// The share of the draws that part number `part` has.
    func share(_ part: Int) -> Double { parts[part].weight / parts.reduce(0) { $0 + $1.weight } }

    /// The draws from `place` on: of which part, and how often that was drawn before.
    func draws(_ places: Range<Int>) -> [(part: Int, draw: Int)] {
        // Fewer than have been drawn of each: what is missing is drawn first.
        var drawn = parts.indices.map {
            max(0, Int((Double(places.lowerBound - parts.count) * share($0)).rounded(.down)))
        }
        func next() -> (part: Int, draw: Int) {
            let times = zip(drawn, parts).map { (Double($0) + 0.5) / $1.weight }
            let part = times.indices.min { times[$0] < times[$1] } ?? 0  // the first of equals
            defer { drawn[part] += 1 }
            return (part, drawn[part])
        }
        for _ in drawn.reduce(0, +)..<places.lowerBound { _ = next() }
        return places.map { _ in next() }
    }

    /// For people, a line a set.
    /// - Parameter folders: of the sets.
    package func lines(_ folders: [String]) -> [String] {
        parts.indices.map { part in
            let (photos, share) = (parts[part].photos.count, share(part))
            return String(
                format: "%@: %@, %.1f %% of what is drawn, each %.2f times an epoch", folders[parts[part].set].shown,
                photos.counted("photo"), 100 * share, share * Double(count) / Double(photos))
        }
    }

    /// What makes such weights of `sets` sets impossible, in one sentence; nil if nothing does.
    package static func problem(_ weights: [Float], sets: Int) -> String? {
        let list = weights.map { String(format: "%g", $0) }.joined(separator: ",")
        if sets < 2 { return "`proportions` is for several data sets, and there is \(sets)" }
        if weights.count != sets {
            return
                "`proportions` \(list): \(weights.count.counted("number")) for \(sets) data sets; give one for each, in "
                + "their order"
        }
        guard weights.allSatisfy({ 1e-3...1e6 ~= $0 }) else {
            return
                "`proportions` \(list): each must be from 0.001 to 1000000; leave out the set that is not to be drawn"
        }
        return nil
    }
}
