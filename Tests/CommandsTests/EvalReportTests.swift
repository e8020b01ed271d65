import BEiTImageIO
import Foundation
import FoundationXML
import Testing

/// `eval --report` and `eval --compare` as a whole.
@Suite struct EvalReportTests {
    /// Names that break a page or a table which does not guard against them.
    private static let names = ["sky & <b>sea</b>", "say \"hi\", 'you'", "c2", "c3", "c4", "c5"]

    /// Masks and predictions of the fixture, under a folder whose name is to be escaped too.
    private func masks() throws -> Scratch {
        let folder = try Scratch()
        for kind in ["label", "prediction"] {
            try FileManager.default.createDirectory(atPath: folder["<i>&/\(kind)s"], withIntermediateDirectories: true)
            for i in 0..<3 {
                try FileManager.default.copyItem(
                    at: EvalTests.fixtures.appendingPathComponent("miou/gray_errors/\(kind)_\(i).png"),
                    to: URL(fileURLWithPath: folder["<i>&/\(kind)s/\(i), \"x\".png"]))
            }
        }
        try Self.names.map { $0 + " 9 8 7\n" }.joined().write(
            toFile: folder["classes.txt"], atomically: true, encoding: .utf8)
        return folder
    }

    private func arguments(_ folder: Scratch, _ report: String) -> [String] {
        [
            "eval", "--miou", "--json", "-q", "--predictions", folder["<i>&/predictions"], "--masks",
            folder["<i>&/labels"], "--classes", folder["classes.txt"], "--report", folder[report],
        ]
    }

    private struct Document: Decodable {
        struct Class: Decodable {
            let index, pixels: Int, name: String, iou, accuracy, precision, dice: Double?
        }
        struct Comparison: Decodable {
            struct Class: Decodable { let index: Int, name: String, iou, other_iou, difference: Double? }
            let model, other: String, miou, other_miou, difference, better_share: Double?
            let difference_ci95: [Double]?, classes: [Class]
        }
        let pixels: Int, miou, pixel_accuracy: Double?, miou_ci95: [Double]?, classes: [Class]
        let comparison: Comparison?
    }

    private func json(_ text: String) throws -> Document {
        try JSONDecoder().decode(Document.self, from: Data(text.utf8))
    }

    private func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

    @Test func theFilesSayWhatTheDocumentSays() throws {
        let folder = try masks()
        let run = try Program(arguments: arguments(folder, "new/report"))
        #expect(run.status == 0 && run.errors.isEmpty, "\(run.errors)")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder["new/report"]).sorted()
        #expect(names == ["confusion.png", "metrics.json", "per-class.csv", "per-image.csv", "report.html"])
        #expect(try text(folder["new/report/metrics.json"]) == run.output)
        let document = try json(run.output)
        #expect(document.comparison == nil && !run.output.contains("comparison"))

        let rows = try table(folder["new/report/per-class.csv"])
        #expect(rows.map { $0["name"] } == Self.names && rows.count == document.classes.count)
        for (row, wanted) in zip(rows, document.classes) {
            #expect(row["index"] == String(wanted.index) && row["pixels"] == String(wanted.pixels))
            let scores = [
                "iou": wanted.iou, "accuracy": wanted.accuracy, "precision": wanted.precision, "dice": wanted.dice,
            ]
            for (key, score) in scores { #expect(row[key].flatMap(Double.init) == score, "\(key)") }
        }
        let images = try table(folder["new/report/per-image.csv"])
        #expect(images.map { $0["path"] } == (0..<3).map { folder["<i>&/predictions/\($0), \"x\".png"] })
        #expect(images.compactMap { $0["pixels"].flatMap(Int.init) }.reduce(0, +) == document.pixels)
        #expect(try decodeImage(folder["new/report/confusion.png"]).width > 400)
    }

    /// An image by itself scores as a data set of one.
    @Test func imagesScoreAsSetsOfOne() throws {
        let folder = try masks()
        _ = try Program(arguments: arguments(folder, "report"))
        let images = try table(folder["report/per-image.csv"])
        for i in 0..<3 {
            for kind in ["predictions", "labels"] {
                let name = "<i>&/\(kind)/\(i), \"x\".png"
                try FileManager.default.createDirectory(
                    atPath: folder["\(i)/\(kind)"], withIntermediateDirectories: true)
                try FileManager.default.copyItem(atPath: folder[name], toPath: folder["\(i)/\(kind)/x.png"])
            }
            let run = try Program(
                "eval", "--miou", "--json", "--predictions", folder["\(i)/predictions"], "--masks",
                folder["\(i)/labels"], "--classes", folder["classes.txt"])
            let alone = try json(run.output)
            #expect(images[i]["miou"].flatMap(Double.init) == alone.miou)
            #expect(images[i]["pixel_accuracy"].flatMap(Double.init) == alone.pixel_accuracy)
        }
    }

    @Test func thePageIsWellFormedAndWhole() throws {
        let folder = try masks()
        let run = try Program(arguments: arguments(folder, "report"))
        #expect(run.status == 0)
        let page = try Page(folder["report/report.html"])
        // Names arrive as text, not as elements: the page has no <b> and <i> of theirs.
        #expect(Self.names.allSatisfy { page.text.contains($0) })
        #expect(page.text.contains("0, \"x\".png") && page.text.contains("/<i>&/predictions"))
        #expect(!page.source.contains("<b>sea") && !page.source.contains("<i>&"))
        #expect(page.elements["script"] == nil && !page.source.contains("http"))
        // Truth and prediction of three images.
        #expect(page.images.count == 6)
        try page.expectImagesDecode(in: folder)
        #expect(page.text.contains("60.61") && page.text.contains("55.79"))
        // Again, into another folder: the same bytes.
        _ = try Program(arguments: arguments(folder, "again"))
        for name in ["report.html", "metrics.json", "per-class.csv", "per-image.csv", "confusion.png"] {
            #expect(
                try Data(contentsOf: URL(fileURLWithPath: folder["report/" + name]))
                    == Data(contentsOf: URL(fileURLWithPath: folder["again/" + name])), "\(name)")
        }
    }

    /// Past 40 classes the matrix is a picture; failed images are listed.
    @Test func manyClassesAndAFailure() throws {
        let folder = try Scratch()
        for kind in ["label", "prediction"] {
            try FileManager.default.createDirectory(atPath: folder[kind], withIntermediateDirectories: true)
            for name in ["a", "b"] {
                try FileManager.default.copyItem(
                    at: EvalTests.fixtures.appendingPathComponent("miou/many_classes_150/\(kind)_0.png"),
                    to: URL(fileURLWithPath: folder["\(kind)/\(name).png"]))
            }
        }
        try "no image".write(toFile: folder["prediction/b.png"], atomically: true, encoding: .utf8)
        let run = try Program(
            "eval", "--miou", "-q", "--predictions", folder["prediction"], "--masks", folder["label"], "--report",
            folder["report"])
        #expect(run.status == 1 && run.errors.count == 1)
        let page = try Page(folder["report/report.html"])
        #expect(page.images.count == 2 && page.elements["svg"] == 1)
        #expect(page.text.contains("Images that failed") && page.text.contains("b.png"))
        try page.expectImagesDecode(in: folder)
    }

    @Test func aFolderThatCannotBeWrittenToIsRefusedFirst() throws {
        let folder = try masks()
        try "".write(toFile: folder["file"], atomically: true, encoding: .utf8)
        for report in ["file", "file/report"] {
            let run = try Program(arguments: arguments(folder, report))
            #expect(run.status == 74 && run.output.isEmpty && run.errors.count == 1, "\(run.errors)")
            #expect(
                run.errors.first?.contains(folder[report]) == true && run.errors.first?.contains("--report") == true)
        }
        let nowhere = try Program("eval", "--miou", "--report", "/proc/no/report")
        #expect(nowhere.status == 74 && nowhere.output.isEmpty && nowhere.errors.count == 1, "\(nowhere.errors)")
    }

    // MARK: Comparison

    /// Two models, photos and masks of five classes.
    private func photos() throws -> Scratch {
        let folder = try Scratch()
        try SmallModel.save(to: folder["a.h5"])
        try SmallModel.save(to: folder["b.h5"], seed: 8)
        for i in 0..<5 {
            let (width, height) = (40 + 8 * i, 64 - 7 * i)
            try SmallModel.photo(width, height, seed: UInt64(i), to: folder["photos/\(i).png"])
            let values = (0..<width * height).map { place -> UInt16 in
                let (x, y) = (place % width, place / width)
                return x < 3 ? 255 : UInt16((x / 11 + y / 13 * 2 + i) % 5)
            }
            try writePNG(IndexMask(width: width, height: height, values: values), to: folder["masks/\(i).png"])
        }
        return folder
    }

    private func compare(_ folder: Scratch, _ first: String, _ second: String, _ more: String...) throws -> Program {
        try Program(
            arguments: [
                "eval", "--miou", "--json", "-m", folder[first], "--compare", folder[second], "--images",
                folder["photos"], "--masks", folder["masks"], "-q",
            ] + more)
    }

    @Test func aComparisonIsOfTheSameScores() throws {
        let folder = try photos()
        let run = try compare(folder, "a.h5", "b.h5", "--report", folder["report"])
        #expect(run.status == 0 && run.errors.isEmpty, "\(run.errors)")
        let document = try json(run.output)
        let found = try #require(document.comparison)
        let single = try ["a.h5", "b.h5"].map { model in
            try json(
                Program(
                    "eval", "--miou", "--json", "-m", folder[model], "--images", folder["photos"], "--masks",
                    folder["masks"]
                ).output)
        }
        let scores = try single.map { try #require($0.miou) }
        #expect(scores[0] != scores[1])
        #expect(found.miou == scores[0] && found.other_miou == scores[1])
        #expect(found.difference == scores[1] - scores[0])
        let interval = try #require(found.difference_ci95)
        #expect(interval.count == 2 && interval[0] <= scores[1] - scores[0] && scores[1] - scores[0] <= interval[1])
        let share = try #require(found.better_share)
        #expect((0...1).contains(share))
        #expect(found.model == folder["a.h5"] && found.other == folder["b.h5"])
        #expect(found.classes.map(\.iou) == single[0].classes.map(\.iou))
        #expect(found.classes.map(\.other_iou) == single[1].classes.map(\.iou))
        // The rest of the document is the first model's own.
        #expect(document.miou_ci95 == single[0].miou_ci95)
        #expect(try text(folder["report/metrics.json"]) == run.output)

        let page = try Page(folder["report/report.html"])
        #expect(page.text.contains("Comparison") && page.text.contains("Where A and B differ most"))
        // Photo, truth and two predictions of five images, and again where they differ.
        #expect(page.images.count == 40)
        try page.expectImagesDecode(in: folder)
        let rows = try table(folder["report/per-class.csv"])
        #expect(rows.map { $0["other_iou"].flatMap(Double.init) } == single[1].classes.map(\.iou))
        #expect(try table(folder["report/per-image.csv"]).allSatisfy { $0["other_miou"]?.isEmpty == false })
    }

    @Test func aModelAgainstItselfDiffersByNothing() throws {
        let folder = try photos()
        let found = try #require(try json(compare(folder, "a.h5", "a.h5").output).comparison)
        #expect(found.difference == 0 && found.difference_ci95 == [0, 0])
        #expect(found.better_share == 0)
    }

    /// Classes are matched by name: the same weights with the names of other classes are no longer the same model.
    @Test func classesAreMatchedByName() throws {
        let folder = try photos()
        try SmallModel.save(to: folder["turned.h5"], names: ["c4", "c0", "c1", "c2", "c3"])
        let run = try compare(folder, "a.h5", "turned.h5")
        #expect(run.status == 0)
        let found = try #require(try json(run.output).comparison)
        #expect(found.difference != 0)
        #expect(found.classes.map(\.name) == (0..<5).map { "c\($0)" })

        try SmallModel.save(to: folder["four.h5"], names: ["c0", "c1", "c2", "c3"])
        let refused = try compare(folder, "a.h5", "four.h5", "--report", folder["report"])
        #expect(refused.status == 65 && refused.output.isEmpty && refused.errors.count == 1)
        #expect(refused.errors.first?.contains("four.h5") == true && refused.errors.first?.contains("c4") == true)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder["report"]).isEmpty)
    }

    @Test func comparingMasksIsWrongUsage() throws {
        let run = try Program("eval", "--miou", "--predictions", "x", "--masks", "y", "--compare", "z.h5")
        #expect(run.status == 64 && run.errors.count == 1 && run.errors[0].contains("--compare"))
        let missing = try Program("eval", "--miou", "--compare", "/nowhere/z.h5")
        #expect(missing.status == 66 && missing.errors.count == 1 && missing.errors[0].contains("z.h5"))
    }

    /// The rows of a table of comma-separated values, by the names in its first line.
    private func table(_ path: String) throws -> [[String: String]] {
        var rows: [[String]] = [[]]
        var (cell, isQuoted) = ("", false)
        for character in try text(path) {
            switch character {
            case "\"":
                // A doubled quote ends and begins the quotes again; then it belongs to the cell.
                isQuoted.toggle()
                cell.append(character)
            case "," where !isQuoted, "\n" where !isQuoted:
                if cell.hasPrefix("\"") { cell = String(cell.dropFirst().dropLast()) }
                rows[rows.count - 1].append(cell.replacingOccurrences(of: "\"\"", with: "\""))
                cell = ""
                if character == "\n" { rows.append([]) }
            default: cell.append(character)
            }
        }
        let columns = rows[0]
        return rows.dropFirst().dropLast().map { Dictionary(uniqueKeysWithValues: zip(columns, $0)) }
    }
}

/// A page, read by an XML parser, which takes nothing that is not well formed.
final class Page: NSObject, XMLParserDelegate {
    let source: String
    private(set) var text = ""
    private(set) var elements: [String: Int] = [:]
    /// The `src` of each image.
    private(set) var images: [String] = []

    init(_ path: String) throws {
        source = try String(contentsOfFile: path, encoding: .utf8)
        super.init()
        let parser = XMLParser(data: Data(source.utf8))
        parser.delegate = self
        #expect(parser.parse(), "\(parser.parserError.map { "\($0)" } ?? "") in line \(parser.lineNumber)")
    }

    func parser(_ parser: XMLParser, foundCharacters string: String) { text += string }

    func parser(
        _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
        attributes: [String: String]
    ) {
        elements[name, default: 0] += 1
        if name == "img" { images.append(attributes["src"] ?? "") }
    }

    /// Every image is in the page itself, and whole.
    func expectImagesDecode(in folder: Scratch) throws {
        for (place, image) in images.enumerated() {
            let comma = try #require(image.firstIndex(of: ","))
            #expect(["data:image/png;base64", "data:image/jpeg;base64"].contains(String(image[..<comma])))
            let bytes = try #require(Data(base64Encoded: String(image[image.index(after: comma)...])))
            let path = folder["image-\(place)"]
            try bytes.write(to: URL(fileURLWithPath: path))
            _ = try decodeImage(path)
        }
    }
}
