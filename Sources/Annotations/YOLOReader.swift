import BEiTFiles
import BEiTImageIO

/// YOLO's segmentation labels: a text for each photo with a line `CLASS x y x y …` for each shape, in shares of the
/// photo's sides, and a YAML file with the names of the classes.
///
/// Outlines are filled as supervision and Ultralytics do it, with OpenCV. The format has no order of shapes: smaller ones lie
/// over larger ones.
enum YOLOReader {
    /// - Parameter file: the YAML file, or the list of names in the folder of an export without one.
    /// - Throws: ``AnnotationError``, `FileError`.
    static func read(_ file: String, into draft: inout AnnotationDraft) throws {
        draft.overlaps = "smaller shapes lie over larger ones"
        let text = String(decoding: try FileSystem.text(of: file), as: UTF8.self)
        let names: [String]
        var places: [(split: String?, path: String)]
        if ["yaml", "yml"].contains(file.ending.lowercased()) {
            let settings = SimpleYAML(text)
            names = settings.list("names")
            places = folders(settings, file)
        } else {
            names = text.split(whereSeparator: \.isNewline).map { String($0).trimmed }.filter { !$0.isEmpty }
            places = []
        }
        guard !names.isEmpty else {
            throw AnnotationError(path: file, "it has no list `names`, so that nothing says what the classes are")
        }
        if places.isEmpty { places = [(nil, file.parent.joined("images"))] }
        for name in names { draft.labels.declare(name) }
        for (split, path) in places { for photo in try photos(path, file) { add(photo, split, names, file, &draft) } }
    }

    /// The folders or lists of each split. Some exports count them from a folder beside their own.
    private static func folders(_ settings: SimpleYAML, _ file: String) -> [(split: String?, path: String)] {
        let root = settings.text("path").map { file.parent.joined(relative: $0) } ?? file.parent
        return ["train", "val", "valid", "test"].flatMap { key in
            settings.list(key).compactMap { name -> (String?, String)? in
                let below = name.split(separator: "/").drop { $0 == ".." || $0 == "." }.joined(separator: "/")
                let candidates = [
                    root.joined(relative: name), file.parent.joined(relative: name), file.parent.joined(below),
                ]
                return candidates.first(where: FileSystem.exists).map { (SplitName.of(key), $0) }
            }
        }
    }

    private static func photos(_ path: String, _ file: String) throws -> [String] {
        if FileSystem.isFolder(path) { return try PhotoListing(path).names.map { path.joined($0) } }
        guard path.ending.lowercased() == "txt" else {
            throw AnnotationError(
                path: path, "there is no folder of photos, which \(file.shown) names", isMissing: true)
        }
        let lines = String(decoding: try FileSystem.text(of: path), as: UTF8.self).split(whereSeparator: \.isNewline)
        return lines.map { String($0).trimmed }.filter { !$0.isEmpty }.map { path.parent.joined(relative: $0) }
    }

    private static func add(
        _ photo: String, _ split: String?, _ names: [String], _ file: String, _ draft: inout AnnotationDraft
    ) {
        let place = SplitName.of(path: photo.parent, below: file.parent)
        let labels = labelFile(photo)
        var image = AnnotationDraft.Image(
            name: photo, photo: FileSystem.isFile(photo) ? photo : nil, file: labels ?? file, split: split ?? place)
        guard let labels, let bytes = try? FileSystem.text(of: labels) else {
            draft.findings.add("file is missing, of a photo that is then background alone", photo.shown)
            return draft.images.append(image)
        }
        var marks: [AnnotationDraft.Mark] = []
        for (number, line) in String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline).enumerated() {
            do {
                if let mark = try mark(line, names, &draft, labels) { marks.append(mark) }
            } catch {
                draft.findings.add("left out: \(error.reason)", "line \(number + 1) of \(labels.shown)")
            }
        }
        let areas = marks.map(\.shape.area)
        image.shapes = marks.indices.sorted { (-areas[$0], $0) < (-areas[$1], $1) }.map { marks[$0] }
        draft.images.append(image)
    }

    /// `images/a.jpg` has `labels/a.txt`; or the text lies beside the photo.
    private static func labelFile(_ photo: String) -> String? {
        var parts = photo.withoutEnding.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        let beside = photo.withoutEnding + ".txt"
        if let place = parts.lastIndex(of: "images") { parts[place] = "labels" }
        return [parts.joined(separator: "/") + ".txt", beside].first(where: FileSystem.isFile)
    }

    private static func mark(
        _ line: Substring, _ names: [String], _ draft: inout AnnotationDraft, _ file: String
    ) throws(ShapeProblem) -> AnnotationDraft.Mark? {
        let words = line.split(whereSeparator: \.isWhitespace)
        if words.isEmpty { return nil }
        let numbers = words.compactMap { Double($0) }
        guard numbers.count == words.count, numbers.count >= 5, let number = Int(exactly: numbers[0]) else {
            throw ShapeProblem("it is not a class and numbers behind it")
        }
        if !names.indices.contains(number) {
            draft.findings.add("of a class that `names` does not have: void", "class \(number) in \(file.shown)")
        }
        let label = names.indices.contains(number) ? draft.labels.known(names[number]) : nil
        return AnnotationDraft.Mark(label: label, shape: .outlines([try outline(Array(numbers.dropFirst()))], .openCV))
    }

    /// Four numbers are a box, by its middle and sides; one more behind a shape is a confidence.
    private static func outline(_ numbers: [Double]) throws(ShapeProblem) -> Outline {
        guard numbers.count > 5 else {
            let (x, y, w, h) = (numbers[0], numbers[1], numbers[2] / 2, numbers[3] / 2)
            return try Outline.box(x - w, y - h, x + w, y + h, degrees: 0, .shares)
        }
        return try Outline(Array(numbers.prefix(numbers.count / 2 * 2)), .shares)
    }
}

extension String {
    /// A path that may be one from the root, or lead out of the folder.
    fileprivate func joined(relative path: String) -> String {
        path.hasPrefix("/") ? path : joined(path.hasPrefix("./") ? String(path.dropFirst(2)) : path)
    }
}

/// As much of YAML as lists of names and paths take: keys with a text, a list, or numbered texts.
struct SimpleYAML {
    private var values: [String: [String]] = [:]

    init(_ text: String) {
        var key: String?
        var open = ""
        for line in text.split(whereSeparator: \.isNewline) {
            let line = Self.withoutComment(line)
            let content = line.trimmed
            if content.isEmpty { continue }
            if !open.isEmpty {
                open += " " + content
            } else if line.first?.isWhitespace == true || content.hasPrefix("- ") {
                guard let key else { continue }
                values[key, default: []].append(Self.item(content))
            } else if let colon = content.firstIndex(of: ":") {
                let name = Self.unquoted(String(content[..<colon]).trimmed)
                let value = String(content[content.index(after: colon)...]).trimmed
                key = name
                if value.hasPrefix("[") || value.hasPrefix("{") {
                    open = value
                } else if !value.isEmpty {
                    values[name] = [Self.unquoted(value)]
                }
            }
            if let name = key, let last = open.last, last == "]" || last == "}" {
                values[name] = Self.items(open)
                open = ""
            }
        }
    }

    /// The texts of a key: of a list, of numbered texts in their order, or one.
    func list(_ key: String) -> [String] { values[key] ?? [] }

    func text(_ key: String) -> String? { values[key]?.first }

    private static func withoutComment(_ line: Substring) -> String {
        var quote: Character?
        var before: Character = " "
        for place in line.indices {
            let letter = line[place]
            if let open = quote {
                if letter == open { quote = nil }
            } else if letter == "\"" || letter == "'" {
                quote = letter
            } else if letter == "#", before.isWhitespace {
                return String(line[..<place])
            }
            before = letter
        }
        return String(line)
    }

    /// `- a`, `0: a` or `a`.
    private static func item(_ content: String) -> String {
        if content.hasPrefix("- ") { return unquoted(String(content.dropFirst(2)).trimmed) }
        guard let colon = content.firstIndex(of: ":"), Int(content[..<colon]) != nil else { return unquoted(content) }
        return unquoted(String(content[content.index(after: colon)...]).trimmed)
    }

    /// Of `[a, b]` and `{0: a, 1: b}`.
    private static func items(_ text: String) -> [String] {
        var (items, item, quote): ([String], String, Character?) = ([], "", nil)
        for letter in text.dropFirst().dropLast() {
            if letter == quote { quote = nil } else if quote == nil, letter == "\"" || letter == "'" { quote = letter }
            if letter == ",", quote == nil {
                items.append(item)
                item = ""
            } else {
                item.append(letter)
            }
        }
        return (items + [item]).map(\.trimmed).filter { !$0.isEmpty }.map(Self.item)
    }

    private static func unquoted(_ text: String) -> String {
        guard text.count > 1, let first = text.first, first == text.last, first == "\"" || first == "'" else {
            return text
        }
        return String(text.dropFirst().dropLast())
    }
}
