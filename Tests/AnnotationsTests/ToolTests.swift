import BEiTFiles
import BEiTImageIO
import Foundation
import Testing

@testable import BEiTAnnotations

/// Exports of labelling programs give the masks that the programs' own libraries make of them
/// (`scripts/make-annotation-fixtures.py`).
@Suite struct ToolTests {
    private static func folder(_ name: String) throws -> String {
        try #require(Bundle.module.resourcePath) + "/Fixtures/tools/" + name
    }

    @Test(arguments: AnnotationFormat.allCases) func masksAreThoseOfTheTool(_ format: AnnotationFormat) throws {
        let tool = format.rawValue
        let set = try AnnotationSet(try Self.folder(tool))
        #expect(set.format == format)
        let expected = try Self.folder(tool + "-expected")
        let classes = try FileSystem.read(expected + "/classes.txt")
        #expect(
            set.classes.map(\.name) == String(decoding: classes, as: UTF8.self).split(separator: "\n").map(String.init))
        let photos = set.splits.flatMap { set.photos($0) }
        #expect(photos.map(\.path.lastName).sorted() == ["a.png", "b.png"])
        for photo in photos {
            let header = try imageHeader(photo.path)
            let mask = try set.mask(of: photo.path, width: header.width, height: header.height)
            let truth = try decodeMask(expected + "/" + photo.path.lastName)
            #expect((mask.width, mask.height) == (truth.width, truth.height))
            let wrong = zip(mask.values, truth.values).count { ($0 == AnnotationSet.void ? 255 : $0) != $1 }
            #expect(wrong == 0, "\(tool), \(photo.path.lastName)")
            #expect(Set(truth.values).count > 2)
        }
    }

    @Test(arguments: [
        (AnnotationFormat.labelme, ["train", "val"]), (.yolo, ["train", "val"]), (.supervisely, ["train", "val"]),
        (.coco, ["train"]), (.cvat, ["train"]), (.labelStudio, ["train"]),
    ]) func splitsAreFoundByTheNamesOfFolders(_ format: AnnotationFormat, _ splits: [String]) throws {
        let set = try AnnotationSet(try Self.folder(format.rawValue))
        #expect(set.splits == splits)
        #expect(set.isDivided == (splits.count > 1))
    }

    @Test func coloursAreThoseOfTheTool() throws {
        let set = try AnnotationSet(try Self.folder("cvat"))
        #expect(set.classes[1] == LabelClass(name: "car", color: RGBColor(255, 0, 0)))
        #expect(try AnnotationSet(try Self.folder("supervisely")).classes[2].color == RGBColor(246, 255, 0))
    }
}
