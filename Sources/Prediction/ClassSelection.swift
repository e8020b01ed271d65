import BEiTDatasets
import BEiTFiles
import BEiTImageIO
import Foundation

/// What becomes of a model's classes in results, without training, as it is asked for: by names.
package struct ClassSelection: Equatable, Sendable {
    /// Classes that become one.
    package struct Merge: Equatable, Sendable {
        package var names: [String]
        /// Of the class that they become: a new one, or that of a class of the model.
        package var name: String

        package init(_ names: [String], as name: String) { (self.names, self.name) = (names, name) }
    }
    package var merges: [Merge] = []
    /// The classes that pixels may have, by their names after merging; nil for all.
    package var only: [String]?
    /// The probability that a pixel's class must have, 0…1.
    package var minimumConfidence = 0.0
    /// The pixels that a connected region of a class must have.
    package var leastArea = 1
    /// The value in masks of pixels that have no class; nil for 255, or 65535 where 255 is a class.
    package var void: Int?

    package init() {}

    var leavesPixelsOut: Bool { only != nil || minimumConfidence > 0 || leastArea > 1 }
}

/// A selection that does not go with the model's classes.
package enum SelectionError: ExitStatus, Equatable {
    case unknown(String, nearest: String?)
    case mergedTwice(String)
    case cannotMark(void: Int)

    package var exitStatus: Int32 { 64 }

    package var description: String {
        switch self {
        case .unknown(let name, let nearest):
            "no class is named \(name.shown)\(nearest.map { "; did you mean \($0)?" } ?? "") (`inspect` lists the classes)"
        case .mergedTwice(let name): "the class \(name.shown) is to be merged twice; name it in one `merge` alone"
        case .cannotMark(let void): "pixels cannot have the value \(void); `void` is 0 to 65535"
        }
    }
}

/// The classes of results: those of the model, with their indices, or what a ``ClassSelection`` makes of them.
package struct ResultClasses: Sendable {
    /// K, by index. A merged class has the index of the first that it is made of; the others never occur.
    package let classes: [LabelClass]
    /// For each class of the model its index in results; nil where all stay.
    let merging: [Int]?
    /// Which classes pixels may have; nil for all.
    private let isKept: [Bool]?
    private let minimumConfidence: Float
    /// The pixels that a connected region must have; smaller ones lose their class.
    let leastArea: Int
    /// The index of pixels that have no class: K, or that of the class which they are to have.
    let none: UInt16
    /// What stands for ``none`` in masks; nil where every pixel has a class.
    let void: UInt16?

    /// All classes of a model.
    package init(_ classes: [LabelClass]) {
        (self.classes, merging, isKept, minimumConfidence, leastArea) = (classes, nil, nil, 0, 1)
        (none, void) = (UInt16(truncatingIfNeeded: classes.count), nil)
    }

    /// - Throws: ``SelectionError``.
    package init(_ classes: [LabelClass], _ selection: ClassSelection) throws(SelectionError) {
        (self.classes, merging) = try Self.merged(classes, selection.merges)
        (minimumConfidence, leastArea) = (Float(selection.minimumConfidence), selection.leastArea)
        if let only = selection.only {
            let targets = merging ?? Array(classes.indices)
            let current = targets.indices.filter { targets[$0] == $0 }
            var isKept = classes.map { _ in false }
            for name in only { for index in try Self.find(name, self.classes, among: current) { isKept[index] = true } }
            self.isKept = isKept
        } else {
            isKept = nil
        }
        guard selection.leavesPixelsOut else {
            (none, void) = (UInt16(truncatingIfNeeded: classes.count), nil)
            return
        }
        let value = selection.void ?? (classes.count < 256 ? 255 : 65_535)
        guard let void = UInt16(exactly: value) else { throw .cannotMark(void: value) }
        none = value < classes.count ? UInt16(merging?[value] ?? value) : UInt16(classes.count)
        self.void = value < classes.count ? nil : void
    }

    private static func merged(
        _ classes: [LabelClass], _ merges: [ClassSelection.Merge]
    ) throws(SelectionError) -> ([LabelClass], [Int]?) {
        var (all, targets, isMerged) = (classes, Array(classes.indices), classes.map { _ in false })
        var names: [String] = []
        for merge in merges where !names.contains(merge.name) { names.append(merge.name) }
        for name in names {
            // A class of the model that has this name already is one of them.
            var members = Set(classes.indices.filter { classes[$0].name == name })
            for old in merges.filter({ $0.name == name }).flatMap(\.names) {
                members.formUnion(try find(old, classes, among: Array(classes.indices)))
            }
            for index in members.sorted() {
                if isMerged[index] { throw .mergedTwice(classes[index].name) }
                (targets[index], isMerged[index]) = (members.min() ?? index, true)
            }
            if let first = members.min() { all[first].name = name }
        }
        return (all, targets == Array(classes.indices) ? nil : targets)
    }

    /// The classes of this name, mostly one.
    private static func find(
        _ name: String, _ classes: [LabelClass], among indices: [Int]
    ) throws(SelectionError) -> [Int] {
        func trimmed(_ name: String) -> String { name.trimmingCharacters(in: .whitespaces) }
        let found = indices.filter { trimmed(classes[$0].name) == trimmed(name) }
        guard found.isEmpty else { return found }
        throw .unknown(name, nearest: Spelling.nearest(to: name, among: indices.map { classes[$0].name }))
    }

    /// The classes that may occur.
    var possible: [Int] {
        classes.indices.filter { index in
            let isWhole = merging.map { $0[index] == index } ?? true
            return isWhole && (isKept.map { $0[index] || Int(none) == index } ?? true)
        }
    }

    /// The classes that may occur, for a manifest.
    var listed: [PredictionManifest.ListedClass] { possible.map { .init(index: $0, name: classes[$0].name) } }

    /// Whether pixels are judged by their confidence.
    var needsConfidence: Bool { minimumConfidence > 0 }

    /// Takes the class from pixels that have another than they may, or are less sure of it than they must.
    func choose(among strip: inout SegmentedStrip) {
        if let isKept {
            for place in strip.classes.indices where !isKept[Int(strip.classes[place])] { strip.classes[place] = none }
        }
        guard needsConfidence else { return }
        for place in strip.classes.indices where strip.confidence[place] < minimumConfidence {
            strip.classes[place] = none
        }
    }

    /// The value in masks of each index of a result.
    var values: [UInt16] { classes.indices.map { UInt16($0) } + (void.map { [$0] } ?? []) }

    /// The colour of each index of a result; pixels without a class are black.
    var palette: [RGBColor] { classes.map(\.color) + (void == nil ? [] : [RGBColor(0, 0, 0)]) }
}
