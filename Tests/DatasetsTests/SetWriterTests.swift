import BEiTAnnotations
import BEiTFiles
import BEiTImageIO
import Foundation
import Testing

@testable import BEiTDatasets

/// Sets of several kinds, written as one of the layout `folders`.
@Suite struct SetWriterTests {
    private func write(_ set: GeneratedSet, to name: String = "out") throws -> String {
        let dataset = try SegmentationDataset(DatasetOptions([set.path]))
        let output = set.path + "-" + name
        let writer = try SetWriter(dataset, dataset.parts(), to: output, photos: .links, sources: [set.path])
        _ = try writer.run(threads: 1, progress: { _ in }, failed: { Issue.record("\($0): \($1)") })
        return output
    }

    @Test func masksByColourBecomeIndices() throws {
        let set = try GeneratedSet()
        // CVAT's export of masks: colours, and a list named default.
        try set.write("# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:250,50,83::\n", to: "labelmap.txt")
        try set.write("a\n", to: "ImageSets/Segmentation/default.txt")
        try set.photo("JPEGImages/a.png")
        let pixels = (0..<35).flatMap { place -> [UInt8] in place % 7 < 3 ? [250, 50, 83] : [0, 0, 0] }
        try makeFolder(set.path + "/SegmentationClass")
        try writePNG(RGBImage(width: 7, height: 5, pixels: pixels), to: set.path + "/SegmentationClass/a.png")
        let output = try write(set)
        defer { try? FileManager.default.removeItem(atPath: output) }
        let mask = try decodeMask(output + "/masks/a.png")
        #expect(mask.values == (0..<35).map { $0 % 7 < 3 ? 1 : 0 })
        #expect(mask.palette?[1] == RGBColor(250, 50, 83))
        #expect(try ClassList.read(output + "/classes.txt").map(\.name) == ["background", "cat"])
    }

    @Test func splitsAndVoidStay() throws {
        let set = try GeneratedSet.folders()
        try set.photo("images/train/deep/b.png")
        try set.mask("masks/train/deep/b.png", [255, 1])
        let output = try write(set)
        defer { try? FileManager.default.removeItem(atPath: output) }
        let again = try SegmentationDataset(DatasetOptions([output]))
        #expect(try again.images(.train).pairs.count == 2 && again.images(.val).pairs.count == 1)
        #expect(
            try decodeMask(output + "/masks/train/deep/b.png").values
                == decodeMask(set.path + "/masks/train/deep/b.png").values)
        #expect(throws: FileError.self) { try write(set) }
    }

    @Test func foldersThatAreNoSplitsStayTogether() throws {
        let set = try GeneratedSet()
        try set.write("sky 0 0 255\nroad 9 9 9\n", to: "classes.txt")
        for scene in ["x", "y"] {
            try set.photo("images/\(scene)/a.png")
            try set.mask("masks/\(scene)/a.png", [0, 1])
        }
        let parts = try SegmentationDataset(DatasetOptions([set.path])).parts()
        #expect(parts.count == 1 && parts[0].split == nil && parts[0].pairs.count == 2)
    }

    @Test func photosOfOneNameKeepTheirMasksApart() throws {
        let set = try GeneratedSet()
        try set.photo("a.png")
        try FileManager.default.copyItem(atPath: set.path + "/a.png", toPath: set.path + "/a.jpg")
        let images = ["a.png", "a.jpg"].enumerated().map {
            #"{"id":\#($0),"file_name":"\#($1)","width":7,"height":5}"#
        }
        let shapes = [0, 1].map {
            #"{"id":\#($0),"image_id":\#($0),"category_id":\#($0),"segmentation":[[0,0,7,0,7,5,0,5]]}"#
        }
        try set.write(
            #"{"images":[\#(images.joined(separator: ","))],"annotations":[\#(shapes.joined(separator: ","))],"#
                + #""categories":[{"id":0,"name":"cat"},{"id":1,"name":"dog 7"}]}"#, to: "set.json")
        #expect(try DatasetLayout.detect(set.path) == .annotations)
        let output = try write(set)
        defer { try? FileManager.default.removeItem(atPath: output) }
        let again = try SegmentationDataset(DatasetOptions([output]))
        // A name that ends in a number comes back as it is.
        #expect(again.classes.map(\.name) == ["background", "cat", "dog 7"])
        let values = try again.images(.train).pairs.map { (try again.loadMask($0).values.first, $0.image.ending) }
        #expect(values.count == 2 && values.allSatisfy { $0.0 == ($0.1 == "png" ? 1 : 2) })
    }

    @Test func hashesTellResizedPhotosFromOthers() throws {
        func photo(_ seed: Int) -> RGBImage {
            let pixels = (0..<90 * 60 * 3).map { place -> UInt8 in
                let (x, y) = (place / 3 % 90 / 10, place / 270 / 10)
                return UInt8(truncatingIfNeeded: (x * 37 + y * 91 + seed * 53) * (x + y * seed + 7) * 29)
            }
            return RGBImage(width: 90, height: 60, pixels: pixels)
        }
        let one = try #require(PictureHash(photo(1)))
        var resized = photo(1).resized(width: 151, height: 100, filter: .bilinear)
        resized.pixels = resized.pixels.map { UInt8(Double($0) * 0.9) }
        #expect(try #require(PictureHash(resized)).distance(to: one) <= PictureHash.nearby)
        for seed in 2..<9 { #expect(try #require(PictureHash(photo(seed))).distance(to: one) > 20) }
        #expect(PictureHash(RGBImage(width: 9, height: 9, pixels: [UInt8](repeating: 200, count: 243))) == nil)
    }
}
