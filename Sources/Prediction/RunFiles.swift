import BEiTFiles
import BEiTImageIO
import Foundation

/// The files of a whole run beside its manifest; processes that share the work have one each.
///
/// They are made of the manifest's records, so that one of a run that was resumed has all images.
struct RunFiles {
    private let folder: String
    private let formats: [PredictionFormat]
    private let classes: [PredictionManifest.ListedClass]
    private let shard: Shard?

    /// - Parameter classes: that may occur.
    init(
        _ folder: String, _ formats: [PredictionFormat], _ classes: [PredictionManifest.ListedClass], _ shard: Shard?
    ) {
        (self.folder, self.formats, self.classes, self.shard) = (folder, formats, classes, shard)
    }

    /// A name's beginning and its ending.
    private typealias Name = (stem: String, ending: String)
    private static let names: [PredictionFormat: Name] = [.areas: ("areas", "csv"), .coco: ("coco", "json")]

    private func path(_ format: PredictionFormat) -> String? {
        guard formats.contains(format), let name = Self.names[format] else { return nil }
        return folder.joined("\(name.stem)\(shard?.suffix ?? "").\(name.ending)")
    }

    /// What will be written.
    var paths: [String] { [reviewPath] + formats.compactMap(path) }

    private var reviewPath: String { folder.joined("review\(shard?.suffix ?? "").csv") }

    /// Writes them, each whole or not at all.
    /// - Parameter records: with the number of each image in the whole run, from 1.
    /// - Throws: `FileError`, ``PredictionError/unreadable(manifest:reason:)`` where an image's own file is damaged.
    func write(_ records: [(number: Int, record: PredictionRecord)]) throws {
        let done = records.filter { $0.record.status == .done }
        try AtomicFile.write(reviewTable(done.map(\.record)), to: reviewPath)
        if let path = path(.areas) { try AtomicFile.write(areaTable(done.map(\.record)), to: path) }
        if let path = path(.coco) { try COCOFile(folder, classes).write(done, to: path) }
    }

    /// Removes a manifest that was replaced, and what lies beside it.
    static func remove(with manifest: String) {
        for path in [manifest, PredictionJournal.path(manifest)] { path.withFileSystemName { _ = unlink($0) } }
        let suffix = manifest.lastName.dropFirst("predictions".count).dropLast(".json".count)
        for name in names.values + [("review", "csv")] {
            manifest.parent.joined("\(name.stem)\(suffix).\(name.ending)").withFileSystemName { _ = unlink($0) }
        }
    }

    /// The images that are done by the mean probability of their pixels' classes, the smallest first.
    static func leastSureFirst(_ records: [PredictionRecord]) -> [PredictionRecord] {
        records.filter { $0.status == .done }.sorted {
            ($0.meanConfidence ?? 1, $0.path, $0.page ?? 1) < ($1.meanConfidence ?? 1, $1.path, $1.page ?? 1)
        }
    }

    /// The columns that name an image: its path, and the page where some record has one.
    private static func images(_ isPaged: Bool) -> [String] { ["path"] + (isPaged ? ["page"] : []) }

    private static func image(_ record: PredictionRecord, _ isPaged: Bool) -> [String] {
        [record.path] + (isPaged ? [record.page.map(String.init) ?? ""] : [])
    }

    private func reviewTable(_ records: [PredictionRecord]) -> String {
        let isPaged = records.contains { $0.page != nil }
        var table = CSV(
            Self.images(isPaged) + ["mean_confidence", "entropy", "doubtful", "disagreement", "window_disagreement"])
        for record in Self.leastSureFirst(records) {
            let values = [
                record.meanConfidence, record.entropy, record.doubtful, record.disagreement, record.windowDisagreement,
            ]
            table.add(Self.image(record, isPaged) + values.map { $0.map { String(describing: $0) } ?? "" })
        }
        return table.text
    }

    /// A line for each class that occurs in an image. Square metres are empty where nobody knows how large a pixel is.
    private func areaTable(_ records: [PredictionRecord]) -> String {
        let isPaged = records.contains { $0.page != nil }
        var table = CSV(
            Self.images(isPaged) + [
                "index", "class", "pixels", "share", "regions", "largest", "square_metres", "largest_square_metres",
            ])
        for record in records {
            let pixels = Double((record.width ?? 0) * (record.height ?? 0))
            for area in record.areas ?? [] {
                let metres = [area.pixels, area.largest].map { pixels in
                    record.pixelArea.map { String(describing: Double(pixels) * $0) } ?? ""
                }
                table.add(
                    Self.image(record, isPaged) + [String(area.index), area.name, String(area.pixels)]
                        + [
                            String(describing: Double(area.pixels) / pixels), String(area.regions),
                            String(area.largest),
                        ]
                        + metres)
            }
        }
        return table.text
    }
}

/// A COCO file of all images: categories are the classes, and each class that occurs in an image is an annotation.
struct COCOFile {
    private let folder: String
    private let classes: [PredictionManifest.ListedClass]

    init(_ folder: String, _ classes: [PredictionManifest.ListedClass]) {
        (self.folder, self.classes) = (folder, classes)
    }

    private struct Image: Encodable {
        var id: Int
        var file_name: String
        var width, height: Int
        var page: Int?
    }

    private struct Category: Encodable {
        var id: Int
        var name: String
    }

    private struct Annotation: Encodable {
        var id, image_id, category_id: Int
        var area: Int
        var bbox: [Int]
        var iscrowd = 0
        var score: Double?
        var segmentation: ClassAnnotation.Code
    }

    /// Joins the images' own files, one image at a time in memory.
    func write(_ records: [(number: Int, record: PredictionRecord)], to path: String) throws {
        let file = try AtomicText(path)
        let images = records.compactMap { number, record in record.runLengthFile.map { (number, record, $0) } }
            .filter { FileSystem.isFile(folder.joined($0.2)) }
        try file.write("{\"info\": {\"description\": \"beit-seg predict\"},\n\"images\": [")
        try writeList(images, to: file) { number, record, own in
            let name = own.parent == "." ? record.path.lastName : own.parent.joined(record.path.lastName)
            return [
                try JSONText.line(
                    Image(
                        id: number, file_name: name, width: record.width ?? 0, height: record.height ?? 0,
                        page: record.page))
            ]
        }
        try file.write("],\n\"categories\": [")
        try writeList(classes, to: file) { [try JSONText.line(Category(id: $0.index, name: $0.name))] }
        let step = (classes.map(\.index).max() ?? 0) + 1
        try file.write("],\n\"annotations\": [")
        try writeList(images, to: file) { number, _, own in
            try annotations(folder.joined(own)).map { annotation in
                try JSONText.line(
                    Annotation(
                        id: (number - 1) * step + annotation.categoryID + 1, image_id: number,
                        category_id: annotation.categoryID, area: annotation.area,
                        bbox: annotation.box ?? [0, 0, 0, 0],
                        score: annotation.score, segmentation: annotation.segmentation))
            }
        }
        try file.write("]}\n")
        try file.commit()
    }

    /// The lines of each element, with commas between.
    private func writeList<Element>(
        _ elements: [Element], to file: AtomicText, _ lines: (Element) throws -> [String]
    ) throws {
        var isFirst = true
        for element in elements {
            for line in try lines(element) {
                try file.write((isFirst ? "\n" : ",\n") + line)
                isFirst = false
            }
        }
    }

    private func annotations(_ path: String) throws -> [ClassAnnotation] {
        do { return try JSONText.decode(from: try FileSystem.read(path), of: path) } catch let error as JSONError {
            throw PredictionError.unreadableResult(path, reason: error.reason)
        }
    }
}

extension PredictionRecord {
    fileprivate var runLengthFile: String? { files?.first { $0.hasSuffix(".rle.json") } }
}
