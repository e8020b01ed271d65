import BEiTFiles

/// COCO's JSON: `images`, `annotations` and `categories` of a file, with polygons or run-length codes.
///
/// Smaller shapes lie over larger ones, as the format has no order of its own; a crowd's pixels do not count.
enum COCOReader {
    private struct Annotation {
        var image: Int
        var category: Int
        var isCrowd: Bool
        var shape: Shape
    }

    /// Throws ``AnnotationError``, `FileError`.
    static func read(_ file: String, below root: String, into draft: inout AnnotationDraft) throws {
        var (images, annotations): ([Int: AnnotationDraft.Image], [Annotation]) = ([:], [])
        var order: [Int] = []
        var categories: [Int: String] = [:]
        let split = SplitName.of(path: file, below: root)
        try JSONFile.read(file) { scanner, key in
            switch key {
            case "images":
                try scanner.array { scanner in
                    guard let (number, image) = readImage(try scanner.value(), file, split) else {
                        return draft.findings.add("of `images` left out, without id, file_name or size", file.shown)
                    }
                    if images.updateValue(image, forKey: number) == nil { order.append(number) }
                }
            case "annotations":
                try scanner.array { scanner in
                    let value = try scanner.value()
                    do {
                        annotations.append(try readAnnotation(value))
                    } catch let problem as ShapeProblem {
                        let name = value["id"]?.count.map { "annotation \($0)" } ?? "one without an id"
                        draft.findings.add("left out: \(problem.reason)", "\(name) of \(file.shown)")
                    }
                }
            case "categories":
                for category in try scanner.value().list ?? [] {
                    if let number = category["id"]?.count, let name = category["name"]?.text {
                        categories[number] = name
                    }
                }
            default: try scanner.skip()
            }
        }
        guard !categories.isEmpty else {
            throw AnnotationError(path: file, "it has no `categories`, so that nothing says what its shapes are")
        }
        for (_, name) in categories.sorted(by: { $0.key < $1.key }) { draft.labels.declare(name) }
        draft.overlaps = "smaller shapes lie over larger ones, crowds are void"
        add(annotations, categories, to: &images, file, &draft)
        draft.images += order.compactMap { images[$0] }
    }

    private static func readImage(
        _ value: JSONValue, _ file: String, _ split: String?
    ) -> (Int, AnnotationDraft.Image)? {
        guard let number = value["id"]?.count, let name = value["file_name"]?.text, let width = value["width"]?.count,
            let height = value["height"]?.count, width > 0, height > 0
        else { return nil }
        return (number, AnnotationDraft.Image(name: name, file: file, split: split, size: (width, height)))
    }

    private static func readAnnotation(_ value: JSONValue) throws(ShapeProblem) -> Annotation {
        guard let image = value["image_id"]?.count, let category = value["category_id"]?.count else {
            throw ShapeProblem("it has no image_id or category_id")
        }
        guard let segmentation = value["segmentation"], segmentation != .null, segmentation != .numbers([]) else {
            throw ShapeProblem("it has a box and no segmentation")
        }
        return Annotation(
            image: image, category: category, isCrowd: value["iscrowd"]?.flag ?? false,
            shape: try readShape(segmentation))
    }

    private static func readShape(_ segmentation: JSONValue) throws(ShapeProblem) -> Shape {
        if let parts = segmentation.list {
            var outlines: [Outline] = []
            for part in parts {
                guard let points = part.numbers else { throw ShapeProblem("its polygon is not a list of numbers") }
                outlines.append(try Outline(points))
            }
            return .outlines(outlines, .coco)
        }
        guard let size = segmentation["size"]?.numbers, size.count == 2, let height = Int(exactly: size[0]),
            let width = Int(exactly: size[1]), let counts = segmentation["counts"]
        else { throw ShapeProblem("its segmentation is neither polygons nor a run-length code") }
        let runs: [Int]
        if let code = counts.text { runs = try RunLengths.decoded(code) } else { runs = try whole(counts.numbers) }
        try RunLengths.check(runs, width: width, height: height)
        return .columns(counts: runs, width: width, height: height)
    }

    private static func whole(_ numbers: [Double]?) throws(ShapeProblem) -> [Int] {
        guard let numbers else { throw ShapeProblem("its run-length code is neither text nor numbers") }
        let counts = numbers.compactMap { Int(exactly: $0) }
        guard counts.count == numbers.count else { throw ShapeProblem("its run-length code has a fraction") }
        return counts
    }

    private static func add(
        _ annotations: [Annotation], _ categories: [Int: String], to images: inout [Int: AnnotationDraft.Image],
        _ file: String, _ draft: inout AnnotationDraft
    ) {
        let areas = annotations.map(\.shape.area)
        for place in annotations.indices.sorted(by: { (-areas[$0], $0) < (-areas[$1], $1) }) {
            let annotation = annotations[place]
            guard let size = images[annotation.image]?.size else {
                draft.findings.add(
                    "left out, of images that `images` does not have", "image \(annotation.image) of \(file.shown)")
                continue
            }
            if case .columns(_, let width, let height) = annotation.shape, (width, height) != size {
                draft.findings.add(
                    "left out, whose run-length code has another size than its image",
                    "one of image \(annotation.image) of \(file.shown)")
                continue
            }
            let name = categories[annotation.category]
            if name == nil {
                draft.findings.add(
                    "of categories that `categories` does not have: void",
                    "category \(annotation.category) in \(file.shown)")
            }
            let label = annotation.isCrowd ? nil : name.flatMap { draft.labels.known($0) }
            images[annotation.image]?.shapes.append(AnnotationDraft.Mark(label: label, shape: annotation.shape))
        }
    }
}

/// Run-length codes of the COCO API.
enum RunLengths {
    /// The lengths in a compressed code: six bits a character, five of the number, lowest first, and whether more follow;
    /// from the third on, differences from the one before the last (`rleFrString` of `maskApi.c`).
    static func decoded(_ code: String) throws(ShapeProblem) -> [Int] {
        var counts: [Int] = []
        var (value, shift) = (0, 0)
        for byte in code.utf8 {
            guard (48..<112).contains(byte), shift <= 40 else { throw ShapeProblem("its run-length code is damaged") }
            let bits = Int(byte) - 48
            value |= (bits & 0x1F) << shift
            shift += 5
            guard bits & 0x20 == 0 else { continue }
            if bits & 0x10 != 0 { value |= -1 << shift }
            if counts.count > 2 { value += counts[counts.count - 2] }
            guard abs(value) <= 1 << 48 else { throw ShapeProblem("its run-length code is damaged") }
            counts.append(value)
            (value, shift) = (0, 0)
        }
        guard shift == 0 else { throw ShapeProblem("its run-length code ends too early") }
        return counts
    }

    /// Throws where the runs do not make up the image.
    static func check(_ counts: [Int], width: Int, height: Int) throws(ShapeProblem) {
        let (pixels, isTooLarge) = width.multipliedReportingOverflow(by: height)
        guard width > 0, height > 0, !isTooLarge else { throw ShapeProblem("its run-length code has no size") }
        var sum = 0
        for count in counts {
            guard count >= 0, count <= pixels - sum else {
                throw ShapeProblem("the runs of its code do not fit into its size")
            }
            sum += count
        }
        guard sum == pixels else { throw ShapeProblem("the runs of its code do not make up its size") }
    }
}

/// A JSON file, read part by part.
enum JSONFile {
    /// - Parameter member: reads the value of a key of the object that the file holds.
    /// - Throws: ``AnnotationError``, `FileError`.
    static func read(_ file: String, _ member: (inout JSONScanner, String) throws -> Void) throws {
        var scanner = JSONScanner(try FileSystem.text(of: file))
        do {
            try scanner.object(member)
            try scanner.end()
        } catch let problem as JSONScanner.Problem {
            throw AnnotationError(path: file, "it cannot be read: \(problem.reason); export it again")
        }
    }
}
