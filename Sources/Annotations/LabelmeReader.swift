import BEiTFiles

/// Labelme's JSON: a file for each photo, with `shapes` in the order in which they are painted.
///
/// Pixels are those of `labelme.utils.shape_to_mask`, which draws with Pillow.
enum LabelmeReader {
    /// Half the side of what a single point covers.
    private static let pointSize = 5.0
    /// In pixels; the fourth power of twice as much is a number of 63 bits.
    private static let largestRadius = 20_000.0

    /// A file that cannot be read is left out, with a remark. Throws `FileError`.
    static func read(_ file: String, below root: String, into draft: inout AnnotationDraft) throws {
        var (shapes, name, width, height): ([JSONValue], String?, Int?, Int?) = ([], nil, nil, nil)
        do {
            try JSONFile.read(file) { scanner, key in
                switch key {
                case "shapes": shapes = try scanner.value().list ?? []
                case "imagePath": name = try scanner.value().text
                case "imageWidth": width = try scanner.value().count
                case "imageHeight": height = try scanner.value().count
                default: try scanner.skip()
                }
            }
        } catch let error as AnnotationError {
            return draft.findings.add("of a file that cannot be read left out", "\(error)")
        }
        guard let name else { return draft.findings.add("without imagePath left out", file.shown) }
        let size = width.flatMap { width in height.map { (width, $0) } }.flatMap { $0.0 > 0 && $0.1 > 0 ? $0 : nil }
        var image = AnnotationDraft.Image(
            name: name, file: file, split: SplitName.of(path: file.parent, below: root), size: size)
        for (number, shape) in shapes.enumerated() {
            do {
                guard let label = shape["label"]?.text else { throw ShapeProblem("it has no label") }
                image.shapes.append(
                    AnnotationDraft.Mark(label: draft.labels.place(of: label), shape: try self.shape(shape)))
            } catch let problem as ShapeProblem {
                draft.findings.add("left out: \(problem.reason)", "shape \(number + 1) of \(file.shown)")
            }
        }
        draft.images.append(image)
    }

    static func shape(_ value: JSONValue) throws(ShapeProblem) -> Shape {
        let points = try points(value["points"])
        let kind = value["shape_type"]?.text ?? "polygon"
        func require(_ count: Int) throws(ShapeProblem) {
            guard points.count == 2 * count else {
                throw ShapeProblem("a shape of type \(kind.shown) needs \(count) point\(count == 1 ? "" : "s")")
            }
        }
        let whole = points.map { Int($0) }
        switch kind {
        case "polygon", "oriented_rectangle": return .outlines([try Outline(points)], .pillow)
        case "rectangle":
            // Old files of two points, new ones of four.
            if points.count == 8 { return .outlines([try Outline(points)], .pillow) }
            try require(2)
            return .rectangle([
                Int(min(points[0], points[2])), Int(min(points[1], points[3])), Int(max(points[0], points[2])),
                Int(max(points[1], points[3])),
            ])
        case "circle":
            try require(2)
            let (dx, dy) = (points[0] - points[2], points[1] - points[3])
            let radius = (dx * dx + dy * dy).squareRoot()
            guard radius <= largestRadius else { throw ShapeProblem("a circle is larger than any image") }
            return disc(points, radius)
        case "point":
            try require(1)
            return disc(points, pointSize)
        case "line", "linestrip":
            guard points.count >= 4 else { throw ShapeProblem("a line has fewer than two points") }
            return .lines(whole)
        case "mask":
            guard points.count >= 2, let base64 = value["mask"]?.text else { throw ShapeProblem("its mask is missing") }
            return .picture(EmbeddedPicture(base64: base64), left: whole[0], top: whole[1])
        default: throw ShapeProblem("shapes of type \(kind.shown) have no area")
        }
    }

    private static func disc(_ centre: [Double], _ radius: Double) -> Shape {
        .ellipse([
            Int(centre[0] - radius), Int(centre[1] - radius), Int(centre[0] + radius), Int(centre[1] + radius),
        ])
    }

    /// x, y, x, y, …
    private static func points(_ value: JSONValue?) throws(ShapeProblem) -> [Double] {
        var points: [Double] = []
        for point in value?.list ?? [] {
            guard let pair = point.numbers, pair.count == 2 else { throw ShapeProblem("a point is not two numbers") }
            points += pair
        }
        guard points.allSatisfy({ abs($0) <= Outline.Unit.pixels.furthest }) else {
            throw ShapeProblem("a coordinate is no number, or farther away than any image is large")
        }
        return points
    }
}
