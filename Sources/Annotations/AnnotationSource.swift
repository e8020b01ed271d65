import BEiTFiles
import BEiTImageIO

/// A labelling program's files.
package enum AnnotationFormat: String, CaseIterable, Sendable {
    case coco, labelme, cvat, yolo, supervisely
    case labelStudio = "label-studio"

    /// As people call it.
    package var name: String {
        switch self {
        case .coco: "COCO"
        case .labelme: "Labelme"
        case .cvat: "CVAT"
        case .yolo: "YOLO"
        case .supervisely: "Supervisely"
        case .labelStudio: "Label Studio"
        }
    }

    package static let names = allCases.map(\.name).joined(separator: ", ")
}

/// Where annotations are: told by what the files hold, not by their names.
package struct AnnotationSource: Sendable {
    package let format: AnnotationFormat
    /// The folder below which photos are looked for.
    package let folder: String
    /// In the order of their names.
    package let files: [String]

    /// Nil where there are none that are known.
    ///
    /// - Parameter path: a file, or a folder of an export.
    /// - Throws: `FileError`; ``AnnotationError`` for a JSON file that cannot be read.
    package init?(_ path: String) throws {
        guard try FileSystem.requireStatus(of: path).kind == .folder else {
            guard let format = try FileContents.format(of: path) else { return nil }
            self.init(format, folder: Self.root(of: path), files: [path])
            return
        }
        try self.init(folder: path)
    }

    private init(_ format: AnnotationFormat, folder: String, files: [String]) {
        (self.format, self.folder, self.files) = (format, folder, files)
    }

    /// Photos often lie beside the folder of their annotations.
    private static func root(of file: String) -> String {
        let folder = file.parent
        guard ["annotations", "annotation"].contains(folder.lastName.lowercased()) else { return folder }
        return folder.parent
    }

    private init?(folder: String) throws {
        if let names = Self.yolo(folder) {
            self.init(.yolo, folder: folder, files: [names])
            return
        }
        let names = try PhotoListing(folder, endings: FileContents.endings).names
        var found: [AnnotationFormat: [String]] = [:]
        for name in names {
            let path = folder.joined(name)
            if let format = try? FileContents.format(of: path) { found[format, default: []].append(path) }
        }
        guard
            let (format, files) = found.max(by: {
                ($0.value.count, $1.key.rawValue) < ($1.value.count, $0.key.rawValue)
            })
        else { return nil }
        self.init(format, folder: folder, files: format == .coco ? Self.instances(files) : files)
    }

    /// The file with the names of YOLO's classes: a YAML file, or a list beside `images` and `labels`.
    private static func yolo(_ folder: String) -> String? {
        let names = (try? FileSystem.names(in: folder)) ?? []
        let settings = names.filter { ["yaml", "yml"].contains($0.ending.lowercased()) }.map { folder.joined($0) }
        if let found = settings.first(where: { (try? FileContents.format(of: $0)) == .yolo }) { return found }
        guard ["images", "labels"].allSatisfy({ FileSystem.isFolder(folder.joined($0)) }) else { return nil }
        return ["classes.txt", "obj.names"].map { folder.joined($0) }.first(where: FileSystem.isFile)
    }

    /// Of COCO's own files those with masks: captions and key points name the same photos.
    private static func instances(_ files: [String]) -> [String] {
        let instances = files.filter { $0.lastName.hasPrefix("instances_") }
        return instances.isEmpty ? files : instances
    }

    /// Throws ``AnnotationError``, `FileError`.
    func read(into draft: inout AnnotationDraft) throws {
        switch format {
        case .coco: for file in files { try COCOReader.read(file, below: folder, into: &draft) }
        case .labelme: for file in files { try LabelmeReader.read(file, below: folder, into: &draft) }
        case .cvat: for file in files { try CVATReader.read(file, below: folder, into: &draft) }
        case .yolo: for file in files { try YOLOReader.read(file, into: &draft) }
        case .labelStudio: for file in files { try LabelStudioReader.read(file, below: folder, into: &draft) }
        case .supervisely:
            SuperviselyReader.readClasses(of: files, below: folder, into: &draft)
            for file in files { try SuperviselyReader.read(file, below: folder, into: &draft) }
        }
    }
}

/// What a file is, by its beginning.
enum FileContents {
    static let endings: Set = ["json", "xml"]
    /// Bytes that are looked at.
    private static let head = 1 << 16

    /// Nil for what is not known. Throws `FileError`.
    static func format(of path: String) throws(FileError) -> AnnotationFormat? {
        let bytes = try FileSystem.start(of: path, count: head)
        let start = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(bytes.dropFirst(3)) : bytes
        var scanner = JSONScanner(start)
        switch scanner.next() {
        case UInt8(ascii: "{")?: return object(&scanner)
        case UInt8(ascii: "[")?: return isTasks(&scanner) ? .labelStudio : nil
        case UInt8(ascii: "<")?: return root(start) == "annotations" ? .cvat : nil
        default:
            guard ["yaml", "yml"].contains(path.ending.lowercased()) else { return nil }
            return SimpleYAML(String(decoding: start, as: UTF8.self)).list("names").isEmpty ? nil : .yolo
        }
    }

    /// Of an XML text.
    private static func root(_ bytes: [UInt8]) -> String? {
        var scanner = XMLScanner(bytes)
        while let event = try? scanner.next() { if case .start(let name, _) = event { return name } }
        return nil
    }

    /// Whether the first element of a list is a task of Label Studio, as far as it is there.
    private static func isTasks(_ scanner: inout JSONScanner) -> Bool {
        var keys: Set<String> = []
        try? scanner.array { scanner in
            try scanner.object { scanner, key in
                keys.insert(key)
                try scanner.skip()
            }
            throw JSONScanner.Problem("the first is enough")
        }
        return keys.contains("annotations") || keys.contains("completions") || keys.contains("annotator")
            || keys.contains("data") && keys.contains("predictions")
    }

    /// By the keys that stand in the beginning, of which the last may be cut off.
    private static func object(_ scanner: inout JSONScanner) -> AnnotationFormat? {
        var lists: Set<String> = []
        var others: Set<String> = []
        try? scanner.object { scanner, key in
            if scanner.next() == UInt8(ascii: "[") { lists.insert(key) } else { others.insert(key) }
            try scanner.skip()
        }
        if lists.contains("shapes"), others.contains("imagePath") || others.contains("version") { return .labelme }
        if lists.contains("objects"), others.contains("size") { return .supervisely }
        let isCOCO = ["images", "annotations", "categories"].filter(lists.contains).count
        let isCut = isCOCO == 1 && (lists.contains("annotations") || others.contains("info"))
        if isCOCO > 1 || isCut { return .coco }
        return nil
    }
}

extension FileSystem {
    /// The bytes of a file of annotations, without the mark that Windows' editors put before them. Throws `FileError`.
    static func text(of path: String) throws(FileError) -> [UInt8] {
        let bytes = try read(path, atMost: 1 << 32)
        return bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(bytes.dropFirst(3)) : bytes
    }
}
