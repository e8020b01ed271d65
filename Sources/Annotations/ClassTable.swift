import BEiTFiles
import BEiTImageIO

/// How a tool's labels become classes.
struct ClassTable {
    private(set) var classes: [LabelClass] = []
    /// The value of pixels without a shape.
    private(set) var unlabelled = AnnotationSet.void
    /// What was decided about pixels without a shape, as the end of a line.
    private(set) var decision = ""
    private(set) var warnings: [String] = []
    /// For each label of the tool.
    private var values: [UInt16] = []

    /// Labels that say that pixels do not count.
    private static let voidNames: Set = ["__ignore__", "void"]
    private static let backgroundNames: Set = ["background", "_background_", "__background__"]

    static func isBackground(_ name: String) -> Bool { backgroundNames.contains(name.lowercased()) }

    init(_ draft: AnnotationDraft, _ options: AnnotationOptions, _ wanted: [LabelClass]?) {
        classes = wanted ?? Self.classes(draft.labels)
        place(background: options, draft, isFixed: wanted != nil)
        let places = Dictionary(classes.enumerated().map { ($1.name, UInt16($0)) }, uniquingKeysWith: { a, _ in a })
        var strangers: [String] = []
        values = draft.labels.names.map { name in
            if let place = places[name] { return place }
            if Self.isBackground(name), unlabelled != AnnotationSet.void { return unlabelled }
            if !Self.voidNames.contains(name.lowercased()) { strangers.append(name) }
            return AnnotationSet.void
        }
        if !strangers.isEmpty {
            warnings.append(
                "the labels \(strangers.map(\.shown).joined(separator: ", ")) are none of the classes: their pixels are void"
            )
        }
    }

    func value(of label: Int?) -> UInt16 { label.map { values[$0] } ?? AnnotationSet.void }

    /// Those of the labels, in the tool's order or, where it has none, in that of their names.
    private static func classes(_ labels: LabelNames) -> [LabelClass] {
        var found = zip(labels.names, labels.colors).filter { !voidNames.contains($0.0.lowercased()) }
        if !labels.areDeclared {
            found.sort {
                let (a, b) = (isBackground($0.0), isBackground($1.0))
                return a != b ? a : $0.0.utf8.lexicographicallyPrecedes($1.0.utf8)
            }
        }
        let first = found.contains { isBackground($0.0) } ? 0 : 1
        return found.enumerated().map { index, label in
            LabelClass(
                name: label.0,
                color: label.1 ?? (isBackground(label.0) ? RGBColor(0, 0, 0) : ColorMap.color(index + first)))
        }
    }

    /// What pixels without a shape are: the class named background, one that is made for them, or void.
    private mutating func place(background options: AnnotationOptions, _ draft: AnnotationDraft, isFixed: Bool) {
        if options.unlabelledIsVoid {
            decision = "; pixels without a shape are void"
        } else if let place = classes.firstIndex(where: { Self.isBackground($0.name) }) {
            unlabelled = UInt16(place)
            decision = "; pixels without a shape are \(classes[place].name.shown)"
        } else if isFixed {
            decision = "; pixels without a shape are void, as no class is called background"
        } else if draft.images.allSatisfy(\.isCovered) {
            decision = "; its shapes cover every pixel"
        } else {
            classes.insert(LabelClass(name: "background", color: RGBColor(0, 0, 0)), at: 0)
            unlabelled = 0
            decision = "; pixels without a shape are background"
        }
    }
}

extension AnnotationDraft.Image {
    /// Whether its shapes are masks that leave no pixel free, as those of whole segmentations are.
    fileprivate var isCovered: Bool {
        guard let size else { return false }
        var sum = 0.0
        for mark in shapes {
            guard case .columns = mark.shape else { return false }
            sum += mark.shape.area
        }
        return sum == Double(size.width) * Double(size.height)
    }
}
