import BEiTAnnotations
import BEiTFiles
import BEiTImageIO
import Foundation

/// How a data set for segmentation lies in its folder.
package enum DatasetLayout: String, CaseIterable, Codable, Sendable {
    /// `images/{train,val}`, `masks/{train,val}`, `classes.txt`; or without splits, or with photos and masks in one folder
    case folders
    /// `images/{training,validation}`, `annotations/{training,validation}`; label 0 is void
    case ade20k
    /// `JPEGImages`, `SegmentationClass`, `ImageSets/Segmentation/{train,val}.txt`
    case voc
    /// `leftImg8bit/{train,val}/CITY`, `gtFine/{train,val}/CITY`
    case cityscapes
    /// `train`, `trainannot`, `val`, `valannot`; label 11 is void
    case camvid
    /// A labelling program's files (``AnnotationSet``): shapes in place of masks
    case annotations
    /// Tar shards with `NAME.jpg` and `NAME.seg.png` (``Shards``), `classes.txt` beside them
    case shards

    /// The layout whose folders are there. Throws ``DatasetError``.
    /// - Parameter asAnnotations: whether annotations are looked for as well, which reads the beginnings of files.
    package static func detect(_ folder: String, asAnnotations: Bool = true) throws -> DatasetLayout {
        if !FileSystem.isFolder(folder), try Shards(folder) != nil { return .shards }
        guard FileSystem.exists(folder) else {
            throw DatasetError(.missing, path: folder, reason: "there is no such data folder")
        }
        for layout in allCases where layout.isThere(in: folder) { return layout }
        // Without splits, or with photos and masks in one folder, a class list tells a set from any folder of images.
        let isPlain = ["images", "masks"].allSatisfy { FileSystem.isFolder(folder / $0) }
        if isPlain { return .folders }
        if asAnnotations, (try? AnnotationSource(folder)) != nil { return .annotations }
        if try Shards(folder) != nil { return .shards }
        if FileSystem.exists(folder / "classes.txt") { return .folders }
        let known = allCases.map {
            "\($0.rawValue) (\($0.signs))"
        }
        throw DatasetError(
            .invalid, path: folder, reason: "has none of the known layouts: " + known.joined(separator: "; "))
    }

    /// By what people can tell it.
    private var signs: String {
        switch self {
        case .annotations: AnnotationFormat.names
        case .shards: ".tar files"
        default: signature.joined(separator: ", ")
        }
    }

    private func isThere(in folder: String) -> Bool {
        !signature.isEmpty && signature.allSatisfy { FileSystem.exists(folder / $0) }
    }

    /// What must be there for the layout to be recognised; empty where files tell it by what they hold.
    private var signature: [String] {
        switch self {
        case .folders: ["images/train", "masks/train"]
        case .ade20k: ["images/training", "annotations/training"]
        case .voc: ["JPEGImages", "SegmentationClass", "ImageSets/Segmentation"]
        case .cityscapes: ["leftImg8bit", "gtFine"]
        case .camvid: ["train", "trainannot"]
        case .annotations, .shards: []
        }
    }

    /// Where the photos and masks of a split are; nil where the set has no such split.
    ///
    /// - Parameter maskEnding: what the names of masks end in; nil: what the layout says, or what is found.
    func pairing(_ folder: String, _ split: DatasetSplit, maskEnding: String? = nil) -> Pairing? {
        switch self {
        case .folders: return folders(folder, split, maskEnding)
        case .ade20k:
            let names = ["train": "training", "val": "validation"]
            return found(
                folder / "images", folder / "annotations", [names[split.rawValue] ?? split.rawValue], maskEnding)
        case .voc:
            guard let list = vocList(folder, split) else { return nil }
            return Pairing(
                images: folder / "JPEGImages", masks: folder / "SegmentationClass", maskEnding: maskEnding,
                list: SplitList(path: list, root: folder))
        case .cityscapes:
            let images = folder / "leftImg8bit" / split.rawValue
            guard FileSystem.isFolder(images) else { return nil }
            return Pairing(
                images: images, masks: folder / "gtFine" / split.rawValue, imageEnding: "_leftImg8bit",
                maskEnding: maskEnding ?? "_gtFine_labelIds")
        case .camvid:
            guard FileSystem.isFolder(folder / split.rawValue) else { return nil }
            return Pairing(
                images: folder / split.rawValue, masks: folder / split.rawValue + "annot", maskEnding: maskEnding)
        case .annotations, .shards: return nil
        }
    }

    /// The list of a split; a single list of another name (CVAT's `default`) is the training's.
    private func vocList(_ folder: String, _ split: DatasetSplit) -> String? {
        let place = folder / "ImageSets/Segmentation"
        let list = place / split.rawValue + ".txt"
        if FileSystem.exists(list) { return list }
        let lists = splits(folder)
        return split == .train && lists.count == 1 && lists != [DatasetSplit.val.rawValue]
            ? place / lists[0] + ".txt" : nil
    }

    /// `images/train` and `masks/train`; `images` and `masks` without splits; photos and masks in one folder, with splits
    /// or without.
    private func folders(_ folder: String, _ split: DatasetSplit, _ ending: String?) -> Pairing? {
        let (images, masks) = (folder / "images", folder / "masks")
        let isOne = !FileSystem.isFolder(images)
        let (photos, labels) = isOne ? (folder, folder) : (images, masks)
        if let pairing = found(photos, labels, split.folders, ending) { return pairing }
        let isDivided = DatasetSplit.train.folders.contains { FileSystem.isFolder(photos / $0) }
        return split == .train && !isDivided ? Pairing(images: photos, masks: labels, maskEnding: ending) : nil
    }

    /// The first of the folders `names` that is there.
    private func found(_ images: String, _ masks: String, _ names: [String], _ ending: String?) -> Pairing? {
        names.first { FileSystem.isFolder(images / $0) }.map {
            Pairing(images: images / $0, masks: masks / $0, maskEnding: ending)
        }
    }

    /// Tells the photos of the splits that trainings use from masks and other pictures, by their paths.
    func photos(in folder: String) -> (String) -> Bool {
        if self == .voc { return { $0.hasPrefix(folder / "JPEGImages" + "/") } }
        let pairings = DatasetSplit.allCases.compactMap { pairing(folder, $0) }
        let roots = pairings.filter { !$0.isOneFolder }.map { $0.images + "/" }
        let found = pairings.filter(\.isOneFolder).compactMap { try? $0.files() }
        let photos = Set(found.flatMap { $0.pairs.map(\.image) + $0.incomplete })
        return { path in photos.contains(path) || roots.contains { path.hasPrefix($0) } }
    }

    /// The splits that a set has, by the names of folders or lists.
    func splits(_ folder: String) -> [String] {
        let place =
            switch self {
            case .folders: FileSystem.isFolder(folder / "images") ? folder / "images" : folder
            case .ade20k: folder / "images"
            case .voc: folder / "ImageSets/Segmentation"
            case .cityscapes: folder / "leftImg8bit"
            case .camvid, .annotations, .shards: folder
            }
        let names = ((try? FileSystem.names(in: place)) ?? []).sorted()
        return names.compactMap { name in
            if self == .voc { return name.hasSuffix(".txt") ? String(name.dropLast(4)) : nil }
            return FileSystem.isFolder(place / name) && !name.hasPrefix(".") && !name.hasSuffix("annot") ? name : nil
        }
    }

    /// The classes: those of the folder's `classes.txt` or, where the layout is that of one well-known data set, its own.
    func classes(_ folder: String) throws -> [LabelClass] {
        let list = folder / "classes.txt"
        guard self != .folders, !FileSystem.exists(list) else { return try ClassList.read(list) }
        // CVAT's, beside its masks in Pascal VOC's layout.
        let colors = folder / "labelmap.txt"
        if self == .voc, FileSystem.exists(colors) { return try ClassList.read(colors) }
        switch self {
        case .ade20k: return LabelClass.named(try adeNames(folder))
        case .voc: return LabelClass.named(KnownClasses.voc)
        case .cityscapes: return KnownClasses.cityscapes
        case .camvid, .folders, .annotations, .shards: return LabelClass.named(KnownClasses.camvid)
        }
    }

    /// The value of each class in the masks, and the values that are void beside the ignore index.
    func values(classes: Int) -> (indices: [Int], void: [Int]) {
        guard self == .cityscapes else {
            let void = [DatasetLayout.camvid: 11, .annotations: Int(AnnotationSet.void)]
            return (Array(0..<classes), void[self].map { [$0] } ?? [])
        }
        var indices = [Int](repeating: -1, count: 34)
        for (train, id) in KnownClasses.cityscapesIDs.enumerated() { indices[id] = train }
        return (indices, indices.indices.filter { indices[$0] < 0 })
    }

    /// Names from `objectInfo150.txt`, which comes with the data set, whose last column is the name.
    private func adeNames(_ folder: String) throws -> [String] {
        let path = folder / "objectInfo150.txt"
        guard FileSystem.exists(path) else { return LabelClass.unnamed(150).map(\.name) }
        return try readText(path, of: "class list").split(separator: "\n").dropFirst().compactMap { line in
            line.split(separator: "\t").last.map { $0.trimmingCharacters(in: .whitespaces) }
        }
    }
}

/// Which part of a data set: the name of a folder or list.
package struct DatasetSplit: RawRepresentable, Hashable, Codable, Sendable {
    package var rawValue: String

    package init(rawValue: String) { self.rawValue = rawValue }

    package static let train = DatasetSplit(rawValue: "train")
    package static let val = DatasetSplit(rawValue: "val")
    /// What a training uses.
    package static let allCases = [train, val]

    /// The folders that it may be.
    var folders: [String] {
        switch self {
        case .train: ["train", "training"]
        case .val: ["val", "validation", "valid"]
        default: [rawValue]
        }
    }
}

extension String {
    /// A path below this folder.
    static func / (folder: String, name: String) -> String { folder.joined(name) }
}

/// Class lists that data sets do not bring along.
private enum KnownClasses {
    static let voc = [
        "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
        "diningtable",
        "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
    ]
    static let camvid = [
        "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist",
    ]
    /// Label ids of the 19 classes that are scored, in the order of their train ids.
    static let cityscapesIDs = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
    static let cityscapes = LabelClass.named([
        "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation",
        "terrain",
        "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
    ])
}
