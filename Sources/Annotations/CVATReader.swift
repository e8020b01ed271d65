import BEiTFiles
import BEiTImageIO
import Foundation

/// CVAT's XML for images: shapes by `z_order`, of the same one as they stand in the file.
///
/// Polygons and boxes are filled as datumaro does it, by which CVAT exports masks; of an ellipse the pixels count whose
/// centre lies inside.
enum CVATReader {
    /// A shape before it is put in order.
    private struct Layer {
        var mark: AnnotationDraft.Mark
        var height: Int
    }

    /// Throws ``AnnotationError``, `FileError`.
    static func read(_ file: String, below root: String, into draft: inout AnnotationDraft) throws {
        draft.overlaps = "shapes lie over each other by their z_order"
        var scanner = XMLScanner(try FileSystem.text(of: file))
        do {
            try read(&scanner, file, SplitName.of(path: file, below: root), &draft)
        } catch let problem as XMLScanner.Problem {
            throw AnnotationError(path: file, "it cannot be read: \(problem.reason); export it again")
        }
    }

    private static func read(
        _ scanner: inout XMLScanner, _ file: String, _ fileSplit: String?, _ draft: inout AnnotationDraft
    ) throws {
        var split = fileSplit
        var label: (name: String?, color: RGBColor?) = (nil, nil)
        var image: AnnotationDraft.Image?
        var layers: [Layer] = []
        while let event = try scanner.next() {
            let within = scanner.path.suffix(2)
            switch event {
            case .text(let text):
                if within.elementsEqual(["label", "name"]) { label.name = text }
                if within.elementsEqual(["label", "color"]) { label.color = color(text) }
                if within.last == "subset" { split = SplitName.of(text) ?? split }
            case .end("label"):
                if let name = label.name { draft.labels.declare(name, label.color) }
                label = (nil, nil)
            case .start("image", let values):
                image = start(values, file, split, &draft)
                layers = []
            case .end("image"):
                guard var done = image else { continue }
                done.shapes = layers.indices.sorted { (layers[$0].height, $0) < (layers[$1].height, $1) }.map {
                    layers[$0].mark
                }
                draft.images.append(done)
                image = nil
            case .start("track", _):
                draft.findings.add("of a video left out: export it as `CVAT for images`", file.shown)
            case .start(let name, let values) where image != nil && within.first == "image":
                add(name, values, image?.name ?? "", to: &layers, &draft)
            default: continue
            }
        }
    }

    private static func start(
        _ values: [String: String], _ file: String, _ split: String?, _ draft: inout AnnotationDraft
    ) -> AnnotationDraft.Image? {
        guard let name = values["name"], let width = values["width"].flatMap({ Int($0) }), width > 0,
            let height = values["height"].flatMap({ Int($0) }), height > 0
        else {
            draft.findings.add("of an image without name and size left out", file.shown)
            return nil
        }
        return AnnotationDraft.Image(
            name: name, file: file, split: values["subset"].flatMap { SplitName.of($0) } ?? split,
            size: (width, height))
    }

    private static func add(
        _ name: String, _ values: [String: String], _ image: String, to layers: inout [Layer],
        _ draft: inout AnnotationDraft
    ) {
        if name == "tag" { return }
        do throws(ShapeProblem) {
            let shape = try shape(name, values)
            guard let label = values["label"] else { throw ShapeProblem("it has no label") }
            layers.append(
                Layer(
                    mark: .init(label: draft.labels.place(of: label), shape: shape),
                    height: values["z_order"].flatMap { Int($0) } ?? 0))
        } catch {
            draft.findings.add("left out: \(error.reason)", "a \(name.shown) of \(image.shown)")
        }
    }

    private static func shape(_ name: String, _ values: [String: String]) throws(ShapeProblem) -> Shape {
        func number(_ key: String) throws(ShapeProblem) -> Double {
            guard let value = values[key].flatMap({ Double($0) }), abs(value) <= Outline.Unit.pixels.furthest else {
                throw ShapeProblem("its \(key) is no number")
            }
            return value
        }
        let turn = values["rotation"].flatMap { Double($0) } ?? 0
        switch name {
        case "polygon": return .outlines([try Outline(try points(values["points"] ?? ""))], .coco)
        case "box":
            let box = (try number("xtl"), try number("ytl"), try number("xbr"), try number("ybr"))
            return .outlines([try Outline.box(box.0, box.1, box.2, box.3, degrees: turn)], .coco)
        case "ellipse":
            return .outlines(
                [
                    try Outline.ellipse(
                        try number("cx"), try number("cy"), try number("rx"), try number("ry"), degrees: turn)
                ], .coco)
        case "mask":
            let (left, top, width, height) = (
                Int(try number("left")), Int(try number("top")), Int(try number("width")), Int(try number("height"))
            )
            let runs = (values["rle"] ?? "").split(separator: ",").map { Int($0.filter { $0 != " " }) ?? -1 }
            // The last run may be left out.
            let sum = runs.reduce(0) { $0 &+ max(0, min($1, 1 << 40)) }
            guard width > 0, height > 0, sum <= width * height else {
                throw ShapeProblem("the runs of its mask do not fit into its size")
            }
            let counts = runs + [width * height - sum]
            try RunLengths.check(counts, width: width, height: height)
            return .rows(counts: counts, left: left, top: top, width: width)
        default: throw ShapeProblem("shapes of type \(name.shown) have no area")
        }
    }

    /// `x,y;x,y`.
    private static func points(_ text: String) throws(ShapeProblem) -> [Double] {
        let numbers = text.split { $0 == ";" || $0 == "," }.map { Double($0) }
        let points = numbers.compactMap { $0 }
        guard points.count == numbers.count else { throw ShapeProblem("a point is not two numbers") }
        return points
    }

    /// `#RRGGBB`.
    private static func color(_ text: String) -> RGBColor? { RGBColor(hex: text) }
}

extension RGBColor {
    /// Nil for anything but `#RRGGBB`.
    init?(hex text: String) {
        guard text.hasPrefix("#"), text.utf8.count == 7, let value = UInt32(text.dropFirst(), radix: 16) else {
            return nil
        }
        self.init(UInt8(value >> 16 & 255), UInt8(value >> 8 & 255), UInt8(value & 255))
    }
}

extension Outline {
    /// A box, turned clockwise around its middle.
    static func box(
        _ left: Double, _ top: Double, _ right: Double, _ bottom: Double, degrees: Double, _ unit: Unit = .pixels
    ) throws(ShapeProblem) -> Outline {
        let (x, y) = ((left + right) / 2, (top + bottom) / 2)
        let corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        guard degrees != 0 else { return try Outline(corners.flatMap { [$0.0, $0.1] }, unit) }
        return try Outline(
            corners.flatMap { corner in turned(corner.0 - x, corner.1 - y, around: (x, y), degrees) }, unit)
    }

    /// An ellipse as a polygon of many corners.
    static func ellipse(
        _ x: Double, _ y: Double, _ width: Double, _ height: Double, degrees: Double, _ unit: Unit = .pixels
    ) throws(ShapeProblem) -> Outline {
        try Outline(
            (0..<360).flatMap { step in
                let angle = Double(step) * .pi / 180
                return turned(width * cos(angle), height * sin(angle), around: (x, y), degrees)
            }, unit)
    }

    private static func turned(_ dx: Double, _ dy: Double, around middle: (Double, Double), _ degrees: Double)
        -> [Double]
    {
        let angle = degrees * .pi / 180
        return [middle.0 + dx * cos(angle) - dy * sin(angle), middle.1 + dx * sin(angle) + dy * cos(angle)]
    }
}
