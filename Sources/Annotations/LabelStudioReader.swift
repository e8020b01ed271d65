import BEiTFiles
import BEiTImageIO

/// Label Studio's JSON and JSON-MIN: a list of tasks, each with a photo and its annotations, of which the first that was not
/// cancelled counts. Regions lie over each other in their order; polygons are filled by the COCO API's rule.
enum LabelStudioReader {
    /// Throws ``AnnotationError``, `FileError`.
    static func read(_ file: String, below root: String, into draft: inout AnnotationDraft) throws {
        draft.overlaps = "later regions lie over earlier ones"
        var scanner = JSONScanner(try FileSystem.text(of: file))
        let split = SplitName.of(path: file, below: root)
        do {
            try scanner.array { scanner in
                let task = try scanner.value()
                guard let name = photo(task) else {
                    return draft.findings.add("of tasks without a photo left out", file.shown)
                }
                let regions = regions(task, name, &draft)
                var image = AnnotationDraft.Image(
                    name: name, file: file, split: split, size: regions.lazy.compactMap(size).first)
                add(regions, to: &image, &draft)
                draft.images.append(image)
            }
            try scanner.end()
        } catch let problem as JSONScanner.Problem {
            throw AnnotationError(path: file, "it cannot be read: \(problem.reason); export it again")
        }
    }

    /// A path or address, of which the path's end matters.
    private static func photo(_ task: JSONValue) -> String? {
        guard case .object(let members) = task["data"] ?? task else { return nil }
        let texts = members.sorted { ($0.key != "image" ? 1 : 0, $0.key) < ($1.key != "image" ? 1 : 0, $1.key) }
            .compactMap(\.value.text)
        for text in texts {
            let local = text.range(of: "?d=").map { String(text[$0.upperBound...]) } ?? text
            let path = (local.split(separator: "?").first.map(String.init) ?? local).withoutPercents
            if ImageCodec.endings.contains(path.ending.lowercased()) { return path }
        }
        return nil
    }

    private static func regions(_ task: JSONValue, _ name: String, _ draft: inout AnnotationDraft) -> [JSONValue] {
        guard let annotations = (task["annotations"] ?? task["completions"])?.list else {
            // JSON-MIN: the regions stand beside the photo.
            guard case .object(let members) = task else { return [] }
            return members.sorted { $0.key < $1.key }.flatMap { $0.value.list ?? [] }.filter {
                $0["original_width"] != nil
            }
        }
        let valid = annotations.filter { $0["was_cancelled"]?.flag != true }
        if valid.count > 1 { draft.findings.add("beyond the first of their task left out", name.shown) }
        return valid.first?["result"]?.list ?? []
    }

    private static func size(_ region: JSONValue) -> (width: Int, height: Int)? {
        guard let width = region["original_width"]?.count, let height = region["original_height"]?.count, width > 0,
            height > 0
        else { return nil }
        return (width, height)
    }

    private static func add(
        _ regions: [JSONValue], to image: inout AnnotationDraft.Image, _ draft: inout AnnotationDraft
    ) {
        // Labels may stand in a part of their own, with the region's id.
        var names: [String: String] = [:]
        for region in regions {
            if let id = region["id"]?.text, let label = label(region), names[id] == nil { names[id] = label }
        }
        for region in regions where size(region) != nil {
            if region["type"]?.text == "labels" || region["type"]?.text == "choices" { continue }
            do throws(ShapeProblem) {
                guard let name = label(region) ?? region["id"]?.text.flatMap({ names[$0] }) else {
                    throw ShapeProblem("it has no label")
                }
                guard (region["image_rotation"]?.number ?? 0) == 0 else {
                    throw ShapeProblem("its photo was turned in Label Studio, which cannot be followed")
                }
                let shape = try shape(region, image.size)
                image.shapes.append(.init(label: draft.labels.place(of: name), shape: shape))
            } catch {
                draft.findings.add("left out: \(error.reason)", "a region of \(image.name.shown)")
            }
        }
    }

    private static func label(_ region: JSONValue) -> String? {
        let values = region["value"] ?? region
        let keys = ["polygonlabels", "brushlabels", "rectanglelabels", "ellipselabels", "labels"]
        return keys.lazy.compactMap { values[$0]?.list?.first?.text }.first
    }

    private static func shape(_ region: JSONValue, _ size: (width: Int, height: Int)?) throws(ShapeProblem) -> Shape {
        let values = region["value"] ?? region
        func number(_ key: String) throws(ShapeProblem) -> Double {
            guard let number = values[key]?.number, abs(number) <= 1000 else {
                throw ShapeProblem("its \(key) is no number")
            }
            return number
        }
        let turn = values["rotation"]?.number ?? 0
        if let points = values["points"]?.list {
            let pairs = points.compactMap(\.numbers).filter { $0.count == 2 }
            guard pairs.count == points.count else { throw ShapeProblem("a point is not two numbers") }
            return .outlines([try Outline(pairs.flatMap { $0 }, .percent)], .coco)
        }
        if let code = values["rle"]?.numbers {
            guard let size else { throw ShapeProblem("its photo has no size") }
            let counts = try BrushCode.runs(code, width: size.width, height: size.height)
            return .rows(counts: counts, left: 0, top: 0, width: size.width)
        }
        guard turn == 0 || size != nil, let size else { throw ShapeProblem("its photo has no size") }
        let (sx, sy) = (Double(size.width) / 100, Double(size.height) / 100)
        let (x, y) = (try number("x") * sx, try number("y") * sy)
        if values["radiusX"] != nil {
            return .outlines(
                [try .ellipse(x, y, try number("radiusX") * sx, try number("radiusY") * sy, degrees: turn)], .coco)
        }
        let (w, h) = (try number("width") * sx, try number("height") * sy)
        return .outlines([try .turnedBox(x, y, w, h, degrees: turn)], .coco)
    }
}

extension Outline {
    /// A box turned clockwise around its upper left corner, as Label Studio does it.
    fileprivate static func turnedBox(
        _ x: Double, _ y: Double, _ w: Double, _ h: Double, degrees: Double
    ) throws(ShapeProblem) -> Outline {
        guard degrees != 0 else { return try box(x, y, x + w, y + h, degrees: 0) }
        let whole = try box(x - w, y - h, x + w, y + h, degrees: degrees)
        // The corners of the quarter behind the middle of the larger box.
        let p = whole.points
        let middle = { (a: Int, b: Int) in [(p[a] + p[b]) / 2, (p[a + 1] + p[b + 1]) / 2] }
        return try Outline([x, y] + middle(2, 4) + [p[4], p[5]] + middle(4, 6))
    }
}

/// Label Studio's run-length code of brushes: bits, of which the first say how long the fields are.
///
/// Source: `decode_rle` of label_studio_sdk's `converter/brush.py`.
enum BrushCode {
    /// Runs along the rows, the first of them outside: of the pixels whose alpha is not 0.
    static func runs(_ code: [Double], width: Int, height: Int) throws(ShapeProblem) -> [Int] {
        var bits = Bits(bytes: code.map { UInt8(exactly: $0) ?? 0 })
        let (pixels, isTooLarge) = width.multipliedReportingOverflow(by: height)
        let count = try bits.read(32)
        guard !isTooLarge, pixels <= 1 << 30, count == 4 * pixels else {
            throw ShapeProblem("its brush code has another size than its photo")
        }
        let word = try bits.read(5) + 1
        var lengths: [Int] = []
        for _ in 0..<4 { lengths.append(try bits.read(4) + 1) }
        var runs = RunCounter()
        var place = 0
        while place < count {
            let repeats = try bits.read(1) == 1
            let end = min(count, try place + 1 + bits.read(lengths[bits.read(2)]))
            if repeats {
                let value = try bits.read(word)
                // Alpha is the last of four values.
                runs.add(end / 4 - place / 4, isInside: value != 0)
            } else {
                for index in place..<end {
                    let value = try bits.read(word)
                    if index % 4 == 3 { runs.add(1, isInside: value != 0) }
                }
            }
            place = end
        }
        return runs.counts
    }

    private struct Bits {
        let bytes: [UInt8]
        var place = 0

        mutating func read(_ count: Int) throws(ShapeProblem) -> Int {
            guard place + count <= 8 * bytes.count else { throw ShapeProblem("its brush code ends too early") }
            var value = 0
            for bit in place..<place + count { value = value << 1 | Int(bytes[bit / 8] >> (7 - bit % 8) & 1) }
            place += count
            return value
        }
    }

    private struct RunCounter {
        var counts = [0]

        mutating func add(_ count: Int, isInside: Bool) {
            guard count > 0 else { return }
            if isInside == (counts.count % 2 == 0) { counts[counts.count - 1] += count } else { counts.append(count) }
        }
    }
}

extension String {
    /// With `%20` and the like replaced; as it is where that makes no text.
    fileprivate var withoutPercents: String {
        guard contains("%") else { return self }
        var result: [UInt8] = []
        var rest = Array(utf8)[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(2)
            if byte == UInt8(ascii: "%"), digits.count == 2,
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
            {
                result.append(value)
                rest = rest.dropFirst(2)
            } else {
                result.append(byte)
            }
        }
        return String(validating: result, as: UTF8.self) ?? self
    }
}
