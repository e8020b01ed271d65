import ArgumentParser
import BEiTDatasets
import BEiTFiles
import BEiTImageIO
import BEiTReports
import BEiTTensorCore
import Foundation

struct Labels: ImageCommand {
    static let configuration = CommandConfiguration(
        commandName: "labels", abstract: "Make masks of the labels of a labelling program.",
        discussion: HelpText.discussion(
            """
            SOURCE is a file or folder of COCO (polygons, run-length codes, crowds), Labelme, CVAT, Label Studio,
            Supervisely or YOLO, or any data set that `finetune` and `eval` read (masks in the classes' colours among
            them). The result is a data set of images/, masks/ and classes.txt; photos are links to where they are.
            check.png in it shows photos beside their masks: look at it first.

            Outlines are filled pixel by pixel as the tools themselves do. Where shapes lie over each other, smaller ones
            are on top in COCO and YOLO, those of a higher z_order in CVAT, later ones elsewhere. Crowds, and labels that
            are no class, are void.
            """,
            examples: "beit-seg labels annotations/instances_train.json --photos photos/ -o DATA/",
            "beit-seg labels labelled/ -o DATA/ --classes classes.txt"))

    @Argument(help: "Annotations: a file or a folder; several make one set.")
    var sources: [String]

    @Option(name: .shortAndLong, help: ArgumentHelp("The folder of the new data set.", valueName: "folder"))
    var output: String

    @Flag(help: "Copy the photos instead of linking to them.")
    var copy = false

    @Option(
        help: ArgumentHelp(
            "The classes and their order, a line `name R G B` each (default: the annotations'). Other labels are void.",
            valueName: "file"))
    var classes: String?

    @OptionGroup(title: "Labels") var labels: LabelOptions
    @OptionGroup var json: JSONOptions
    @OptionGroup var reading: ReadingOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        if sources.isEmpty { throw ValidationError("name a SOURCE: a file or folder of annotations") }
        if output.isEmpty { throw ValidationError("--output is empty; name a folder") }
    }

    func execute() throws {
        var options = labels.options(sources)
        options.annotations.classes = classes
        let dataset = try SegmentationDataset(options, as: reading.choice.applied(to: ImageReading()))
        let parts = try dataset.parts()
        let writer = try SetWriter(
            dataset, parts, to: output, photos: copy ? .copies : .links,
            sources: sources + labels.labelMap + [classes].compactMap { $0 })
        try OutputCheck.check(write: sheet, reads: parts.flatMap { $0.pairs.map(\.image) })
        var failed: [FailedPhoto] = []
        let written = try working(on: writer.count) { progress in
            try writer.run(threads: WorkerPool.current.threads, progress: progress.note(done:)) { pair, error in
                failed.append(FailedPhoto(image: pair.image, reason: "\(error)"))
                progress.fail("\(error)")
            }
        }
        try writeSheet(writer, dataset, leavingOut: Set(failed.map(\.image)))
        for note in parts.flatMap(\.remarks) + dataset.notes {
            if note.isWarning { log.warning("\(note.line)") } else { log.info("\(note.line)") }
        }
        let result = LabelsResult(output, dataset, written, failed)
        if json.json { try Console.print(json: result) } else { Console.print(lines: result.table) }
        log.info("\(output) is a data set of \(result.images.counted("photo")); \(sheet) shows some of them")
        if !failed.isEmpty { throw ExitCode(1) }
    }

    private var sheet: String { output.joined("check.png") }

    private func writeSheet(
        _ writer: SetWriter, _ dataset: SegmentationDataset, leavingOut failed: Set<String>
    ) throws {
        let pairs = (0..<writer.count).map(writer.pair).filter { !failed.contains($0.image) }
        var sheet = ContactSheet(dataset.classes)
        for place in ContactSheet.chosen(of: pairs.count) {
            try sheet.add(pairs[place], of: dataset, title: pairs[place].image.lastName)
        }
        if let image = sheet.image() { try writePNG(image, to: self.sheet, compression: 6) }
    }
}

/// A photo that could not be read, or whose labels could not.
struct FailedPhoto: Encodable {
    var image: String
    var reason: String
}

/// What `labels` made, for people and for programs.
private struct LabelsResult: Encodable {
    struct Class: Encodable {
        var index: Int
        var name: String
        var pixels: Int
        /// Of the pixels that are not void.
        var share: Double
    }
    var folder: String
    var images: Int
    /// Photos of each split; empty where they are not divided.
    var splits: [String: Int]
    var classes: [Class]
    var void_pixels: Int
    var notes: [String]
    var failed: [FailedPhoto]

    init(_ folder: String, _ dataset: SegmentationDataset, _ written: [SetWriter.Written], _ failed: [FailedPhoto]) {
        (self.folder, self.failed, notes) = (folder, failed, dataset.notes.map(\.text))
        images = written.reduce(0) { $0 + $1.images }
        splits = Dictionary(written.compactMap { part in part.split.map { ($0, part.images) } }, uniquingKeysWith: +)
        void_pixels = written.reduce(0) { $0 + $1.void }
        let sums = dataset.classes.indices.map { place in written.reduce(0) { $0 + $1.pixels[place] } }
        let all = max(1, sums.reduce(0, +))
        classes = dataset.classes.enumerated().map {
            Class(index: $0, name: $1.name, pixels: sums[$0], share: Double(sums[$0]) / Double(all))
        }
    }

    var table: String {
        var table = TextTable([.right, .left, .right, .right])
        table.add(["value", "class", "pixels", "share"])
        for row in classes {
            table.add([String(row.index), row.name, String(row.pixels), String(format: "%.2f %%", 100 * row.share)])
        }
        let void = void_pixels > 0 ? ["\(void_pixels) pixels are void"] : []
        let parts = splits.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
        let division = parts.isEmpty ? "" : " (\(parts.joined(separator: ", ")))"
        return (table.lines + ["\(images.counted("photo"))\(division)"] + void).joined(separator: "\n")
    }
}
