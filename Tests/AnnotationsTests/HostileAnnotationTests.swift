import BEiTFiles
import BEiTImageIO
import Foundation
import Testing

@testable import BEiTAnnotations

/// Annotations that are wrong: one bad shape is named and the rest goes on, a bad file is an error that says why.
@Suite final class HostileAnnotationTests {
    private let root = NSTemporaryDirectory() + "beit-seg-annotations-" + UUID().uuidString

    deinit { try? FileManager.default.removeItem(atPath: root) }

    private func write(_ text: String, _ name: String) throws -> String {
        let path = root + "/" + name
        try AtomicFile.write(text, to: path)
        return path
    }

    private func photo(_ name: String) throws {
        let path = root + "/" + name
        try makeFolder(path.parent)
        try writePNG(RGBImage(width: 8, height: 6, pixels: [UInt8](repeating: 9, count: 144)), to: path)
    }

    private func coco(_ annotations: String, images: String? = nil) -> String {
        let images = images ?? #"[{"id":1,"file_name":"a.png","width":8,"height":6}]"#
        return #"{"images":\#(images),"annotations":[\#(annotations)],"categories":[{"id":3,"name":"cat"}]}"#
    }

    private static let good = #"{"id":9,"image_id":1,"category_id":3,"segmentation":[[1,1,5,1,5,4,1,4]]}"#

    @Test(arguments: [
        (#""segmentation":[[1,1,2,2]]"#, "fewer than three points"),
        (#""segmentation":[[1,1,2,2,3]]"#, "a point has an x and no y"),
        (#""segmentation":[[1,1,2,2,1e300,3]]"#, "farther away than any image"),
        (#""segmentation":[[1,1,NaN,2,1,3]]"#, "no number"),
        (#""segmentation":[["a"]]"#, "not a list of numbers"),
        (#""segmentation":{"size":[6,8],"counts":"0~"}"#, "damaged"),
        (#""segmentation":{"size":[6,8],"counts":[5,-3,46]}"#, "do not fit"),
        (#""segmentation":{"size":[6,8],"counts":[5,3]}"#, "do not make up"),
        (#""segmentation":{"size":[4611686018427387904,8],"counts":[1]}"#, "no size"),
        (#""segmentation":{"size":[8,6],"counts":[48]}"#, "another size than its image"),
        (#""bbox":[1,1,2,2]"#, "no segmentation"),
    ]) func aBadShapeIsNamedAndTheRestGoesOn(_ part: String, _ reason: String) throws {
        try photo("a.png")
        let bad = #"{"id":4,"image_id":1,"category_id":3,\#(part)}"#
        let set = try AnnotationSet(try write(coco(bad + "," + Self.good), "set.json"))
        #expect(set.warnings.count == 1)
        #expect(set.warnings.first?.contains(reason) == true, "\(set.warnings)")
        let mask = try set.mask(of: root + "/a.png", width: 8, height: 6)
        #expect(mask.values.count { $0 == 1 } == 12)
    }

    @Test func unknownCategoriesAndCrowdsAreVoid() throws {
        try photo("a.png")
        let stranger = #"{"id":4,"image_id":1,"category_id":5,"segmentation":[[0,0,1,0,1,1,0,1]]}"#
        let crowd = #"{"id":5,"image_id":1,"category_id":3,"iscrowd":1,"segmentation":{"size":[6,8],"counts":[47,1]}}"#
        let set = try AnnotationSet(try write(coco([stranger, crowd, Self.good].joined(separator: ",")), "set.json"))
        let mask = try set.mask(of: root + "/a.png", width: 8, height: 6)
        #expect(mask.values[0] == AnnotationSet.void && mask.values[47] == AnnotationSet.void)
        #expect(set.warnings.contains { $0.contains("category 5") })
    }

    @Test func aMaskThatCoversEveryPixelNeedsNoBackground() throws {
        try photo("a.png")
        let all = #"{"id":4,"image_id":1,"category_id":3,"segmentation":{"size":[6,8],"counts":[0,48]}}"#
        #expect(try AnnotationSet(try write(coco(all), "set.json")).classes.map(\.name) == ["cat"])
        let set = try AnnotationSet(try write(coco(Self.good), "other.json"))
        #expect(set.classes.map(\.name) == ["background", "cat"])
    }

    @Test func photosAreFoundNearAndFarAndMissingOnesAreNamed() throws {
        try photo("deep/photos/a.png")
        let images =
            #"[{"id":1,"file_name":"C:\\x\\photos\\a.png","width":8,"height":6},{"id":2,"file_name":"b.png","width":8,"height":6}]"#
        let set = try AnnotationSet(try write(coco(Self.good, images: images), "annotations/set.json"))
        #expect(set.photos("train").map(\.path) == [root + "/deep/photos/a.png"])
        #expect(set.missing("train") == ["b.png"])
        #expect(set.warnings.contains { $0.contains("b.png") })
    }

    @Test func twoPhotosOfOneNameAreNotGuessedBetween() throws {
        try photo("x/a.png")
        try photo("y/a.png")
        let set = try AnnotationSet(try write(coco(Self.good), "set.json"))
        #expect(set.photos("train").isEmpty && set.missing("train") == ["a.png"])
    }

    @Test func anotherSizeThanThePhotosIsAnError() throws {
        try photo("a.png")
        let set = try AnnotationSet(try write(coco(Self.good), "set.json"))
        #expect(throws: AnnotationError.self) { try set.mask(of: root + "/a.png", width: 9, height: 6) }
    }

    @Test(arguments: [
        "{\"images\":[],\"annotations\":[{\"a\":",
        "{\"images\":[],\"annotations\":[" + String(repeating: "[", count: 70),
        "{\"images\":[],\"annotations\":[],\"info\":1}", "<annotations><image",
        "<annotations><image name=\"a\"></annotations>",
        "<!DOCTYPE a [<!ENTITY b \"c\">]><annotations><label><name>&b;</name></label></annotations>",
        "<annotations></annotations>",
    ]) func damagedFilesAreErrors(_ text: String) throws {
        let path = try write(text, text.hasPrefix("<") ? "set.xml" : "set.json")
        let error = #expect(throws: AnnotationError.self) { try AnnotationSet(path) }
        #expect(error?.path == path && error?.reason.isEmpty == false)
    }

    @Test func aFolderOfNothingButDamagedFilesSaysWhy() throws {
        _ = try write(#"{"version":"5","shapes":[{"label":"#, "a.json")
        let error = #expect(throws: AnnotationError.self) { try AnnotationSet(root) }
        #expect(
            error?.reason.contains("a.json") == true && error?.reason.contains("cannot be read") == true,
            "\(error as Any)")
    }

    /// Whatever stands in a file, reading it comes to an end, and not by a trap.
    @Test func damagedFilesEndNothing() throws {
        let tools = try #require(Bundle.module.resourcePath) + "/Fixtures/tools/"
        let files = [
            "coco/annotations/instances.json", "labelme/train/a.json", "cvat/annotations.xml", "yolo/data.yaml",
            "yolo/train/labels/a.txt", "label-studio/export.json", "supervisely/train/ann/a.png.json",
            "supervisely/meta.json",
        ]
        let count = FileSystem.environment("BEIT_SEG_MUTATIONS").flatMap { Int($0) } ?? 300
        var state: UInt64 = 5
        func random(_ limit: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % limit
        }
        var read = 0
        for number in 0..<count {
            let file = files[number % files.count]
            let folder = root + "/" + String(file.prefix { $0 != "/" })
            if number < files.count || !FileSystem.exists(folder) {
                try? makeFolder(root)
                try? FileManager.default.copyItem(atPath: tools + file.prefix { $0 != "/" }, toPath: folder)
            }
            let original = try FileSystem.read(tools + file)
            var bytes = original
            for _ in 0...random(4) {
                let place = random(bytes.count)
                switch random(5) {
                case 0: bytes[place] = UInt8(random(256))
                case 1: bytes.remove(at: place)
                case 2: bytes.insert(contentsOf: "99999999999".utf8, at: place)
                case 3: bytes.insert(UInt8("[]{}\",:-.e<>&;".utf8.randomElement(random)), at: place)
                default: bytes.removeLast(random(bytes.count / 2))
                }
            }
            try AtomicFile.write(bytes, to: root + "/" + file)
            if let set = try? AnnotationSet(folder) {
                for photo in set.splits.flatMap({ set.photos($0) }) {
                    let header = try imageHeader(photo.path)
                    if (try? set.mask(of: photo.path, width: header.width, height: header.height)) != nil { read += 1 }
                }
            }
            try AtomicFile.write(original, to: root + "/" + file)
        }
        #expect(read > count / 4)
    }
}

extension String.UTF8View {
    fileprivate func randomElement(_ random: (Int) -> Int) -> UInt8 { Array(self)[random(count)] }
}
