import BEiTFiles
import BEiTImageIO

/// What a data set's background says of the classes that it has no label for.
package enum BackgroundMeaning: String, CaseIterable, Sendable {
    /// That none of them is there: it is a class as any other.
    case own
    /// Nothing: it may be any of them.
    case shared
}

/// What pixels that a data set calls background may be, where classes are known that it has no label for: its background
/// itself, and each of them.
package struct SetBackground: Equatable, Sendable {
    /// Its index among all classes.
    package let index: Int
    /// The classes that the set does not label, ascending.
    package let others: [Int]

    /// Nil where the set has no background, or labels all classes.
    /// - Parameters:
    ///   - classes: those that the set labels.
    ///   - places: their indices among all `count` classes.
    package init?(_ classes: [LabelClass], at places: [Int], of count: Int) {
        guard let own = classes.firstIndex(where: { Self.isBackground($0.name) }) else { return nil }
        let labelled = Set(places)
        (index, others) = (places[own], (0..<count).filter { !labelled.contains($0) })
        if others.isEmpty { return nil }
    }

    /// Whether this is what sets call background; labelme writes it `_background_`.
    static func isBackground(_ name: String) -> Bool {
        let marks: Set<Character> = ["_", " "]
        return name.lowercased().filter { !marks.contains($0) } == "background"
    }

    /// The background and what it may be.
    package var all: [Int] { [index] + others }
}

/// The labels of a loss for which a set's background may be several classes: those of the classes, and behind them one for
/// the background of each set that has a ``SetBackground``.
package struct BackgroundLabels: Sendable {
    /// By number of the set.
    private let labels: [(background: UInt16, label: Int32)?]

    /// - Parameters:
    ///   - classes: K; the first background has this label.
    ///   - backgrounds: of each set; empty where background is a class as any other.
    package init(classes: Int, _ backgrounds: [SetBackground?] = []) {
        var next = Int32(classes)
        labels = backgrounds.map { background in
            guard let background else { return nil }
            defer { next += 1 }
            return (UInt16(background.index), next)
        }
    }

    /// What tells the labels of set number `set` from its classes; nil where they are the same.
    subscript(set: Int) -> (background: UInt16, label: Int32)? { labels.indices.contains(set) ? labels[set] : nil }
}

extension SegmentationDataset {
    /// For people, a line a set: what its background may be.
    /// - Parameter isShared: whether it may be more than itself.
    package func backgroundLines(isShared: Bool) -> [String] {
        guard backgrounds.contains(where: { $0 != nil }) else {
            return labelled.allSatisfy { $0.count == classes.count }
                ? [] : ["no set with a class `background` lacks classes of another: each label is taken as it is"]
        }
        guard isShared else {
            return [
                "what a set calls background is taken for none of the other sets' classes (`background` own; shared: it may "
                    + "be any that the set does not label)"
            ]
        }
        return zip(options.folders, backgrounds).map { folder, background in
            guard let background else { return "\(folder.shown): each label is taken as it is" }
            let most = 30
            let names = background.others.prefix(most).map { classes[$0].name }.joined(separator: ", ")
            let rest = background.others.count > most ? " and \(background.others.count - most) more" : ""
            return "\(folder.shown): its \(classes[background.index].name) may also be \(names)\(rest), "
                + "for which it has no label (`background` shared)"
        }
    }
}
