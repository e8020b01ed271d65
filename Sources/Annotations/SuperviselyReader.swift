import BEiTFiles
import BEiTImageIO

/// Supervisely's project: `meta.json` with the classes, and for each photo `DATASET/img/a.jpg` its
/// `DATASET/ann/a.jpg.json`. Later objects lie over earlier ones; polygons are filled with OpenCV, as Supervisely's library
/// does it.
enum SuperviselyReader {
    /// Declares the classes of `meta.json`, if it is there.
    static func readClasses(of files: [String], below root: String, into draft: inout AnnotationDraft) {
        let folders = [root] + (files.first.map { [$0.parent.parent, $0.parent.parent.parent] } ?? [])
        for meta in folders.map({ $0.joined("meta.json") }) where FileSystem.isFile(meta) {
            guard let bytes = try? FileSystem.text(of: meta) else { continue }
            var scanner = JSONScanner(bytes)
            for value in (try? scanner.value())?["classes"]?.list ?? [] {
                guard let title = value["title"]?.text else { continue }
                draft.labels.declare(title, value["color"]?.text.flatMap { RGBColor(hex: $0) })
            }
            return
        }
    }

    /// A file that cannot be read is left out, with a remark. Throws `FileError`.
    static func read(_ file: String, below root: String, into draft: inout AnnotationDraft) throws {
        draft.overlaps = "later objects lie over earlier ones"
        var (objects, size): ([JSONValue], JSONValue?) = ([], nil)
        do {
            try JSONFile.read(file) { scanner, key in
                switch key {
                case "objects": objects = try scanner.value().list ?? []
                case "size": size = try scanner.value()
                default: try scanner.skip()
                }
            }
        } catch let error as AnnotationError {
            return draft.findings.add("of a file that cannot be read left out", "\(error)")
        }
        guard let width = size?["width"]?.count, let height = size?["height"]?.count, width > 0, height > 0 else {
            return draft.findings.add("without a size left out", file.shown)
        }
        let name = file.lastName.withoutEnding
        let photo = file.parent.parent.joined("img").joined(name)
        var image = AnnotationDraft.Image(
            name: name, photo: FileSystem.isFile(photo) ? photo : nil, file: file,
            split: SplitName.of(path: file.parent, below: root), size: (width, height))
        for (number, object) in objects.enumerated() {
            do throws(ShapeProblem) {
                guard let title = object["classTitle"]?.text else { throw ShapeProblem("it has no classTitle") }
                let shape = try shape(object)
                image.shapes.append(.init(label: draft.labels.place(of: title), shape: shape))
            } catch {
                draft.findings.add("left out: \(error.reason)", "object \(number + 1) of \(file.shown)")
            }
        }
        draft.images.append(image)
    }

    private static func shape(_ object: JSONValue) throws(ShapeProblem) -> Shape {
        let kind = object["geometryType"]?.text ?? (object["bitmap"]?["data"] != nil ? "bitmap" : "polygon")
        switch kind {
        case "polygon":
            var holes: [Outline] = []
            for hole in object["points"]?["interior"]?.list ?? [] where hole.list?.isEmpty == false {
                holes.append(try Outline(try points(hole)))
            }
            return .outline(try Outline(try points(object["points"]?["exterior"])), holes: holes, .openCV)
        case "rectangle":
            let box = try points(object["points"]?["exterior"]).map { Int($0) }
            guard box.count == 4 else { throw ShapeProblem("a rectangle is not two points") }
            return .rectangle([min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3])])
        case "bitmap":
            guard let data = object["bitmap"]?["data"]?.text, let origin = object["bitmap"]?["origin"]?.numbers,
                origin.count == 2, origin.allSatisfy({ abs($0) <= Outline.Unit.pixels.furthest })
            else { throw ShapeProblem("its bitmap has no data or origin") }
            return .picture(
                EmbeddedPicture(base64: data, isDeflated: true), left: Int(origin[0]), top: Int(origin[1]))
        default: throw ShapeProblem("shapes of type \(kind.shown) have no area")
        }
    }

    /// Whole pixels: x, y, x, y, …
    private static func points(_ value: JSONValue?) throws(ShapeProblem) -> [Double] {
        var points: [Double] = []
        for point in value?.list ?? [] {
            guard let pair = point.numbers, pair.count == 2 else { throw ShapeProblem("a point is not two numbers") }
            points += pair.map { $0.rounded(.toNearestOrEven) }
        }
        guard points.allSatisfy({ abs($0) <= Outline.Unit.pixels.furthest }) else {
            throw ShapeProblem("a coordinate is no number, or farther away than any image is large")
        }
        return points
    }
}
