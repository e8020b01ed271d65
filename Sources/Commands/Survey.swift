import ArgumentParser
import BEiTDatasets
import BEiTFiles
import BEiTImageIO
import BEiTReports
import BEiTTensorCore
import Foundation

struct Survey: ImageCommand {
    static let configuration = CommandConfiguration(
        commandName: "data", abstract: "Say what a data set is, and divide it.",
        discussion: HelpText.discussion(
            """
            Reads every photo and mask: sizes, classes with their shares, labels that are none, photos that are on both
            sides of a division (the same file, or one that looks alike). --report shows all of it on a page, with photos
            beside their masks.

            --split writes a data set that is divided by chance. Photos that look alike stay on one side, and so do those
            with the same --group-by: what the expression finds in their paths, or its first group in parentheses.
            """,
            examples: "beit-seg data DATA/ --report REPORT/",
            "beit-seg data DATA/ --split 0.8,0.2 --group-by scene[0-9]+ -o DIVIDED/"))

    @Argument(help: "Data sets, or annotations; several are one set.")
    var folders: [String]

    @Option(help: ArgumentHelp("Write report.html, data.json and sheet.png there.", valueName: "folder"))
    var report: String?

    @Option(
        help: ArgumentHelp(
            "Divide the photos into train and val, or train, val and test: shares such as 0.8,0.2.", valueName: "list"))
    var split: NumberList?

    @Option(help: ArgumentHelp("Photos with the same of this in their paths stay on one side.", valueName: "regex"))
    var groupBy: String?

    @Option(help: "Of the division.")
    var seed: UInt64 = 0

    @Option(name: .shortAndLong, help: ArgumentHelp("The folder of the divided set.", valueName: "folder"))
    var output: String?

    @Flag(help: "Copy the photos into it instead of linking to them.")
    var copy = false

    @OptionGroup(title: "Labels") var labels: LabelOptions
    @OptionGroup var json: JSONOptions
    @OptionGroup var reading: ReadingOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        if folders.isEmpty { throw ValidationError("name a data set") }
        if (split == nil) != (output == nil) { throw ValidationError("--split and --output belong together") }
        if split == nil, groupBy != nil || copy { throw ValidationError("--group-by and --copy belong to --split") }
        if split != nil { _ = try division }
        if output == "" || report == "" { throw ValidationError("an empty name is no folder") }
        if let groupBy { _ = try Self.expression(groupBy) }
    }

    private var division: SetDivision {
        get throws {
            guard let division = SetDivision(shares: (split?.values ?? []).map { Double($0) }, seed: seed) else {
                throw ValidationError("--split takes two or three shares above 0 that sum up to 1, such as 0.8,0.2")
            }
            return division
        }
    }

    private static func expression(_ text: String) throws -> Regex<AnyRegexOutput> {
        do { return try Regex(text) } catch {
            throw ValidationError("--group-by \(text) is no regular expression; write a dot as \\.")
        }
    }

    func execute() throws {
        let dataset = try SegmentationDataset(
            labels.options(folders), as: reading.choice.applied(to: ImageReading()))
        let parts = try dataset.parts()
        let pairs = parts.flatMap(\.pairs)
        let files = report.map { ["report.html", "data.json", "sheet.png"].map($0.joined) } ?? []
        var check = OutputCheck(
            reads: folders + labels.labelMap.filter { $0 != "-" } + pairs.flatMap { [$0.image, $0.mask] })
        for file in files { try check.check(write: file) }
        let survey = try working(on: pairs.count) { progress in
            try DatasetSurvey(dataset, parts, threads: WorkerPool.current.threads, progress: progress.note(done:)) {
                progress.fail("\($0.image.shown): \($0.reason)")
            }
        }
        let result = DataResult(survey, folders)
        if json.json { try Console.print(json: result) } else { Console.print(lines: result.text(survey)) }
        if let report { try write(result, survey, dataset, to: report) }
        if let output { try divide(survey, dataset, to: output) }
        if !survey.failed.isEmpty { throw ExitCode(1) }
    }

    private func write(
        _ result: DataResult, _ survey: DatasetSurvey, _ dataset: SegmentationDataset, to report: String
    ) throws {
        let broken = Set(survey.failed.map(\.image))
        var sheet = ContactSheet(dataset.classes)
        let places = max(1, ContactSheet.places / survey.splits.count)
        for split in survey.splits {
            let pairs = split.pairs.filter { !broken.contains($0.image) }
            for place in ContactSheet.chosen(of: pairs.count, places: places) {
                let title = (split.name.map { "\($0): " } ?? "") + pairs[place].image.lastName
                try sheet.add(pairs[place], of: dataset, title: title)
            }
        }
        let image = sheet.image()
        if let image { try writePNG(image, to: report.joined("sheet.png"), compression: 6) }
        try AtomicFile.write(try JSONText.pretty(result) + "\n", to: report.joined("data.json"))
        try AtomicFile.write(
            try DataPage(survey, folders: folders, sheet: image).html(), to: report.joined("report.html"))
        log.info("the report is \(report.joined("report.html"))")
    }

    private func divide(_ survey: DatasetSurvey, _ dataset: SegmentationDataset, to output: String) throws {
        let broken = Set(survey.failed.map(\.image))
        let pairs = survey.splits.flatMap(\.pairs).filter { !broken.contains($0.image) }
        let places = Dictionary(pairs.enumerated().map { ($1.image, $0) }, uniquingKeysWith: { first, _ in first })
        let together = survey.twins.compactMap { twins -> (Int, Int)? in
            places[twins.first].flatMap { first in places[twins.second].map { (first, $0) } }
        }
        let keys = try groupBy.map(Self.expression).map { expression in pairs.map { key(of: $0.image, expression) } }
        if let keys, let lonely = zip(keys, pairs).first(where: { $0.0 == nil }) {
            let count = keys.count { $0 == nil }
            log.warning(
                "--group-by finds nothing in \(count.counted("path")), each of which is on its own; the first is \(lonely.1.image.shown)"
            )
        }
        let parts = try division.parts(pairs, keys: keys ?? pairs.map { _ in nil }, together: together)
        let writer = try SetWriter(
            dataset, parts, to: output, photos: copy ? .copies : .links, sources: folders)
        let written = try working(on: writer.count) { progress in
            try writer.run(threads: WorkerPool.current.threads, progress: progress.note(done:)) { pair, error in
                progress.fail("\(pair.image.shown): \(error)")
            }
        }
        let counts = written.map { "\($0.split ?? "") \($0.images)" }
        log.info("\(output) has \(counts.joined(separator: ", ")) photos")
    }

    /// What the expression finds below the data folders: its first group, or all of it.
    private func key(of path: String, _ expression: Regex<AnyRegexOutput>) -> String? {
        let root = folders.first { path.hasPrefix($0) } ?? ""
        guard let match = try? expression.firstMatch(in: String(path.dropFirst(root.count))) else { return nil }
        return (match.output.count > 1 ? match.output[1].substring : match.output[0].substring).map(String.init)
    }
}

/// What `data` prints for programs, and in `data.json`.
private struct DataResult: Encodable {
    struct Size: Encodable {
        var width: Int
        var height: Int
        var images: Int
    }
    struct Class: Encodable {
        var index: Int
        var name: String
        var color: RGBColor
        var pixels: Int
        /// Of the pixels that are not void.
        var share: Double
        /// Photos that it is on.
        var images: Int
    }
    struct Split: Encodable {
        /// Left out where photos are not divided.
        var name: String?
        var images: Int
        var sizes: [Size]
        var void_pixels: Int
        var classes: [Class]
    }
    struct Twins: Encodable {
        var first: String
        var second: String
        var splits: [String]?
        /// Bits of 128; left out for the same file.
        var distance: Int?
    }
    var data: [String]
    var mapping: [String]
    var splits: [Split]
    /// Photos that belong on one side.
    var twins: [Twins]
    var odd: [String]
    var notes: [String]
    var failed: [FailedPhoto]

    init(_ survey: DatasetSurvey, _ folders: [String]) {
        (data, mapping, odd) = (folders, survey.mapping, survey.oddities)
        splits = survey.splits.map { split in
            Split(
                name: split.name, images: split.pairs.count,
                sizes: split.sizes.map { Size(width: $0.width, height: $0.height, images: $0.images) },
                void_pixels: split.void,
                classes: survey.classes.enumerated().map { index, info in
                    Class(
                        index: index, name: info.name, color: info.color, pixels: split.pixels[index],
                        share: split.share(of: index), images: split.images[index])
                })
        }
        twins = survey.twins.map {
            Twins(first: $0.first, second: $0.second, splits: $0.splits, distance: $0.distance)
        }
        notes = survey.notes.map(\.text)
        failed = survey.failed.map { FailedPhoto(image: $0.image, reason: $0.reason) }
    }

    func text(_ survey: DatasetSurvey) -> String {
        var lines = mapping + survey.notes.filter { !$0.isWarning }.map(\.line)
        for split in splits {
            let sizes = split.sizes.prefix(3).map { "\($0.width)×\($0.height) (\($0.images))" }
            let more = split.sizes.count > 3 ? ", \(split.sizes.count - 3) more sizes" : ""
            lines.append("")
            lines.append(
                "\(split.name ?? "photos"): \(split.images.counted("photo")), " + sizes.joined(separator: ", ") + more)
            var table = TextTable([.right, .left, .right, .right])
            table.add(["value", "class", "share", "photos"])
            for row in split.classes {
                table.add([String(row.index), row.name, String(format: "%.2f %%", 100 * row.share), String(row.images)])
            }
            lines += table.lines
            let all = split.void_pixels + split.classes.reduce(0) { $0 + $1.pixels }
            if split.void_pixels > 0 {
                lines.append(
                    String(format: "void: %.2f %% of all pixels", 100 * Double(split.void_pixels) / Double(all)))
            }
        }
        let remarks = survey.notes.filter(\.isWarning).map { "odd: \($0.line)" } + odd.map { "odd: \($0)" }
        if !remarks.isEmpty { lines += [""] + remarks }
        if !failed.isEmpty { lines.append("\(failed.count.counted("photo")) cannot be used") }
        return lines.joined(separator: "\n")
    }
}
