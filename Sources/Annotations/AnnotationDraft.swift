import BEiTFiles
import BEiTImageIO

/// What a reader has found so far, in the words of its tool.
struct AnnotationDraft {
    /// A photo and what is marked on it.
    struct Image {
        /// As the annotations name the photo; a path of its own, or one below a folder that is looked for.
        var name: String
        /// Where the photo is, if the layout of the files says so.
        var photo: String?
        /// The file that the annotations stand in.
        var file: String
        var split: String?
        /// Pixels, where they are said.
        var size: (width: Int, height: Int)?
        /// In the order in which they are painted.
        var shapes: [Mark] = []
    }

    struct Mark {
        /// A place in ``labels``; nil where the pixels do not count.
        var label: Int?
        var shape: Shape
    }

    var labels = LabelNames()
    var images: [Image] = []
    var findings = Findings()
    /// How shapes that lie over each other are told, for people.
    var overlaps = "later shapes lie over earlier ones"
}

/// The labels of a tool, in the order in which they are met or declared.
struct LabelNames {
    private(set) var names: [String] = []
    private(set) var colors: [RGBColor?] = []
    /// Whether the tool lists its labels: then their order is the classes'.
    private(set) var areDeclared = false
    private var places: [String: Int] = [:]

    mutating func declare(_ name: String, _ color: RGBColor? = nil) {
        areDeclared = true
        let place = place(of: name)
        colors[place] = colors[place] ?? color
    }

    /// The label's place; one that is met for the first time gets the next.
    mutating func place(of name: String) -> Int {
        if let place = places[name] { return place }
        places[name] = names.count
        names.append(name)
        colors.append(nil)
        return names.count - 1
    }

    /// Nil for one that is neither declared nor was met.
    func known(_ name: String) -> Int? { places[name] }
}

/// What is left out or odd, counted by kind.
struct Findings {
    private var kinds: [(text: String, count: Int, first: String)] = []
    private var places: [String: Int] = [:]

    /// - Parameters:
    ///   - text: what it is, as the end of a sentence that begins with its count and noun.
    ///   - first: where, for the first of a kind.
    mutating func add(_ text: String, _ first: @autoclosure () -> String) {
        if let place = places[text] {
            kinds[place].count += 1
        } else {
            places[text] = kinds.count
            kinds.append((text, 1, first()))
        }
    }

    /// A line for each kind.
    func lines(_ noun: String) -> [String] {
        kinds.map { "\($0.count.counted(noun)) \($0.text); the first is \($0.first)" }
    }
}
