import BEiTImageIO
import Foundation

/// How a data set for segmentation lies in its folder.
package enum DatasetLayout: String, CaseIterable, Codable, Sendable {
    /// `images/{train,val}`, `masks/{train,val}`, `classes.txt`
    case folders
    /// `images/{training,validation}`, `annotations/{training,validation}`; label 0 is void
    case ade20k
    /// `JPEGImages`, `SegmentationClass`, `ImageSets/Segmentation/{train,val}.txt`
    case voc
    /// `leftImg8bit/{train,val}/CITY`, `gtFine/{train,val}/CITY`
    case cityscapes
    /// `train`, `trainannot`, `val`, `valannot`; label 11 is void
    case camvid

    /// The layout whose folders are there. Throws ``DatasetError``.
    package static func detect(_ folder: String) throws -> DatasetLayout {
        let files = FileManager.default
        guard files.fileExists(atPath: folder) else {
            throw DatasetError(.missing, path: folder, reason: "there is no such data folder")
        }
        for layout in allCases where layout.signature.allSatisfy({ files.fileExists(atPath: folder / $0) }) {
            return layout
        }
        let known = allCases.map { "\($0.rawValue) (\($0.signature.joined(separator: ", ")))" }
        throw DatasetError(
            .invalid, path: folder, reason: "has none of the known layouts: " + known.joined(separator: "; "))
    }

    /// What must be there for the layout to be recognised.
    private var signature: [String] {
        switch self {
        case .folders: ["images/train", "masks/train"]
        case .ade20k: ["images/training", "annotations/training"]
        case .voc: ["JPEGImages", "SegmentationClass", "ImageSets/Segmentation"]
        case .cityscapes: ["leftImg8bit", "gtFine"]
        case .camvid: ["train", "trainannot"]
        }
    }

    /// Where the photos and masks of a split are.
    func pairing(_ folder: String, _ split: DatasetSplit) -> Pairing {
        let name = split.rawValue
        switch self {
        case .folders: return Pairing(images: folder / "images" / name, masks: folder / "masks" / name)
        case .ade20k:
            let name = split == .train ? "training" : "validation"
            return Pairing(images: folder / "images" / name, masks: folder / "annotations" / name)
        case .voc:
            let list = folder / "ImageSets/Segmentation" / name + ".txt"
            return Pairing(images: folder / "JPEGImages", masks: folder / "SegmentationClass", list: list)
        case .cityscapes:
            return Pairing(
                images: folder / "leftImg8bit" / name, masks: folder / "gtFine" / name, imageEnding: "_leftImg8bit",
                maskEnding: "_gtFine_labelIds")
        case .camvid: return Pairing(images: folder / name, masks: folder / name + "annot")
        }
    }

    /// The classes: those of the folder's `classes.txt` or, where the layout is that of one well-known data set, its own.
    func classes(_ folder: String) throws -> [LabelClass] {
        let list = folder / "classes.txt"
        guard self != .folders, !FileManager.default.fileExists(atPath: list) else { return try ClassList.read(list) }
        switch self {
        case .ade20k: return LabelClass.named(try adeNames(folder))
        case .voc: return LabelClass.named(KnownClasses.voc)
        case .cityscapes: return KnownClasses.cityscapes
        case .camvid, .folders: return LabelClass.named(KnownClasses.camvid)
        }
    }

    /// The value of each class in the masks, and the values that are void beside the ignore index.
    func values(classes: Int) -> (indices: [Int], void: [Int]) {
        guard self == .cityscapes else { return (Array(0..<classes), self == .camvid ? [11] : []) }
        var indices = [Int](repeating: -1, count: 34)
        for (train, id) in KnownClasses.cityscapesIDs.enumerated() { indices[id] = train }
        return (indices, indices.indices.filter { indices[$0] < 0 })
    }

    /// Names from `objectInfo150.txt`, which comes with the data set, whose last column is the name.
    private func adeNames(_ folder: String) throws -> [String] {
        let path = folder / "objectInfo150.txt"
        guard FileManager.default.fileExists(atPath: path) else { return LabelClass.unnamed(150).map(\.name) }
        return try readText(path, of: "class list").split(separator: "\n").dropFirst().compactMap { line in
            line.split(separator: "\t").last.map { $0.trimmingCharacters(in: .whitespaces) }
        }
    }
}

/// Which part of a data set.
package enum DatasetSplit: String, CaseIterable, Codable, Sendable { case train, val }

extension String {
    /// A path below this folder.
    static func / (folder: String, name: String) -> String { (folder as NSString).appendingPathComponent(name) }
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
